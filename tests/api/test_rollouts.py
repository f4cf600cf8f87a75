"""The rows under /rollout, over both brokers."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio

from tests.api.conftest import Rest, token_of

ABSENT = "01890a5d-ac96-774b-bcce-b302099a8057"


async def until(api: Rest, rollout_id: str, status: str) -> dict[str, Any]:
    with trio.fail_after(20):
        while (found := (await api("GET", f"/rollout/{rollout_id}")).body)["status"] != status:
            await trio.sleep(0.05)
    return dict(found)


async def test_a_rollout_from_its_start_to_its_end(both: Rest) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(both.client.rollouts.conduct)
        answer = await both("POST", "/rollout", {"operation": "node.hostname.get", "batch": "50%", "canary": 1})
        assert answer.status == 201
        rollout_id = answer.body["id"]
        assert answer.headers["Location"].endswith(f"/rollout/{rollout_id}")
        assert (answer.body["status"], answer.body["by"], answer.body["batches"]) == ("running", "tester", [])
        done = await until(both, rollout_id, "completed")
        hosts = sorted(host for batch in done["batches"] for host in batch["hosts"])
        assert hosts == sorted(agent.hostname for agent in both.client.fleet.registered())
        assert done["waiting"] == []
        for batch in done["batches"]:
            assert batch["outcomes"] == {"completed": len(batch["hosts"])}
            assert (await both("GET", f"/job/{batch['job_id']}")).body["expected"] == batch["hosts"]
        assert (await both("GET", "/rollout?limit=1")).body["items"] == [done]
        refused = await both("POST", f"/rollout/{rollout_id}/abort")
        assert (refused.status, "a rollout that is completed cannot abort" in refused.body["error"]) == (409, True)
        nursery.cancel_scope.cancel()


async def test_a_rollout_is_followed_until_it_is_over(both: Rest) -> None:
    started = await both("POST", "/rollout", {"operation": "node.hostname.get"})
    path = f"/rollout/{started.body['id']}"
    told: list[bytes] = []
    async with trio.open_nursery() as nursery:

        async def follow() -> None:
            told.append((await both("GET", f"{path}/events")).body)

        nursery.start_soon(follow)
        await both("POST", f"{path}/pause", {"reason": "lunch"})
        assert (await both("POST", f"{path}/abort")).body["status"] == "aborted"
    events = [dict(line.split(": ", 1) for line in part.splitlines()) for part in told[0].decode().split("\n\n")[1:-1]]
    states = [msgspec.json.decode(event["data"]) for event in events]
    assert states[-1] == (await both("GET", path)).body
    assert {state["status"] for state in states} <= {"running", "paused", "aborted"}
    assert {event["event"] for event in events} == {"rollout"}
    assert [event["id"] for event in events] == [state["updated"] for state in states]
    # What is over is told once.
    assert (await both("GET", f"{path}/events")).body.count(b"event:") == 1


async def test_pause_resume_and_abort_say_by_whom_and_why(both: Rest) -> None:
    started = await both("POST", "/rollout", {"operation": "node.hostname.get", "target": "_all"})
    path = f"/rollout/{started.body['id']}"
    paused = (await both("POST", f"{path}/pause", {"reason": "lunch"})).body
    assert (paused["status"], paused["by"], paused["reason"]) == ("paused", "tester", "lunch")
    assert (await both("POST", f"{path}/pause")).status == 409
    assert (await both("POST", f"{path}/resume")).body["status"] == "running"
    assert (await both("POST", f"{path}/abort")).body["status"] == "aborted"


@pytest.mark.parametrize(
    "change",
    [
        {"operation": 5},
        {"target": "_any"},
        {"target": "nobody"},
        {"target": "group:nobody"},
        {"batch": 0},
        {"batch": "0%"},
        {"batch": "x"},
        {"batch": 1.5},
        {"canary": -1},
        {"pause": -1},
        {"pause": 1e300},
        {"max_failures": -1},
        {"within": 0},
        {"timeout": -3},
        {"data": {"surprise": 1}, "operation": "command.exec.run"},
        {"hosts": ["a"]},
    ],
)
async def test_what_cannot_be_rolled_out(api: Rest, change: dict[str, Any]) -> None:
    answer = await api("POST", "/rollout", {"operation": "node.hostname.get", **change})
    assert answer.status == 400, answer.body
    assert (await api("GET", "/rollout")).body["items"] == []


async def test_what_is_not_there(api: Rest) -> None:
    assert (await api("GET", f"/rollout/{ABSENT}")).status == 404
    assert (await api("GET", "/rollout/x")).status == 400
    assert (await api("GET", f"/rollout/{ABSENT}/events")).status == 404
    assert (await api("GET", "/rollout/x/events")).status == 400
    assert (await api("POST", f"/rollout/{ABSENT}/pause")).status == 404
    assert (await api("POST", "/rollout", {"operation": "node.hostname.burn"})).status == 404
    assert (await api("GET", "/rollout?limit=0")).status == 400


async def test_it_needs_the_permission_of_the_operation_too(api: Rest) -> None:
    body = {"operation": "command.exec.run", "data": {"command": "ls"}}
    refused = await api("POST", "/rollout", body, token=token_of("write"))
    assert (refused.status, "command:execute" in refused.body["error"]) == (403, True)
    started = await api("POST", "/rollout", body, token=token_of(permissions=["job:write", "command:execute"]))
    assert started.status == 201
    path = f"/rollout/{started.body['id']}"
    assert (await api("POST", f"{path}/abort", token=token_of("write"))).status == 403
    assert (await api("GET", path, token=token_of("read"))).status == 200
    assert (await api("POST", "/rollout", body, token=token_of("read"))).status == 403
