from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import trio

from osapi_agent import groups
from osapi_agent.output import Output
from tests.agent_app.pretended import eventually, is_dead

if TYPE_CHECKING:
    from collections.abc import Callable

ENVIRONMENT = {"PATH": os.environ["PATH"]}


class Program:
    """A line of shell that is run, and its outputs."""

    def __init__(self, line: str, *, room: int = 4096, grace: float = groups.GRACE) -> None:
        self.line = line
        self.grace = grace
        self.stdout = Output(room)
        self.stderr = Output(room)

    @property
    def words(self) -> list[str]:
        return self.stdout.told()[0].split()

    async def run(self) -> int:
        return await groups.run(
            ["sh", "-c", self.line],
            environment=ENVIRONMENT,
            cwd=None,
            stdout=self.stdout,
            stderr=self.stderr,
            grace=self.grace,
        )

    async def run_until(self, reached: Callable[[], bool]) -> None:
        """Run it and cancel it as soon as it has got somewhere."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.run)
            await eventually(reached)
            nursery.cancel_scope.cancel()


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


async def test_a_program_that_ends_tells_its_status_and_both_outputs() -> None:
    program = Program("echo out; echo err >&2; exit 3")

    assert await program.run() == 3

    assert (program.stdout.told(), program.stderr.told()) == (("out\n", False), ("err\n", False))


async def test_one_that_a_signal_ended_has_the_status_of_a_shell() -> None:
    assert await Program("kill -KILL $$").run() == 128 + signal.SIGKILL


async def test_there_is_nothing_to_read_for_it() -> None:
    program = Program("cat; echo end")

    assert await program.run() == 0

    assert program.words == ["end"]


async def test_it_leads_a_session_and_a_group_of_its_own() -> None:
    program = Program("echo $$; sleep 300")
    found: list[tuple[int, int]] = []

    def looked_at() -> bool:
        # While it runs: its number is gone afterwards.
        found.extend((os.getsid(int(word)), os.getpgid(int(word))) for word in program.words)
        return bool(found)

    await program.run_until(looked_at)

    leader = int(program.words[0])
    assert found == [(leader, leader)]


async def test_cancelled_the_whole_group_dies_grandchildren_included() -> None:
    program = Program("echo $$; sleep 300 & echo $!; sh -c 'echo $$; sleep 300 & echo $!; wait' & wait")

    await program.run_until(lambda: len(program.words) == 4)

    pids = [int(word) for word in program.words]
    assert len(set(pids)) == 4
    assert [is_dead(pid) for pid in pids] == [True] * 4


async def test_who_has_something_to_put_away_may_do_and_say_so() -> None:
    program = Program("trap 'echo put away; exit' TERM; echo ready; while :; do sleep 0.01; done")

    await program.run_until(lambda: program.words == ["ready"])

    assert program.words == ["ready", "put", "away"]


async def test_who_ignores_term_is_killed() -> None:
    program = Program("trap '' TERM; echo $$; sleep 300 & echo $!; wait", grace=0.05)

    await program.run_until(lambda: len(program.words) == 2)

    assert all(is_dead(int(pid)) for pid in program.words)


async def test_who_is_stopped_is_killed() -> None:
    program = Program("echo $$; kill -STOP $$", grace=0.05)

    def stopped() -> bool:
        return bool(program.words) and psutil.Process(int(program.words[0])).status() == psutil.STATUS_STOPPED

    await program.run_until(stopped)

    assert is_dead(int(program.words[0]))


async def test_what_a_program_leaves_in_its_group_ends_with_it() -> None:
    program = Program("sleep 300 >/dev/null 2>&1 & echo $!")

    assert await program.run() == 0

    assert is_dead(int(program.words[0]))


async def test_what_is_left_and_holds_the_output_is_waited_for_a_moment_then_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(groups, "_LINGER", 0.05)
    program = Program("echo $$; sleep 300 & echo $!")

    with trio.fail_after(10):
        assert await program.run() == 0

    assert is_dead(int(program.words[1]))


async def test_what_is_still_being_written_after_the_end_is_read() -> None:
    program = Program("(sleep 0.1; echo late) & echo early")

    assert await program.run() == 0

    assert program.words == ["early", "late"]


async def test_who_left_the_group_is_out_of_reach_but_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(groups, "_LINGER", 0.05)
    left = tmp_path / "left"
    program = Program(f"setsid sh -c 'echo $$ > {left}; exec sleep 300' & until [ -s {left} ]; do sleep 0.01; done")

    with trio.fail_after(10):
        assert await program.run() == 0

    escaped = psutil.Process(int(left.read_text(encoding="ascii")))
    assert escaped.status() != psutil.STATUS_ZOMBIE
    escaped.kill()


async def test_a_flood_is_read_to_its_end_and_kept_in_part() -> None:
    program = Program("head -c 3000000 /dev/zero; echo done >&2", room=1000)

    with trio.fail_after(30):
        assert await program.run() == 0

    text, truncated = program.stdout.told()
    assert truncated
    assert set(text) == {"\0"}
    assert program.stderr.told() == ("done\n", False)


async def test_an_endless_flood_can_be_cancelled() -> None:
    program = Program("echo $$; exec yes", room=100)

    await program.run_until(lambda: program.stdout.told()[1])

    assert is_dead(int(program.words[0]))


async def test_a_program_that_is_not_there_leaves_nothing_open() -> None:
    before = descriptors()

    with pytest.raises(FileNotFoundError):
        await groups.run(["./missing"], environment={}, cwd=None, stdout=Output(), stderr=Output())

    assert descriptors() == before


async def test_runs_leave_no_descriptor_and_no_child_behind() -> None:
    before = descriptors()
    children = len(psutil.Process().children())

    await Program("echo done").run()
    program = Program("echo started; sleep 300")
    await program.run_until(lambda: bool(program.words))

    assert descriptors() == before
    assert len(psutil.Process().children()) == children


async def test_cancelled_before_it_begins_nothing_is_left() -> None:
    children = len(psutil.Process().children())
    program = Program("sleep 300")

    with trio.CancelScope() as scope:
        scope.cancel()
        await program.run()

    assert scope.cancelled_caught
    assert len(psutil.Process().children()) == children
