"""The rows that give orders: cancel, drain, undrain; over both brokers."""

from __future__ import annotations

from typing import Any

import trio

import osapi
from osapi_api.offered import endpoints
from tests.api.conftest import SECURITY, Rest, token_of
from tests.api.operations import operations
from tests.promises.conftest import until

ABSENT = "01890a5d-ac96-774b-bcce-b302099a8057"


async def running(api: Rest, target: str) -> str:
    """Submit a job that sleeps, and return its id."""
    path = f"/operation/{target}/test.sleep"
    return str((await api("POST", path, 100.0, Prefer="respond-async")).body["job_id"])


async def test_a_job_is_cancelled_by_whom_it_says(both: Rest) -> None:
    job_id = await running(both, "_all")
    answer = await both("POST", f"/job/{job_id}/cancel", {"reason": "too long"})
    assert answer.status == 200
    assert answer.body["id"] == job_id
    handle = await both.client.follow(job_id)
    await handle.result()
    job = (await both("GET", f"/job/{job_id}")).body
    assert job["status"] == "cancelled"
    assert {state["status"] for state in job["agent_states"].values()} == {"cancelled"}
    assert "tester" in job["error"]
    assert "too long" in job["error"]


async def test_some_of_its_hosts_go_on(both: Rest) -> None:
    job_id = await running(both, "_all")
    await both("POST", f"/job/{job_id}/cancel", {"hosts": ["DB-01"]})
    while (job := (await both("GET", f"/job/{job_id}")).body)["agent_states"]["db-01"]["status"] != "cancelled":
        await trio.sleep(0.02)
    assert job["agent_states"]["web-01"]["status"] in {"pending", "running"}
    assert (await both("POST", f"/job/{job_id}/cancel")).status == 200


async def test_what_has_ended_stays_as_it_is(both: Rest) -> None:
    job_id = (await both("GET", "/node/web-01/hostname")).body["job_id"]
    answer = await both("POST", f"/job/{job_id}/cancel")
    assert (answer.status, answer.body["status"]) == (200, "completed")


async def test_cancelling_what_is_not_there(api: Rest) -> None:
    assert (await api("POST", f"/job/{ABSENT}/cancel")).status == 404
    assert (await api("POST", "/job/x/cancel")).status == 400
    job_id = (await api("GET", "/node/_all/hostname")).body["job_id"]
    wrong: list[Any] = [
        {"hosts": ["web-02"]},
        {"hosts": []},
        {"hosts": ["a b"]},
        {"host": "x"},
        {"reason": "a\nb"},
        {"reason": "x" * 501},
        [],
    ]
    for body in wrong:
        assert (await api("POST", f"/job/{job_id}/cancel", body)).status == 400, body


async def test_cancelling_needs_the_permission_of_the_operation_too(api: Rest) -> None:
    ran = await api("POST", "/node/web-01/command/exec", {"command": "ls"})
    path = f"/job/{ran.body['job_id']}/cancel"
    refused = await api("POST", path, token=token_of("write"))
    assert refused.status == 403
    assert "command:execute" in refused.body["error"]
    assert (await api("POST", path, token=token_of(permissions=["job:write", "command:execute"]))).status == 200


async def test_a_subject_of_many_lines_cancels_too(api: Rest) -> None:
    job_id = await running(api, "web-01")
    token = SECURITY.generate("two\nlines " + "x" * 600, roles=["admin"])
    assert (await api("POST", f"/job/{job_id}/cancel", token=token)).status == 200
    handle = await api.client.follow(job_id)
    await handle.result()
    error = (await api("GET", f"/job/{job_id}")).body["error"]
    assert "two?lines xxx" in error


async def test_an_agent_is_drained_and_undrained(both: Rest) -> None:
    drained = await both("POST", "/agent/WEB-01/drain")
    assert (drained.status, drained.body.keys()) == (200, {"message"})
    assert drained.body["message"].startswith("web-01 ")
    await until(lambda: both.client.fleet.registration("web-01").state == "Cordoned")
    assert (await both("GET", "/agent/web-01")).body["state"] == "Cordoned"
    again = await both("POST", "/agent/web-01/drain")
    assert (again.status, "already" in again.body["error"]) == (409, True)
    for _ in range(3):
        (row,) = (await both("GET", "/node/_any/hostname")).body["results"]
        assert row["hostname"] == "db-01"
    undrained = await both("POST", "/agent/web-01/undrain")
    assert undrained.status == 200
    await until(lambda: both.client.fleet.registration("web-01").state == "Ready")
    assert (await both("POST", "/agent/web-01/undrain")).status == 409


async def test_agents_that_are_not_there_cannot_be_told(both: Rest) -> None:
    for order in ("drain", "undrain"):
        missing = await both("POST", f"/agent/web-02/{order}")
        assert missing.status == 404
        assert "did you mean web-01?" in missing.body["error"]
        assert (await both("POST", f"/agent/a b/{order}")).status == 400


def test_an_api_of_no_operations_has_these_all_the_same() -> None:
    assert {"cancel_job", "drain_agent"} <= {endpoint.name for endpoint in endpoints(osapi.Operations())}
    assert len(endpoints(operations)) > len(endpoints(osapi.Operations()))
