"""`osapi client rollout`."""

from __future__ import annotations

import json
import re
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.serving import answer, answering, stream

if TYPE_CHECKING:
    from tests.cli.conftest import Client

UNKNOWN = "0199c0de-7a11-7abc-8def-0123456789ab"


def test_one_that_goes_well_is_watched_batch_by_batch(client: Client) -> None:
    ended = client("rollout", "start", "node.uptime.get", "-T", "group:web", "--batch", "50%", "--watch")

    assert ended.status == 0, ended.err
    lines = [re.sub(r"^\S+Z +", "", line) for line in ended.out.splitlines()]
    assert lines[:4] == [
        "batch 1     on web-01",
        "batch 1     1 completed",
        "batch 2     on web-02",
        "batch 2     1 completed",
    ]
    assert re.fullmatch(r"Rollout \S+ is completed; 0 of 2 hosts failed\.", lines[4])


def test_one_that_halts_is_looked_at_and_resumed(client: Client) -> None:
    ended = client("rollout", "start", "node.uptime.get", "--canary", "1", "--batch", "2", "--watch", "--json")
    states = [json.loads(line) for line in ended.out.splitlines()]
    rollout_id = states[-1]["id"]

    assert ended.status == 1
    assert states[-1]["status"] == "halted"
    shown = client("rollout", "get", "--rollout-id", rollout_id).out
    assert "Reason     halted: 1 of the canary failed" in shown
    assert "Plan       1 first, 2 at a time, 0 may fail" in shown
    assert re.search(r"db-01 +1 +failed +RuntimeError: the disk is on fire", shown)
    assert "Waiting: web-01, web-02" in shown

    resumed = client("rollout", "resume", "--rollout-id", rollout_id, "--reason", "known")
    assert (resumed.status, resumed.out) == (0, f"Rollout {rollout_id} is running.\n")
    watched = client("rollout", "watch", "--rollout-id", rollout_id)
    assert watched.status == 1
    assert watched.out.splitlines()[-1] == f"Rollout {rollout_id} is completed: known; 1 of 3 hosts failed."
    again = client("rollout", "abort", "--rollout-id", rollout_id)
    assert (again.status, again.out) == (1, "")
    assert "a rollout that is completed cannot abort" in again.err


def test_one_is_watched_through_a_connection_that_breaks(client: Client) -> None:
    batch: dict[str, Any] = {"job_id": "7", "hosts": ["web-01"], "started": "T1", "ended": None, "outcomes": {}}
    now = {"id": UNKNOWN, "status": "running", "updated": "T1", "hosts": 1, "waiting": [], "batches": [batch]}
    done = {**now, "status": "completed", "updated": "T2", "batches": [{**batch, "ended": "T2", "outcomes": {"ok": 1}}]}

    def told(*states: dict[str, Any]) -> bytes:
        lines = [(f"id: {state['updated']}", "event: rollout", f"data: {json.dumps(state)}", "") for state in states]
        return stream("retry: 1", "", *chain.from_iterable(lines))

    with answering(answer(200, json.dumps(now).encode()), told(now), told(now, done)) as (url, asked):
        client.environment.setenv("OSAPI_CONTROLLER_CLIENT_URL", url)
        ended = client("rollout", "watch", "--rollout-id", UNKNOWN)
    with answering(answer(200, json.dumps(now).encode()), told(now), told(now, done)) as (url, _):
        client.environment.setenv("OSAPI_CONTROLLER_CLIENT_URL", url)
        programs = client("rollout", "watch", "--rollout-id", UNKNOWN, "--json")

    assert [json.loads(line) for line in programs.out.splitlines()] == [now, done]
    assert ended.status == 0
    assert [line.split() for line in ended.out.splitlines()] == [
        ["T1", "batch", "1", "on", "web-01"],
        ["T2", "batch", "1", "1", "ok"],
        ["Rollout", UNKNOWN, "is", "completed;", "0", "of", "1", "hosts", "failed."],
    ]
    assert asked[1:] == [f"GET /api/rollout/{UNKNOWN}/events HTTP/1.1{after}" for after in ("", " after T1")]


def test_the_list_shows_the_newest_first(client: Client) -> None:
    client("rollout", "start", "node.uptime.get", "-T", "group:web", "--watch")
    ended = client("rollout", "list", "--limit", "1")
    head, row = ended.out.splitlines()

    assert head.split() == ["ROLLOUT", "ID", "STATUS", "CREATED", "TARGET", "OPERATION", "HOSTS", "FAILED"]
    assert row.split()[1] == "completed"
    assert row.split()[3:] == ["group:web", "node.uptime.get", "2/2", "0"]
    (item,) = client.json("rollout", "list", "--limit", "1")["items"]
    assert item["status"] == "completed"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["start", "node.uptime.get", "--batch", "x"], 2, "'x' is no number of hosts, such as 3 or 10%"),
        (["start", "node.uptime.get", "--batch", "200%"], 2, "'200%': is no number of hosts (batch); use a number"),
        (["start", "node.uptime.get", "--pause", "5"], 2, "'5' is no duration, such as 30s or 5m"),
        (["start", "node.uptime.get", "--data", "{"], 2, "it is not JSON"),
        (["start", "node.uptime.got"], 2, "did you mean node.uptime.get"),
        (["start", "node.uptime.get", "-T", "_any"], 2, "'_any'"),
        (["get", "--rollout-id", UNKNOWN], 1, f"there is no rollout '{UNKNOWN}'"),
        (["pause", "--rollout-id", UNKNOWN], 1, f"there is no rollout '{UNKNOWN}'"),
    ],
)
def test_what_is_wrong_is_one_line(client: Client, arguments: list[str], status: int, told: str) -> None:
    ended = client("rollout", *arguments)

    assert (ended.status, ended.out) == (status, "")
    assert told in ended.err
    assert "Traceback" not in ended.err
