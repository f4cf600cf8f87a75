"""The rows under /job and /agent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import trio

import osapi
import osapi_api
from osapi_api.views import age
from tests.api.conftest import AGENTS, SECURITY, Rest, fleet, token_of
from tests.api.operations import operations

if TYPE_CHECKING:
    from collections.abc import Sequence

ABSENT = "01890a5d-ac96-774b-bcce-b302099a8057"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


async def submitted(api: Rest, *paths: str) -> Sequence[str]:
    """Run jobs one after the other and return their ids."""
    ids: list[str] = []
    for path in paths:
        answer = await api("GET", path)
        ids.append(answer.body["job_id"])
    return ids


async def test_a_job_of_one_host_in_all_its_fields(api: Rest) -> None:
    ran = await api("POST", "/operation/web-01/test.echo", {"secret": 1})
    job: dict[str, Any] = (await api("GET", f"/job/{ran.body['job_id']}")).body

    for name in ("created", "updated_at", "deadline"):
        assert TIME.fullmatch(job.pop(name))
    timeline = job.pop("timeline")
    assert [(line["event"], line["hostname"]) for line in timeline] == [
        ("submitted", ""),
        ("started", "web-01"),
        ("completed", "web-01"),
    ]
    assert timeline[0].keys() == {"timestamp", "event", "hostname", "message", "error"}
    states = job.pop("agent_states")
    assert states.keys() == {"web-01"}
    assert states["web-01"].keys() == {"status", "error", "duration"}
    assert re.fullmatch(r"\d+\.\d{3}s", states["web-01"]["duration"])
    response = {
        "hostname": "web-01",
        "status": "completed",
        "changed": False,
        "data": {"secret": 1},
        "error": "",
    }
    assert job == {
        "id": ran.body["job_id"],
        "status": "completed",
        "operation": {"type": "test.echo", "data": {"secret": 1}},
        "target": "web-01",
        "expected": ["web-01"],
        "hostname": "web-01",
        "result": {"secret": 1},
        "changed": False,
        "error": "",
        "responses": {"web-01": response},
        "attempts": 1,
        "retry_of": None,
        "retried_as": None,
    }


async def test_a_broadcast_names_every_host(api: Rest) -> None:
    (job_id,) = await submitted(api, "/node/_all/uptime")
    job = (await api("GET", f"/job/{job_id}")).body

    assert (job["hostname"], job["result"]) == ("", None)
    assert {host: state["status"] for host, state in job["agent_states"].items()} == {
        "db-01": "skipped",
        "web-01": "completed",
    }
    assert job["error"] == "db-01: no clock here"
    assert job["responses"]["db-01"]["data"] is None


async def test_a_job_that_nobody_has_taken(autojump_clock: object) -> None:
    async with fleet(agents={}) as api:
        ran = await api("GET", "/node/_any/hostname")
        job = (await api("GET", f"/job/{ran.body['job_id']}")).body

    assert (job["status"], job["hostname"], job["attempts"]) == ("submitted", "", 0)
    assert (job["responses"], job["agent_states"], job["expected"]) == ({}, {}, None)


async def test_the_list_is_newest_first_in_pages(api: Rest) -> None:
    ids = await submitted(api, *["/node/web-01/hostname"] * 3, "/node/db-01/uptime")

    everything = (await api("GET", "/job")).body
    assert [job["id"] for job in everything["items"]] == [*reversed(ids)]
    assert everything["total_items"] == 4
    assert everything["status_counts"]["completed"] == 3
    assert everything["status_counts"]["skipped"] == 1
    assert everything["status_counts"]["failed"] == 0
    page = (await api("GET", "/job?limit=2&offset=1")).body
    assert [job["id"] for job in page["items"]] == [ids[2], ids[1]]
    assert page["total_items"] == 4


async def test_the_list_of_one_status(api: Rest) -> None:
    ids = await submitted(api, *["/node/web-01/hostname"] * 3, "/node/db-01/uptime")

    some = (await api("GET", "/job?status=completed&limit=1&offset=1")).body
    assert [job["id"] for job in some["items"]] == [ids[1]]
    assert some["total_items"] == 3
    assert sum(some["status_counts"].values()) == 4
    assert (await api("GET", "/job?offset=4")).body["items"] == []


async def test_a_deleted_job_is_gone(api: Rest) -> None:
    (job_id,) = await submitted(api, "/node/web-01/hostname")

    deleted = await api("DELETE", f"/job/{job_id}")
    assert (deleted.status, deleted.body) == (204, None)
    assert (await api("GET", f"/job/{job_id}")).status == 404
    assert (await api("DELETE", f"/job/{job_id}")).status == 404


async def test_a_retry_is_a_job_of_its_own(api: Rest) -> None:
    (old,) = await submitted(api, "/node/web-01/hostname")

    retried = await api("POST", f"/job/{old}/retry")
    assert retried.status == 201
    new = retried.body["job_id"]
    assert retried.body == {
        "job_id": new,
        "status": "created",
        "revision": retried.body["revision"],
        "timestamp": retried.body["timestamp"],
    }
    assert retried.body["revision"] > 0
    assert TIME.fullmatch(retried.body["timestamp"])
    assert retried.headers["Location"] == f"/api/job/{new}"
    assert (await api("GET", f"/job/{old}")).body["retried_as"] == new
    job = (await api("GET", f"/job/{new}")).body
    assert (job["retry_of"], job["target"]) == (old, "web-01")


async def test_a_retry_elsewhere(api: Rest) -> None:
    (old,) = await submitted(api, "/node/web-01/hostname")

    retried = await api("POST", f"/job/{old}/retry", {"target_hostname": "db-01"})
    assert (await api("GET", f"/job/{retried.body['job_id']}")).body["target"] == "db-01"
    assert (await api("POST", f"/job/{old}/retry", {"target_hostname": "db-99"})).status == 400
    assert (await api("POST", f"/job/{old}/retry", {"target": "db-01"})).status == 400


async def test_a_retry_needs_the_permission_of_the_operation_too(api: Rest) -> None:
    ran = await api("POST", "/node/web-01/command/exec", {"command": "ls"})
    path = f"/job/{ran.body['job_id']}/retry"

    refused = await api("POST", path, token=token_of("write"))
    assert refused.status == 403
    assert "command:execute" in refused.body["error"]
    both = token_of(permissions=["job:write", "command:execute"])
    assert (await api("POST", path, token=both)).status == 201


async def test_a_retry_that_cannot_be_looked_at_is_told_all_the_same(api: Rest) -> None:
    (old,) = await submitted(api, "/node/web-01/hostname")

    class Away:
        async def bucket(self, config: object) -> None:
            raise osapi.DisconnectedError("away")

    away: Any = Away()
    app = osapi_api.create_app(api.client, transport=away, operations=operations, security=SECURITY)
    retried = await Rest(app, api.client, api.transport)("POST", f"/job/{old}/retry")
    assert (retried.status, retried.body["revision"]) == (201, 0)


async def test_a_retry_of_what_this_api_does_not_know(api: Rest) -> None:
    (old,) = await submitted(api, "/node/web-01/hostname")
    app = osapi_api.create_app(api.client, transport=api.transport, operations=osapi.Operations(), security=SECURITY)
    refused = await Rest(app, api.client, api.transport)("POST", f"/job/{old}/retry")

    assert refused.status == 404
    assert "node.hostname.get" in refused.body["error"]


async def test_hosts_that_have_not_started_are_pending(autojump_clock: object) -> None:
    async with fleet(max_jobs=1) as api:
        await api("POST", "/operation/web-01/test.sleep", 60.0, Prefer="respond-async")
        await trio.sleep(1)
        asked = await api("POST", "/operation/_all/test.echo", 1, Prefer="respond-async")
        await trio.sleep(1)
        job = (await api("GET", f"/job/{asked.body['job_id']}")).body

    assert job["status"] == "processing"
    assert {host: state["status"] for host, state in job["agent_states"].items()} == {
        "db-01": "completed",
        "web-01": "pending",
    }


async def test_the_list_by_operation_target_and_time(api: Rest) -> None:
    ids = await submitted(
        api, "/node/web-01/hostname", "/node/db-01/uptime", "/node/web-01/uptime", "/node/_all/uptime"
    )
    created = [(await api("GET", f"/job/{job_id}")).body["created"] for job_id in ids]

    async def found(query: str) -> tuple[int, list[int]]:
        body = (await api("GET", f"/job?{query}")).body
        assert sum(body["status_counts"].values()) == 4
        return body["total_items"], [ids.index(job["id"]) for job in body["items"]]

    assert await found("operation=node.uptime.get") == (3, [3, 2, 1])
    assert await found("operation=node.uptime.get&limit=1&offset=1") == (3, [2])
    assert await found("target=Web-01") == (2, [2, 0])
    assert await found("target=web-01&operation=node.uptime.get&status=completed") == (1, [2])
    assert await found("target=_all&status=failed") == (0, [])
    assert await found("operation=node.none") == (0, [])
    assert await found("since=1970-01-01T00:00:00Z&until=2999-01-01T02:00:00%2B02:00") == (4, [3, 2, 1, 0])
    assert await found("until=1970-01-01T00:00:00Z") == (0, [])
    assert await found("since=2999-01-01T00:00:00Z") == (0, [])
    # What is told is cut to the millisecond, so that the job itself is always within.
    assert (await found(f"since={created[2]}"))[1][:2] == [3, 2]


async def test_filters_that_cannot_be(api: Rest) -> None:
    for query in (
        "since=yesterday",
        "since=2026",
        "until=0.5",
        "since=2026-01-01T00:00:00",
        "until=",
        "target=a%20b",
        "target=",
        "host=web-01",
    ):
        assert (await api("GET", f"/job?{query}")).status == 400


async def test_the_list_without_a_broker(autojump_clock: object, api: Rest) -> None:
    api.transport.disconnect()
    answer = await api("GET", "/job")
    api.transport.reconnect()

    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert (await api("GET", "/job")).status == 200


@pytest.mark.parametrize(("seconds", "shown"), [(-1, "0s"), (59.9, "59s"), (61, "1m1s"), (7322, "2h2m2s")])
def test_ages_are_as_go_prints_them(seconds: float, shown: str) -> None:
    assert age(seconds) == shown


@pytest.mark.parametrize(("method", "suffix"), [("GET", ""), ("DELETE", ""), ("POST", "/retry")])
async def test_jobs_that_are_not_there(api: Rest, method: str, suffix: str) -> None:
    assert (await api(method, f"/job/{ABSENT}{suffix}")).status == 404
    for wrong in ("x", "*", "%3E", "a" * 300, "01890A5D"):
        assert (await api(method, f"/job/{wrong}{suffix}")).status == 400


async def test_agents(api: Rest) -> None:
    listed = (await api("GET", "/agent")).body

    assert listed["total"] == 2
    assert [agent["hostname"] for agent in listed["agents"]] == ["db-01", "web-01"]
    one = await api("GET", "/agent/Web-01")
    assert [event["event"] for event in one.body["timeline"]] == ["registered"]
    assert {**one.body, "timeline": []} == listed["agents"][1]
    assert (one.body["status"], one.body["state"], one.body["labels"]) == ("Ready", "Ready", AGENTS["web-01"])
    assert "node.uptime.get" in one.body["operations"]


async def test_agents_that_are_not_there(api: Rest) -> None:
    missing = await api("GET", "/agent/web-02")

    assert missing.status == 404
    assert "did you mean web-01?" in missing.body["error"]
    for wrong in ("_any", "group:web", "a b", "-"):
        assert (await api("GET", f"/agent/{wrong}")).status == 400
