"""The rows under /schedule, over both brokers."""

from __future__ import annotations

import re
from typing import Any

import pytest
import trio

from tests.api.conftest import Rest, token_of

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
HOURLY = {"operation": "test.echo", "data": {"n": 1}, "target": "web-01", "every": 3600}


async def test_a_schedule_in_all_its_fields(both: Rest) -> None:
    made = await both("PUT", "/schedule/hourly", HOURLY)
    assert made.status == 201
    assert made.headers["Location"].endswith("/schedule/hourly")
    body: dict[str, Any] = dict(made.body)
    assert all(TIME.fullmatch(body.pop(name)) for name in ("created", "updated"))
    times = body.pop("next_times")
    assert (len(times), all(TIME.fullmatch(moment) for moment in times)) == (5, True)
    assert body == {
        "name": "hourly",
        "operation": {"type": "test.echo", "data": {"n": 1}},
        "target": "web-01",
        "at": None,
        "every": 3600.0,
        "cron": None,
        "time_zone": "UTC",
        "catch_up": 3600.0,
        "overlap": "skip",
        "within": None,
        "start_within": None,
        "timeout": None,
        "paused": False,
        "by": "tester",
        "job_id": "",
        "job_status": None,
        "submitted": 0,
        "skipped": 0,
        "missed": 0,
        "refused": 0,
        "firings": [],
    }
    assert (await both("GET", "/schedule/hourly")).body == made.body
    again = await both("PUT", "/schedule/hourly", {**HOURLY, "overlap": "allow"})
    assert (again.status, again.body["overlap"], again.body["next_times"]) == (200, "allow", times)
    nightly = {"operation": "test.echo", "cron": "0 3 * * mon-fri", "time_zone": "Europe/Berlin", "within": 60}
    assert (await both("PUT", "/schedule/nightly", nightly)).body["time_zone"] == "Europe/Berlin"
    listed = (await both("GET", "/schedule")).body
    assert ([item["name"] for item in listed["items"]], listed["total"]) == (["hourly", "nightly"], 2)


async def test_what_became_of_it_is_told(both: Rest) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(both.client.schedules.serve)
        await both("PUT", "/schedule/tick", {**HOURLY, "every": 1})
        with trio.fail_after(20):
            while (found := (await both("GET", "/schedule/tick")).body)["job_status"] != "completed":
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    (newest, *_) = found["firings"]
    assert (newest["outcome"], newest["job_id"], newest["count"]) == ("submitted", found["job_id"], 1)
    assert (await both("GET", f"/job/{found['job_id']}")).body["operation"]["data"] == {"n": 1}


async def test_paused_resumed_and_removed(both: Rest) -> None:
    await both("PUT", "/schedule/s", HOURLY)
    paused = (await both("POST", "/schedule/s/pause")).body
    assert (paused["paused"], paused["next_times"]) == (True, [])
    resumed = (await both("POST", "/schedule/s/resume")).body
    assert (resumed["paused"], len(resumed["next_times"])) == (False, 5)
    assert (await both("DELETE", "/schedule/s")).status == 204
    for method, suffix in (("GET", ""), ("POST", "/pause"), ("POST", "/resume"), ("DELETE", "")):
        assert (await both(method, f"/schedule/s{suffix}")).status == 404
        assert (await both(method, f"/schedule/-{suffix}")).status == 400


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"operation": "test.nothing"}, 404),
        ({"operation": 5}, 400),
        ({"target": "_nobody"}, 400),
        ({"data": "x" * 300_000}, 413),
        ({"every": None}, 400),
        ({"every": 0.5}, 400),
        ({"cron": "@daily"}, 400),
        ({"every": None, "cron": "0 3 * *"}, 400),
        ({"every": None, "cron": "@daily", "time_zone": "Europe/Berln"}, 400),
        ({"every": None, "at": "2020-01-01T00:00:00Z"}, 400),
        ({"every": None, "at": "2030-01-01T00:00:00"}, 400),
        ({"overlap": "queue"}, 400),
        ({"catch_up": 0}, 400),
        ({"within": -1}, 400),
        ({"evry": 5}, 400),
    ],
)
async def test_what_is_wrong_is_refused(api: Rest, change: dict[str, Any], status: int) -> None:
    answer = await api("PUT", "/schedule/s", {**HOURLY, **change})
    assert (answer.status, bool(answer.body["error"])) == (status, True)
    assert (await api("GET", "/schedule")).body == {"items": [], "total": 0}
    assert (await api("PUT", "/schedule/s")).status == 400


async def test_it_takes_the_permission_of_the_operation_too(api: Rest) -> None:
    writer = token_of(permissions=["job:write", "job:read"])
    refused = await api("PUT", "/schedule/s", HOURLY, token=writer)
    assert (refused.status, "test:read" in refused.body["error"]) == (403, True)
    both_of_them = token_of(permissions=["job:write", "test:read"])
    assert (await api("PUT", "/schedule/s", HOURLY, token=both_of_them)).status == 201
    assert (await api("POST", "/schedule/s/pause", token=writer)).status == 200
    assert (await api("POST", "/schedule/s/resume", token=writer)).status == 403
    assert (await api("POST", "/schedule/s/resume", token=both_of_them)).status == 200
    assert (await api("DELETE", "/schedule/s", token=writer)).status == 204
