"""What a block with background tasks raises: what any other block would."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from osapi.nursery import background


async def fail(*, after: trio.Event) -> None:
    await after.wait()
    raise ValueError("the task")


async def test_an_error_of_a_task_comes_out_as_it_is() -> None:
    now = trio.Event()
    with pytest.raises(ValueError, match="the task"):
        async with background() as tasks:
            tasks.start_soon(lambda: fail(after=now))
            now.set()
            await trio.sleep_forever()


async def test_an_error_of_a_task_comes_out_as_it_is_when_the_block_is_cancelled_at_that_moment() -> None:
    now = trio.Event()
    with trio.CancelScope() as scope:
        with pytest.raises(ValueError, match="the task"):
            async with background() as tasks:
                tasks.start_soon(lambda: fail(after=now))
                await trio.testing.wait_all_tasks_blocked()
                now.set()
                scope.cancel()
                await trio.sleep_forever()
        with pytest.raises(trio.Cancelled):
            await trio.lowlevel.checkpoint()
    assert not scope.cancelled_caught


async def test_errors_that_differ_come_out_together() -> None:
    now = trio.Event()

    async def fail_otherwise() -> None:
        await now.wait()
        raise KeyError("another")

    with pytest.RaisesGroup(ValueError, KeyError):
        async with background() as tasks:
            tasks.start_soon(lambda: fail(after=now))
            tasks.start_soon(fail_otherwise)
            await trio.testing.wait_all_tasks_blocked()
            now.set()
            await trio.sleep_forever()


async def test_a_block_that_is_cancelled_ends_as_cancelled() -> None:
    with trio.CancelScope() as scope:
        async with background() as tasks:
            tasks.start_soon(trio.sleep_forever)
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
