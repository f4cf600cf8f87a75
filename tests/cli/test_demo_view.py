from __future__ import annotations

from typing import Any

import msgspec
import pytest

import osapi
from osapi_agent.results import Disk, LoadAverage, MemoryInfo, OsInfo, Status, UnreadableDisk
from osapi_cli import demo_view
from osapi_cli.demo import Asked, Played, play, script
from osapi_cli.output import for_pipe
from tests.cli.program import osapi as osapi_program
from tests.cli.program import python

STATUS = Status(
    hostname="vm",
    uptime=93784.0,
    os_info=OsInfo(distribution="Void", version=""),
    memory=MemoryInfo(total=4 * 2**30, free=2**30, used=3 * 2**30),
    disks=(Disk(name="/", total=100 * 2**30, used=60 * 2**30, free=20 * 2**30),),
    unreadable_disks=(UnreadableDisk(name="/mnt/nas", error="did not answer within 5 s"),),
    load_average=LoadAverage(one=1.0, five=0.5, fifteen=0.25),
)


def played(*answers: osapi.Response, target: str = "_all", status: str = "completed") -> Played:
    [ask] = script([target])
    job = Asked(
        id="01",
        target=ask.target,
        operation=ask.operation,
        status=osapi.JobStatus(status),
        created=1.0,
        expected=None,
        answers={answer.host or "_any": answer for answer in answers},
        timeline=[osapi.Event(at=1.0, event="submitted")],
    )
    return Played([], [job])


def answer(host: str, status: str = "completed", **more: Any) -> osapi.Response:
    return osapi.Response(host=host, status=osapi.SlotStatus(status), **more)


def shown(outcome: Played) -> list[str]:
    return [" ".join(line.split()) for line in for_pipe(demo_view.for_people(outcome)).splitlines()]


def test_the_values_of_a_host_are_readable() -> None:
    lines = shown(played(answer("web-01", data=STATUS)))

    start = lines.index("This host") + 2
    assert lines[start : start + 8] == [
        "Hostname vm",
        "System Void",
        "Uptime 1 d 2 h",
        "Load 1.00, 0.50, 0.25 over 1, 5, 15 minutes",
        "Memory 3.0 GiB of 4.0 GiB used, 75 %",
        "Disk / 60.0 GiB of 100.0 GiB used, 75 %",
        "Disk /mnt/nas did not answer within 5 s",
        "",
    ]


def test_a_host_without_load_has_no_line_for_it() -> None:
    status = msgspec.structs.replace(STATUS, load_average=None)

    assert not [line for line in shown(played(answer("web-01", data=status))) if line.startswith("Load")]


def test_a_failure_is_told_with_its_reason() -> None:
    outcome = played(answer("web-01"), answer("web-02", "failed", error="ValueError: no"), status="partial_failure")

    assert outcome.failed
    assert "web-02: failed: ValueError: no" in shown(outcome)
    assert "1 job, 2 answers: 1 completed, 1 failed." in shown(outcome)
    assert "This host" not in shown(outcome)


def test_a_job_that_nobody_took_is_told() -> None:
    outcome = played(answer("", "expired", error="nobody took it"), target="_any", status="expired")

    assert outcome.failed
    assert "nobody: expired: nobody took it" in shown(outcome)
    assert demo_view.for_programs(outcome)["jobs"][0]["responses"]["_any"]["status"] == "expired"


def test_what_a_platform_does_not_support_is_no_failure() -> None:
    assert not played(answer("web-01", "skipped", error="no load here"), status="skipped").failed


@pytest.mark.parametrize(
    ("target", "means"),
    [
        ("_any", "any one agent"),
        ("_all", "all agents"),
        ("db-01", "that agent"),
        ("group:web.dev", "all of web.dev"),
    ],
)
def test_what_a_target_means(target: str, means: str) -> None:
    assert f"{target} {means} node.status.get web-01 completed 0.0" in shown(played(answer("web-01"), target=target))


async def test_the_demo_leaves_nothing_behind() -> None:
    first, second = await play(script([])), await play(script([]))

    assert [job.operation for job in first.jobs] == [job.operation for job in second.jobs]
    assert not {job.id for job in first.jobs} & {job.id for job in second.jobs}
    assert not first.failed


def test_times_for_programs_are_in_utc() -> None:
    [job] = demo_view.for_programs(played(answer("web-01")))["jobs"]

    assert (job["created"], job["timeline"][0]["timestamp"]) == ("1970-01-01T00:00:01.000000Z",) * 2


def test_the_example_runs() -> None:
    ended = python(demo_view.EXAMPLE)

    assert (ended.status, ended.err) == (0, "")
    assert "'web-01': Response(" in ended.out
    assert "uptime" in ended.out


def test_every_command_that_is_recommended_exists() -> None:
    for command, _ in demo_view.COMMANDS:
        program, *arguments = command.split()
        assert program == "osapi"
        assert osapi_program(*arguments).status == ("web-99" in arguments)
