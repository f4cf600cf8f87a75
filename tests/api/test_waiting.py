"""Waiting for jobs: who stays silent, who will not wait, who leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio

import osapi
import osapi_api
from osapi_api.app import EXTENSION
from tests.api.conftest import Answer, Rest, fleet, token_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SLEEP = "/operation/_all/test.sleep"


def waiting(api: Rest) -> int:
    found: int = api.app.extensions[EXTENSION][0].waiting
    return found


async def test_hosts_that_stay_silent_are_named_and_the_job_goes_on(autojump_clock: object) -> None:
    async with fleet(options=osapi_api.Options(job_timeout=5.0)) as api:
        begun = trio.current_time()
        answer = await api("POST", SLEEP, 60.0)

        assert trio.current_time() - begun >= 5.0
        assert answer.status == 200
        job_id = answer.body["job_id"]
        error = f"no answer within 5 s; it may still come: see job {job_id}"
        assert answer.body["results"] == [
            {"hostname": host, "status": "failed", "changed": False, "error": error} for host in ("db-01", "web-01")
        ]
        assert (await api("GET", f"/job/{job_id}")).body["status"] == "processing"
        await trio.sleep(60)
        assert (await api("GET", f"/job/{job_id}")).body["status"] == "completed"


async def test_a_job_that_nobody_takes_is_told_of_too(autojump_clock: object) -> None:
    async with fleet(agents={}, options=osapi_api.Options(job_timeout=5.0)) as api:
        answer = await api("GET", "/node/_any/hostname")

    (row,) = answer.body["results"]
    assert (row["hostname"], row["status"]) == ("_any", "failed")
    assert row["error"].startswith("no answer within 5 s, since no agent takes jobs now; it may still come: see job ")


async def test_whom_nobody_can_answer_for_is_told_why(autojump_clock: object) -> None:
    async with fleet(options=osapi_api.Options(job_timeout=5.0)) as api:
        assert (await api("POST", "/agent/db-01/drain")).status == 200
        await trio.sleep(30)
        answer = await api("GET", "/node/_all/hostname")
        errors = {row["hostname"]: row.get("error", "") for row in answer.body["results"]}
        assert errors.pop("web-01") == ""
        assert errors.pop("db-01").startswith("no answer within 5 s, since it is Cordoned; it may still come")
        assert (await api("GET", "/node/_any/hostname")).body["results"][0]["status"] == "ok"

        await api("POST", "/agent/web-01/drain")
        await trio.sleep(30)
        (row,) = (await api("GET", "/node/_any/hostname")).body["results"]
        assert row["error"].startswith("no answer within 5 s, since no agent takes jobs now; it may still come")
        (row,) = (await api("GET", "/node/db-01/hostname")).body["results"]
        assert "since it is Cordoned" in row["error"]


async def test_a_job_that_expires_while_it_is_waited_for(autojump_clock: object) -> None:
    async with fleet(agents={}, options=osapi_api.Options(job_timeout=100.0), within=20.0) as api:
        answer = await api("GET", "/node/_any/hostname")

    (row,) = answer.body["results"]
    assert (row["hostname"], row["status"], row["error"]) == ("_any", "failed", "not started by any agent in time")


@pytest.mark.parametrize(
    ("prefer", "asynchronous"),
    [
        ("respond-async", True),
        ("Respond-Async", True),
        ("respond-async; wait=10", True),
        ("handling=lenient, respond-async", True),
        ("wait=10", False),
        ("x-respond-async", False),
        ("return=respond-async-not", False),
    ],
)
async def test_who_will_not_wait(autojump_clock: object, prefer: str, asynchronous: bool) -> None:
    async with fleet() as api:
        begun = trio.current_time()
        answer = await api("POST", SLEEP, 3.0, Prefer=prefer)

        assert (trio.current_time() - begun < 3.0) == asynchronous
        assert answer.status == (202 if asynchronous else 200)
        if asynchronous:
            job_id = answer.body["job_id"]
            assert answer.body == {"job_id": job_id}
            assert answer.headers["Location"] == f"/api/job/{job_id}"
            assert answer.headers["Preference-Applied"] == "respond-async"
            await trio.sleep(10)
            assert (await api("GET", f"/job/{job_id}")).body["status"] == "completed"


async def test_no_more_wait_than_may(autojump_clock: object) -> None:
    answers: list[Answer] = []
    async with fleet(options=osapi_api.Options(max_waiting=2)) as api:

        async def ask() -> None:
            answers.append(await api("POST", SLEEP, 10.0))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(ask)
            await trio.sleep(1)
            refused = await api("POST", SLEEP, 10.0)
            accepted = await api("POST", SLEEP, 10.0, Prefer="respond-async")
        assert (await api("POST", SLEEP, 0.0)).status == 200
        assert (await api("GET", "/job")).body["total_items"] == 4, "what was refused was not submitted"

    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    assert "2 requests wait" in refused.body["error"]
    assert accepted.status == 202
    assert [answer.status for answer in answers] == [200, 200]


async def test_who_leaves_is_not_waited_for_and_the_job_goes_on(autojump_clock: object) -> None:
    async with fleet() as api:
        sent: list[Any] = []
        call = request(api, b"5.0", leaves_after=1.0)
        await api.app(call.scope, call.receive, record(sent))

        assert sent == []
        assert waiting(api) == 0
        await trio.sleep(10)
        jobs = (await api("GET", "/job")).body
        assert jobs["status_counts"]["completed"] == 1


async def test_a_job_that_is_deleted_while_it_is_waited_for(autojump_clock: object) -> None:
    answers: list[Answer] = []
    async with fleet() as api:

        async def ask() -> None:
            answers.append(await api("POST", SLEEP, 20.0))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(1)
            (job,) = (await api("GET", "/job")).body["items"]
            assert (await api("DELETE", f"/job/{job['id']}")).status == 204

    (answer,) = answers
    assert answer.status == 404
    assert "was deleted" in answer.body["error"]


async def test_a_client_that_ends_ends_the_wait(autojump_clock: object) -> None:
    answers: list[Answer] = []
    async with trio.open_nursery() as nursery:

        async def ask(api: Rest) -> None:
            answers.append(await api("POST", SLEEP, 20.0))

        async with fleet() as api:
            nursery.start_soon(ask, api)
            await trio.sleep(1)

    (answer,) = answers
    assert (answer.status, answer.body["error"]) == (503, "the server is stopping; try again")


async def test_an_agent_of_another_version_may_answer_anything(api: Rest) -> None:
    others = osapi.Operations()

    @others.query("node.uptime.get")
    async def uptime(job: osapi.Job) -> str:
        return "3 days"

    @others.query("node.hostname.get")
    async def hostname(job: osapi.Job) -> dict[str, int]:
        return {"hostname": 3, "status": 4}

    assert len(others) == 2
    async with osapi.Agent(api.transport, others, hostname="old-01"):
        answer = await api("GET", "/node/old-01/uptime")
        moved = await api("GET", "/node/old-01/hostname")

    row = {"hostname": "old-01", "status": "ok", "changed": False}
    assert answer.body["results"] == [{**row, "data": "3 days"}]
    assert moved.body["results"] == [{**row, "own_hostname": 3, "own_status": 4}]


# --- Requests below the test client ----------------------------------------------------------------------------


class Request(msgspec.Struct):
    scope: Any
    receive: Any


def request(api: Rest, body: bytes, *, leaves_after: float) -> Request:
    """Return a request whose sender leaves without waiting for the answer."""
    headers = {
        "host": "x",
        "content-type": "application/json",
        "content-length": f"{len(body)}",
        "authorization": f"Bearer {token_of('admin')}",
    }
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": api.prefix + SLEEP,
        "raw_path": b"",
        "query_string": b"",
        "root_path": "",
        "http_version": "1.1",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": None,
        "extensions": {},
    }
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await trio.sleep(leaves_after)
        return {"type": "http.disconnect"}

    return Request(scope, receive)


def record(sent: list[Any]) -> Callable[[Any], Awaitable[None]]:
    async def send(message: Any) -> None:
        sent.append(message)

    return send
