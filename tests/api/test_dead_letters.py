"""The rows under /job/dlq, over both brokers."""

from __future__ import annotations

import re
from typing import Any

import pytest
import trio

from tests.api.conftest import Rest, token_of

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
PATIENCE = 20.0


async def given_up(api: Rest, *targets: str) -> list[dict[str, Any]]:
    """Let jobs use up their attempts, and return their dead letters, newest first."""
    with trio.fail_after(PATIENCE):
        for target in targets:
            await api("POST", f"/operation/{target}/test.busy")
        while True:
            found = (await api("GET", "/job/dlq?limit=100")).body
            if len(found["items"]) == len(targets) and all(item["job"] for item in found["items"]):
                assert found["total_items"] == len(targets)
                return list(found["items"])
            await trio.sleep(0.05)


async def test_a_dead_letter_tells_its_whole_story(both: Rest) -> None:
    assert (await both("GET", "/job/dlq")).body == {"total_items": 0, "items": []}
    (letter,) = await given_up(both, "web-01")
    assert (await both("GET", f"/job/dlq/{letter['sequence']}")).body == letter
    assert TIME.fullmatch(letter.pop("timestamp"))
    job = letter.pop("job")
    assert (job["id"], job["status"], job["attempts"]) == (letter["job_id"], "failed", 2)
    assert letter == {
        "sequence": letter["sequence"],
        "reason": "TransientError: busy",
        "consumer": "agent-web-01",
        "deliveries": letter["deliveries"],
        "job_id": job["id"],
        "operation": "test.busy",
        "target": "web-01",
        "hostname": "web-01",
    }


async def test_they_are_found_by_operation_target_and_reason(both: Rest) -> None:
    await given_up(both, "web-01", "db-01", "_any")
    found = (await both("GET", "/job/dlq?limit=2")).body
    assert (found["total_items"], [item["target"] for item in found["items"]]) == (3, ["_any", "db-01"])
    for query, count in (
        ("operation=test.busy", 3),
        ("operation=test.echo", 0),
        ("target=web-01", 1),
        ("reason=BUSY", 3),
        ("reason=other", 0),
    ):
        assert (await both("GET", f"/job/dlq?{query}")).body["total_items"] == count, query
    assert (await both("DELETE", "/job/dlq?target=web-01")).body == {"purged": 1}
    assert (await both("DELETE", "/job/dlq?all=true")).body == {"purged": 2}
    assert (await both("GET", "/job/dlq")).body["total_items"] == 0


async def test_one_is_replayed_once_and_gone(both: Rest) -> None:
    (letter,) = await given_up(both, "web-01")
    answers: list[Any] = []

    async def replay() -> None:
        answers.append(await both("POST", f"/job/dlq/{letter['sequence']}/replay"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(replay)
        nursery.start_soon(replay)
    done = [answer for answer in answers if answer.status == 201]
    assert done
    assert {answer.status for answer in answers} <= {201, 404}
    (new,) = {answer.body["job_id"] for answer in done}
    assert {answer.headers["Location"] for answer in done} == {f"/api/job/{new}"}
    assert done[0].body.keys() == {"job_id", "status", "revision", "timestamp"}
    job = (await both("GET", f"/job/{new}")).body
    assert (job["retry_of"], job["target"]) == (letter["job_id"], "web-01")
    assert (await both("GET", "/job")).body["total_items"] == 2
    assert (await both("GET", f"/job/dlq/{letter['sequence']}")).status == 404
    assert (await both("POST", f"/job/dlq/{letter['sequence']}/replay")).status == 404


async def test_a_replay_needs_the_permission_of_the_operation_too(api: Rest) -> None:
    (letter,) = await given_up(api, "web-01")
    path = f"/job/dlq/{letter['sequence']}/replay"
    refused = await api("POST", path, token=token_of(permissions=["job:write"]))
    assert refused.status == 403
    assert "test:write" in refused.body["error"]
    assert (await api("POST", path, token=token_of(permissions=["job:write", "test:write"]))).status == 201


async def test_one_is_removed(both: Rest) -> None:
    (letter,) = await given_up(both, "web-01")
    path = f"/job/dlq/{letter['sequence']}"
    removed = await both("DELETE", path)
    assert (removed.status, removed.body) == (204, None)
    assert (await both("DELETE", path)).status == 404
    assert (await both("GET", f"/job/{letter['job_id']}")).body["status"] == "failed"


@pytest.mark.parametrize("query", ["", "?all=false", "?all=true&target=web-01", "?all=true&all=true", "?every=true"])
async def test_what_shall_be_purged_must_be_said(api: Rest, query: str) -> None:
    await given_up(api, "web-01")
    assert (await api("DELETE", f"/job/dlq{query}")).status == 400
    assert (await api("GET", "/job/dlq")).body["total_items"] == 1


async def test_sequences_and_queries_that_are_none(api: Rest) -> None:
    for sequence in ("0", "-1", "x", "1.0", "%D9%A1", "1_0", "+1", "9" * 19, "9" * 300, "9223372036854775808"):
        for method, suffix in (("GET", ""), ("DELETE", ""), ("POST", "/replay")):
            assert (await api(method, f"/job/dlq/{sequence}{suffix}")).status == 400, sequence
    assert (await api("GET", "/job/dlq/9223372036854775807")).status == 404
    for query in ("limit=0", "limit=101", "limit=x", "offset=1"):
        assert (await api("GET", f"/job/dlq?{query}")).status == 400, query
