"""What was started is remembered, within bounds, and forgotten only where nothing can be started any more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from osapi.rules.replays import ENDED, Memory, Started
from tests.rules.builders import definition

JOB = definition()


def test_a_higher_attempt_is_another_one_and_any_other_a_replay() -> None:
    memory = Memory(0.0)
    assert memory.objection(JOB, 1) == ""
    memory.remember(Started(JOB.id, JOB.finish_by, 2), 0.0)
    assert "attempt 2 of it was started here before" in memory.objection(JOB, 1)
    assert memory.objection(JOB, 2)
    assert memory.objection(JOB, 3) == ""
    memory.remember(Started(JOB.id, JOB.finish_by, 1), 0.0)
    assert memory.objection(JOB, 2)
    memory.remember(Started(JOB.id, JOB.finish_by, ENDED), 0.0)
    assert "it has ended here before" in memory.objection(JOB, 3)


def test_what_is_older_than_the_memory_is_refused_unless_it_is_remembered() -> None:
    memory = Memory(JOB.created + 1.0)
    assert "older than this agent's memory" in memory.objection(JOB, 1)
    memory.remember(Started(JOB.id, JOB.finish_by, 1), 0.0)
    assert memory.objection(JOB, 2) == ""


def test_what_was_forgotten_is_known_by_its_time_whatever_the_clock_says() -> None:
    memory = Memory(0.0)
    memory.remember(Started(JOB.id, JOB.finish_by, ENDED), JOB.finish_by)
    assert len(memory) == 0
    assert "not remembered any more" in memory.objection(JOB, 1)
    assert memory.objection(replace(JOB, id="1", finish_by=JOB.finish_by + 1.0), 1) == ""


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 50), st.integers(0, 50)), max_size=60), st.integers(1, 8))
def test_nothing_that_was_started_starts_again_however_little_room_there_is(
    starts: list[tuple[int, int, int]], most: int
) -> None:
    """A job has one deadline; the clock goes as it likes."""
    memory = Memory(0.0, most=most)
    started: set[str] = set()
    for number, finish_by, now in starts:
        job = replace(JOB, id=f"{number:x}", finish_by=float(finish_by * 31 + number), created=1.0)
        job = replace(job, id=f"{number:x}-{finish_by:x}")
        why = memory.objection(job, 1)
        if job.id in started:
            assert why
        if not why:
            memory.remember(Started(job.id, job.finish_by, 1), float(now))
            started.add(job.id)
        assert len(memory) <= most
