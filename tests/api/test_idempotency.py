"""Idempotency-Key: repeated, a request submits no second job; over both brokers."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from tests.api.conftest import SECURITY, Rest

ECHO = "/operation/web-01/test.echo"
SUBMITTING: list[tuple[str, str, Any]] = [
    ("GET", "/node/web-01/hostname", None),
    ("PUT", "/node/web-01/network/dns", {"interface_name": "eth0"}),
    ("DELETE", "/node/web-01/network/dns", {"interface_name": "eth0"}),
    ("POST", "/node/web-01/command/exec", {"command": "ls"}),
    ("POST", "/node/web-01/process/17/signal", {"signal": "TERM"}),
    ("POST", ECHO, [1]),
    ("POST", "/operation/_all/test.touch", None),
]


async def jobs(api: Rest) -> int:
    return int((await api("GET", "/job")).body["total_items"])


@pytest.mark.parametrize(("method", "path", "body"), SUBMITTING)
async def test_a_repeated_request_gets_the_same_job(both: Rest, method: str, path: str, body: Any) -> None:
    first = await both(method, path, body, Idempotency_Key='"8e03978e"')
    again = await both(method, path, body, Idempotency_Key='"8e03978e"')
    assert first.status < 300
    assert (again.status, again.body) == (first.status, first.body)
    assert await jobs(both) == 1
    other = await both(method, path, body, Idempotency_Key='"another"')
    assert other.body["job_id"] != first.body["job_id"]
    assert (await both(method, path, body)).body["job_id"] not in {first.body["job_id"], other.body["job_id"]}


async def test_another_payload_is_refused(both: Rest) -> None:
    await both("POST", ECHO, [1], Idempotency_Key='"k"')
    for path, body in ((ECHO, [2]), ("/operation/db-01/test.echo", [1]), ("/operation/web-01/test.sleep", 0.0)):
        refused = await both("POST", path, body, Idempotency_Key='"k"')
        assert refused.status == 422
        assert "Idempotency-Key" in refused.body["error"]
    assert await jobs(both) == 1


async def test_two_subjects_have_keys_of_their_own(both: Rest) -> None:
    ids: set[str] = set()
    for subject in ("anna", "ben"):
        token = SECURITY.generate(subject, roles=["admin"])
        for _ in range(2):
            ids.add((await both("POST", ECHO, subject, token=token, Idempotency_Key='"k"')).body["job_id"])
    assert len(ids) == 2


async def test_requests_at_once_are_one_job(both: Rest) -> None:
    answers: list[Any] = []

    async def ask(path: str, prefer: str) -> None:
        answers.append(await both("POST", path, 0.2, Idempotency_Key='"k"', Prefer=prefer))

    async with trio.open_nursery() as nursery:
        for prefer in ("", "", "respond-async", ""):
            nursery.start_soon(partial(ask, "/operation/web-01/test.sleep", prefer))
    assert len({answer.body["job_id"] for answer in answers}) == 1
    assert sorted(answer.status for answer in answers) == [200, 200, 200, 202]
    assert await jobs(both) == 1


async def test_a_retry_has_its_own_keys(both: Rest) -> None:
    job_id = (await both("POST", ECHO, [1], Idempotency_Key='"k"')).body["job_id"]
    first = await both("POST", f"/job/{job_id}/retry", Idempotency_Key='"k"')
    again = await both("POST", f"/job/{job_id}/retry", Idempotency_Key='"k"')
    assert (first.status, again.status) == (201, 201)
    assert first.body["job_id"] == again.body["job_id"] != job_id
    assert (await both("GET", f"/job/{job_id}")).body["retried_as"] == first.body["job_id"]
    elsewhere = {"target_hostname": "db-01"}
    assert (await both("POST", f"/job/{job_id}/retry", elsewhere, Idempotency_Key='"k"')).status == 422


@pytest.mark.parametrize("key", ["", '"', '""', "a b", '"é"', "é", f'"{"x" * 256}"', '"a"b', '"a\\x"', '"a";p=1'])
async def test_what_is_no_key(api: Rest, key: str) -> None:
    assert (await api("POST", ECHO, [1], Idempotency_Key=key)).status == 400
    assert await jobs(api) == 0


async def test_a_key_is_the_same_with_quotes_and_without(api: Rest) -> None:
    ids = {(await api("POST", ECHO, [1], Idempotency_Key=key)).body["job_id"] for key in ("a-1", '"a-1"', ' "a-1" ')}
    assert len(ids) == 1
    quoted = await api("POST", ECHO, [1], Idempotency_Key=r'"a\"\\"')
    assert quoted.status == 200
    assert (await api("POST", ECHO, [1], Idempotency_Key='"' + "x" * 255 + '"')).status == 200
