"""What is wrong with a request, told in one sentence and with the right status."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
from werkzeug.exceptions import ImATeapot

import osapi
import osapi_api
from osapi_api.problems import problem_of
from tests.api.conftest import Rest, fleet, token_of

EXEC = "/node/web-01/command/exec"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "/job?limit=0", None, 400, "`int` >= 1 - at `$.limit`"),
        ("GET", "/job?limit=101", None, 400, "`int` <= 100"),
        ("GET", "/job?limit=ten", None, 400, "Expected `int`"),
        ("GET", "/job?offset=-1", None, 400, "`int` >= 0"),
        ("GET", "/job?offset=99999999999999999999", None, 400, "$.offset"),
        ("GET", "/job?status=done", None, 400, "'done'"),
        ("GET", "/job?statsu=failed", None, 400, "statsu"),
        ("GET", "/job?limit=1&limit=2", None, 400, "'limit' is given 2 times"),
        ("GET", "/agent?x=1", None, 400, "takes no query parameters"),
        ("GET", "/node/group:/hostname", None, 400, "target 'group:'"),
        ("GET", "/node/web-99/hostname", None, 400, "no agent is registered as 'web-99'"),
        ("GET", "/node/group:mail/hostname", None, 400, "no agent matches group:mail"),
        ("GET", "/node/web-01/process/0", None, 400, "pid in the path cannot be used: Expected `int` >= 1"),
        ("GET", "/node/web-01/process/abc", None, 400, "pid in the path"),
        ("GET", f"/node/web-01/process/{'9' * 5000}", None, 400, "pid in the path"),
        ("POST", EXEC, None, 400, "missing required field `command`"),
        ("POST", EXEC, {}, 400, "missing required field `command`"),
        ("POST", EXEC, {"comand": "ls"}, 400, "no field 'comand' in its body; did you mean command?"),
        ("POST", EXEC, {"command": 1}, 400, "Expected `str`, got `int` - at `$.command`"),
        ("POST", EXEC, {"command": "ls", "timeout": 301}, 400, "`int` <= 300"),
        ("POST", EXEC, [], 400, "send a JSON object"),
        ("POST", EXEC, b"{", 400, "the body cannot be used"),
        ("POST", EXEC, b"\xff\xfe", 400, "the body cannot be used"),
        ("POST", EXEC, b"[" * 100_000, 400, "the body cannot be used"),
        ("POST", EXEC, b'{"command": ' + b"[" * 100_000, 400, "the body cannot be used"),
        ("POST", "/node/web-01/process/1/signal", {"signal": "HUP", "pid": 2}, 400, "no field 'pid' in its body"),
        ("POST", "/operation/web-01/test.touch", [], 400, "takes no data; send no body"),
        ("POST", "/operation/web-01/test.sleep", "x", 400, "Expected `float`"),
        ("POST", "/operation/web-01/test.echo", b"[" * 100_000, 400, "does not fit"),
        ("GET", "/nothing", None, 404, "there is nothing at this path"),
        ("GET", "/node/a%2Fb", None, 404, "there is nothing at this path"),
        ("GET", "//job", None, 404, "there is nothing at this path"),
        ("GET", "/node//hostname", None, 404, "there is nothing at this path"),
        ("GET", "/job/", None, 404, "there is nothing at this path"),
        ("FOO", "/job", None, 501, "this method is unknown"),
    ],
)
async def test_a_wrong_request(api: Rest, method: str, path: str, body: Any, status: int, message: str) -> None:
    answer = await api(method, path, body)

    assert answer.status == status
    assert message in answer.body["error"]
    assert (await api("GET", "/job")).body["total_items"] == 0, "nothing was submitted"


async def test_a_path_tells_its_methods(api: Rest) -> None:
    for method, path, allowed in (
        ("POST", "/job", "GET, HEAD"),
        ("PUT", "/job/x", "DELETE, GET, HEAD"),
        ("GET", "/job/x/retry", "POST"),
        ("DELETE", "/health", "GET, HEAD"),
        ("PATCH", "/node/web-01/network/dns", "DELETE, PUT"),
        ("OPTIONS", "/agent", "GET, HEAD"),
    ):
        answer = await api(method, path)
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)
    outside = await Rest(api.app, api.client, api.transport, "")("POST", "/health")
    assert (outside.status, outside.headers["Allow"]) == (405, "GET, HEAD")


async def test_outside_the_prefix(api: Rest) -> None:
    outside = Rest(api.app, api.client, api.transport, "")

    assert (await outside("GET", "/", token="")).status == 404
    assert (await outside("FOO", "/", token="")).status in {404, 501}


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 202),
        ("application/json; charset=utf-8", 202),
        ("application/merge-patch+json", 202),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
        ("json", 415),
    ],
)
async def test_content_types(api: Rest, content_type: str, status: int) -> None:
    answer = await api("POST", EXEC, {"command": "ls"}, Content_Type=content_type)
    assert answer.status == status


async def test_a_body_that_is_too_large(api: Rest) -> None:
    async with fleet(options=osapi_api.Options(max_body=1000)) as small:
        answer = await small("POST", EXEC, {"command": "x" * 1000})
        assert answer.status == 413
        assert "at most 1000 bytes" in answer.body["error"]
        assert (await small("POST", EXEC, {"command": "x" * 900})).status == 202
    # What fits the bound of the API, but not that of the broker.
    assert (await api("POST", EXEC, {"command": "x" * (1024 * 1024 - 100)})).status == 413


async def test_request_ids(api: Rest) -> None:
    assert (await api("GET", "/health", X_Request_ID="a-1._b")).headers["X-Request-ID"] == "a-1._b"
    ids = {(await api("GET", "/health", X_Request_ID=bad)).headers["X-Request-ID"] for bad in ("a b", "é", "x" * 129)}
    assert len(ids) == 3
    assert all(len(found) == 32 for found in ids)
    assert (await api("GET", "/nothing", X_Request_ID="find-me")).body["request_id"] == "find-me"


async def test_a_fault_of_ours_tells_nothing_but_the_id(
    api: Rest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(fleet: osapi.Fleet) -> None:
        raise RuntimeError("password 1234 at 10.0.0.1")

    monkeypatch.setattr(type(api.client.fleet), "list", fail)
    answer = await api("GET", "/agent", X_Request_ID="find-me")

    assert answer.status == 500
    assert answer.body["error"] == "the server failed; its log tells more about request find-me"
    assert "password 1234" in caplog.text
    assert "request find-me failed" in caplog.text


async def test_a_broker_that_is_away(autojump_clock: object, api: Rest, caplog: pytest.LogCaptureFixture) -> None:
    api.transport.disconnect()
    answer = await api("GET", "/job/01890a5d-ac96-774b-bcce-b302099a8057")
    api.transport.reconnect()

    assert answer.status == 503
    assert "the broker cannot be reached" in answer.body["error"]
    assert answer.headers["Retry-After"] == "1"
    assert answer.body["request_id"] in caplog.text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (osapi.InvalidPayloadError("x", "y", "z"), 400),
        (osapi.InvalidTargetError("x", "y", "z"), 400),
        (osapi.UnknownHostError("x"), 400),
        (osapi.NoAgentsError("x"), 400),
        (osapi.UnknownJobError("x"), 404),
        (osapi.UnknownOperationError("x"), 404),
        (osapi.ConflictError("x", 1, 2), 409),
        (osapi.PayloadTooLargeError("x", 2, 1), 413),
        (osapi.DisconnectedError("at 10.0.0.1"), 503),
        (osapi.UncertainError("at 10.0.0.1"), 503),
        (osapi.LimitReachedError("at 10.0.0.1"), 503),
        (osapi.ClosedError("at 10.0.0.1"), 503),
        (osapi.AccessRefusedError("at 10.0.0.1"), 500),
        (osapi.RecordError("at 10.0.0.1"), 500),
        (ValueError("at 10.0.0.1"), 500),
        (ImATeapot(), 418),
    ],
)
def test_statuses(error: Exception, status: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "osapi.api"):
        problem = problem_of(error, "id")

    assert problem.status == status
    assert "10.0.0.1" not in str(problem)
    assert ("10.0.0.1" in caplog.text) == (status >= 500)


@pytest.mark.parametrize(
    "options",
    [
        {"job_timeout": 0},
        {"body_timeout": float("nan")},
        {"health_timeout": 1e9},
        {"max_waiting": 0},
        {"max_body": -1},
        {"allow_origins": ("https://x/path",)},
        {"allow_origins": ("x",)},
    ],
)
def test_options_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(osapi.InvalidSettingError):
        osapi_api.Options(**options)


async def test_a_body_that_does_not_arrive(autojump_clock: object) -> None:
    async with fleet(options=osapi_api.Options(body_timeout=2.0)) as api:
        sent: list[Any] = []
        scope: Any = {
            "type": "http",
            "method": "POST",
            "scheme": "http",
            "path": "/api/operation/_any/test.echo",
            "raw_path": b"",
            "query_string": b"",
            "root_path": "",
            "http_version": "1.1",
            "headers": [
                (b"host", b"x"),
                (b"content-type", b"application/json"),
                (b"content-length", b"10"),
                (b"authorization", b"Bearer " + token_of("admin").encode()),
            ],
            "client": None,
            "extensions": {},
        }
        begun = trio.current_time()

        async def receive() -> Any:
            await trio.sleep_forever()

        async def send(message: Any) -> None:
            sent.append(message)

        await api.app(scope, receive, send)

    assert sent[0]["status"] == 408
    assert trio.current_time() - begun >= 2.0


async def test_the_type_says_which_error_of_the_library_it_was(api: Rest) -> None:
    absent = await api("GET", "/node/web-99/hostname")
    assert absent.body["type"] == "urn:osapi:problem:unknown-host"
    nobody = await api("GET", "/node/group:mail/hostname")
    assert nobody.body["type"] == "urn:osapi:problem:no-agents"
    wrong = await api("GET", "/node/group:/hostname")
    assert wrong.body["type"] == "urn:osapi:problem:invalid-target"
    nothing = await api("GET", "/nothing")
    assert nothing.body["type"] == "about:blank"
