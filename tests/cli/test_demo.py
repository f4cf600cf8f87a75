from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.cli.program import on_terminal, osapi, without_style

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.program import Ended

    Here = Callable[..., Ended]

BOXES = set("─━│┃┌┐└┘├┤┬┴┼╭╮╰╯")

# Target -> operation, and who answers.
ANSWERED = {
    "_any": ("node.hostname.get", None),
    "_all": ("node.status.get", ["db-01", "web-01", "web-02"]),
    "db-01": ("node.memory.get", ["db-01"]),
    "group:web": ("node.load.get", ["web-01", "web-02"]),
    "group:web.dev": ("node.disk.get", ["web-01"]),
}


def demo_json(here: Here, *arguments: str) -> dict[str, Any]:
    ended = here("demo", "--json", *arguments)
    assert (ended.status, ended.err) == (0, "")
    document: dict[str, Any] = json.loads(ended.out)
    return document


def test_json_tells_who_answered_what(here: Here) -> None:
    document = demo_json(here)

    assert [agent["hostname"] for agent in document["agents"]] == ["db-01", "web-01", "web-02"]
    jobs = {job["target"]: job for job in document["jobs"]}
    assert {target: (job["operation"]["type"], job["expected"]) for target, job in jobs.items()} == ANSWERED
    assert all(job["status"] == "completed" for job in jobs.values())
    assert len(jobs["_any"]["responses"]) == 1
    for target, (_, hosts) in ANSWERED.items():
        if hosts is not None:
            assert list(jobs[target]["responses"]) == hosts


def test_json_holds_raw_values_of_this_host(here: Here) -> None:
    jobs = {job["target"]: job for job in demo_json(here)["jobs"]}

    [answer] = jobs["_any"]["responses"].values()
    assert answer["data"] == {"hostname": socket.gethostname()}
    status = jobs["_all"]["responses"]["web-01"]["data"]
    assert status["memory"]["total"] == psutil.virtual_memory().total
    assert status["uptime"] > 0
    assert set(status["load_average"]) == {"1min", "5min", "15min"}


def test_json_tells_each_job_from_submitted_to_completed(here: Here) -> None:
    for job in demo_json(here)["jobs"]:
        events = [(event["event"], event["hostname"]) for event in job["timeline"]]
        assert events[0] == ("submitted", "")
        assert [event["timestamp"] for event in job["timeline"]] == sorted(e["timestamp"] for e in job["timeline"])
        for host in job["responses"]:
            assert events.index(("started", host)) < events.index(("completed", host))


@pytest.mark.parametrize("arguments", [("-j", "demo"), ("demo", "-j"), ("--json", "demo", "--json")])
def test_the_flag_means_the_same_before_and_after_the_command(here: Here, arguments: tuple[str, ...]) -> None:
    ended = here(*arguments)

    assert ended.status == 0
    assert set(json.loads(ended.out)) == {"agents", "jobs"}


def test_in_a_pipe_it_is_plain_text_in_complete_rows() -> None:
    ended = osapi("demo", TERM="xterm-256color", FORCE_COLOR="1")

    assert (ended.status, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    assert not BOXES & set(ended.out)
    assert all(line == line.rstrip() for line in ended.out.splitlines())
    rows = [line.split() for line in ended.out.splitlines()]
    for target, (operation, hosts) in ANSWERED.items():
        answered = [row for row in rows if row and row[0] == target and operation in row]
        assert [row[-3] for row in answered] == hosts or (hosts is None and len(answered) == 1)
        assert {row[-2] for row in answered} == {"completed"}


def test_it_shows_this_host() -> None:
    lines = osapi("demo").out.splitlines()

    shown = {line.split()[0]: line for line in lines if line.startswith("  ") and len(line.split()) > 1}
    assert shown["Hostname"].split()[1] == socket.gethostname()
    assert "over 1, 5, 15 minutes" in shown["Load"]
    assert "GiB used" in shown["Memory"] or "MiB used" in shown["Memory"]
    assert shown["Uptime"].split()[2] in {"d", "h", "min", "s"}


@pytest.mark.parametrize("columns", [80, 140])
def test_on_a_terminal_it_fits_and_loses_nothing(columns: int) -> None:
    ended = on_terminal("demo", columns=columns)

    assert (ended.status, ended.err) == (0, "")
    assert "\x1b[32mcompleted" in ended.out
    shown = without_style(ended.out)
    assert BOXES & set(shown)
    assert max(map(len, shown.splitlines())) <= columns
    for target, (operation, _) in ANSWERED.items():
        assert any(line.split()[:1] == [target] and operation in line for line in shown.splitlines())


def test_a_narrow_terminal_folds_and_does_not_fail() -> None:
    # Only what is to be copied is never folded, and that is narrower still.
    ended = on_terminal("demo", columns=72)

    assert (ended.status, ended.err) == (0, "")
    assert max(map(len, without_style(ended.out).splitlines())) <= 72


def test_a_terminal_without_lines_gets_others() -> None:
    ended = on_terminal("demo", PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert (ended.status, ended.err) == (0, "")
    assert ended.out.isascii()
    assert "\n  ------" in ended.out


def test_no_color_is_honoured() -> None:
    ended = on_terminal("demo", NO_COLOR="1")

    assert ended.status == 0
    assert not [code for code in range(30, 38) if f"\x1b[{code}m" in ended.out]
    assert BOXES & set(ended.out)


def test_a_terminal_that_knows_plain_text_only_gets_it() -> None:
    ended = on_terminal("demo", TERM="dumb")

    assert ended.status == 0
    assert "\x1b" not in ended.out
    assert not BOXES & set(ended.out)


# --- Targets of one's own ------------------------------------------------------------------------------------


def test_targets_of_ones_own_are_asked_in_order(here: Here) -> None:
    jobs = demo_json(here, "--target", "group:db", "-T", "WEB-01")["jobs"]

    assert [(job["target"], list(job["responses"])) for job in jobs] == [
        ("group:db", ["db-01"]),
        ("web-01", ["web-01"]),
    ]


@pytest.mark.parametrize(
    ("target", "status", "told"),
    [
        ("group:", 2, "target 'group:': has no value after the colon"),
        ("a b", 2, "target 'a b': holds ' '"),
        ("_some", 2, "target '_some': names that start with `_` are reserved"),
        ("", 2, "target '': is empty"),
        ("x" * 300, 2, "is 300 characters long"),
        ("_any@web", 2, "target '_any@web': has no colon"),
        ("group:wep,host:*", 1, "no agent matches group:wep,host:*: none has group:wep, did you mean group:web"),
        ("web-99", 1, "no agent is registered as 'web-99'; did you mean"),
        ("group:mail", 1, "no agent matches group:mail; the labels in use are group:db.dev.us-east"),
        ("group:web.de", 1, "no agent matches group:web.de"),
    ],
)
@pytest.mark.parametrize("json_too", [False, True])
def test_a_bad_target_is_told_on_one_line(here: Here, target: str, status: int, told: str, json_too: bool) -> None:
    ended = here("demo", "--target", target, *["--json"] * json_too)

    assert (ended.status, ended.out) == (status, "")
    assert told in ended.err
    assert ended.err.startswith("osapi: ")
    assert ended.err.count("\n") == 1


def test_debug_shows_where_an_error_comes_from(here: Here) -> None:
    ended = here("-d", "demo", "--target", "web-99")

    assert ended.status == 1
    assert ended.err.startswith("Traceback")
    assert ended.err.splitlines()[-1].startswith("osapi: no agent is registered as 'web-99'")
