"""`osapi client schedule`, from the making of one to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Client

UPTIME = ("schedule", "set", "--name", "uptime", "--operation", "node.uptime.get", "-T", "_all", "--every", "1h30m")


def test_one_is_made_shown_paused_resumed_and_removed(client: Client) -> None:
    made = client(*UPTIME, "--catch-up", "10m")
    assert (made.status, made.err) == (0, "")
    assert made.out.startswith("Schedule uptime\n")
    for told in ("every 1h30m", "_all", "10m", "0 submitted, 0 skipped, 0 missed, 0 refused"):
        assert told in made.out
    body = client.json("schedule", "get", "--name", "uptime")
    assert (body["every"], body["catch_up"], len(body["next_times"])) == (5400.0, 600.0, 5)
    listed = client("schedule", "list")
    assert "every 1h30m" in listed.out
    assert listed.out.endswith("\n1 schedule\n")
    assert "paused" in client("schedule", "pause", "--name", "uptime").out
    assert client.json("schedule", "resume", "--name", "uptime")["paused"] is False
    assert client("schedule", "delete", "--name", "uptime").out == "Schedule uptime is removed; its jobs stay.\n"
    assert client.json("schedule", "list") == {"items": [], "total": 0}


def test_data_cron_and_zone_are_taken(client: Client) -> None:
    options = ("--cron", "0 3 * * mon-fri", "--time-zone", "Europe/Berlin", "--data", '{"n": 1}', "--overlap", "allow")
    made = client("schedule", "set", "--name", "n", "--operation", "test.echo", *options)
    assert "0 3 * * mon-fri (Europe/Berlin)" in made.out
    assert '"n": 1' in made.out
    assert client.json("schedule", "delete", "--name", "n") == {"name": "n", "deleted": True}


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("get", "--name", "nope"), 1, "'nope'"),
        (("get", "--name", "a b"), 2, "'a b'"),
        (("pause", "--name", "nope"), 1, "'nope'"),
        (("delete", "--name", "nope"), 1, "'nope'"),
        (("set", "--name", "x", "--operation", "test.echo"), 2, "at, every and cron"),
        (("set", "--name", "x", "--operation", "test.ecko", "--every", "5s"), 2, "did you mean test.echo"),
        (
            ("set", "--name", "x", "--operation", "test.echo", "--every", "5s", "--cron", "@daily"),
            2,
            "'every and cron': cannot go together; give one of at, every and cron",
        ),
        (("set", "--name", "x", "--operation", "test.echo", "--every", "5"), 2, "'5' is no duration"),
        (
            ("set", "--name", "x", "--operation", "test.echo", "--every", "10ms"),
            2,
            "'10ms' is too short; write 1s or more",
        ),
        (
            ("set", "--name", "x", "--operation", "test.echo", "--at", "2020-01-01T01:00:00+01:00"),
            2,
            "'2020-01-01T00:00:00Z': has passed",
        ),
        (("set", "--name", "x", "--operation", "test.echo", "--cron", "x"), 2, "fields"),
        (("set", "--name", "x", "--operation", "test.echo", "--at", "noon"), 2, "'noon' is no moment; write one as"),
        (
            ("set", "--name", "x", "--operation", "test.echo", "--at", "2030-01-01T00:00:00"),
            2,
            "'2030-01-01T00:00:00' has no time zone; write one as",
        ),
        (("set", "--name", "x", "--operation", "test.echo", "--every", "1m", "--data", "{"), 2, "is not JSON"),
    ],
)
def test_what_is_wrong_is_told(client: Client, arguments: tuple[str, ...], status: int, told: str) -> None:
    ended = client("schedule", *arguments)
    assert (ended.status, ended.out, ended.err.count("\n")) == (status, "", 1)
    assert told in ended.err
