from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from osapi.flow.due import GRACE_SECONDS, Due

if TYPE_CHECKING:
    from trio.testing import MockClock


async def taken(due: Due, times: int) -> list[tuple[float, list[str]]]:
    start = trio.current_time()
    found: list[tuple[float, list[str]]] = []
    for _ in range(times):
        jobs = await due.take()
        found.append((round(trio.current_time() - start - GRACE_SECONDS, 3), jobs))
    return found


async def test_jobs_are_taken_when_they_are_due_each_once(autojump_clock: MockClock) -> None:
    due = Due({"a", "b", "c", "past"})
    for job_id, seconds in (("c", 9.0), ("a", 2.0), ("past", -5.0), ("b", 2.0)):
        due.set(job_id, seconds)
    await trio.sleep(0.5)
    assert await taken(due, 3) == [(-1.0, ["past"]), (1.5, ["a", "b"]), (8.5, ["c"])]
    with trio.move_on_after(1000) as scope:
        await due.take()
    assert scope.cancelled_caught


async def test_one_that_becomes_the_first_while_somebody_waits_is_taken_first(autojump_clock: MockClock) -> None:
    due = Due({"late", "early"})
    due.set("late", 100.0)

    async def add() -> None:
        await trio.sleep(10)
        due.set("early", 5.0)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(add)
        assert await taken(due, 2) == [(15.0, ["early"]), (100.0, ["late"])]


async def test_what_has_ended_is_not_taken(autojump_clock: MockClock) -> None:
    open_jobs = {"a", "b"}
    due = Due(open_jobs)
    due.set("a", 1.0)
    due.set("b", 2.0)
    open_jobs.discard("a")
    assert await taken(due, 1) == [(2.0, ["b"])]


async def test_memory_is_bounded_by_what_is_open(autojump_clock: MockClock) -> None:
    open_jobs = {"first"}
    due = Due(open_jobs)
    due.set("first", 1.0)
    for number in range(10_000):
        open_jobs.add(str(number))
        due.set(str(number), 1000.0 + number)
        open_jobs.discard(str(number - 10))
    assert due.size < 3 * 12 + 520
    open_jobs.discard("first")
    assert [jobs for _, jobs in await taken(due, 10)] == [[str(number)] for number in range(9990, 10_000)]
