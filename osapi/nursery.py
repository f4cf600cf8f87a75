"""Background tasks for the length of a block."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


@asynccontextmanager
async def background() -> AsyncGenerator[trio.Nursery]:
    """Open a nursery whose tasks are cancelled when the block ends.

    An error of the block comes out as it is, not wrapped in a group; so does a single error of a task, which
    ends the block, or one that several tasks met alike, as when the transport ends under all of them. What a
    caller writes around `async with osapi.Client(...)` is then what it would write around any other block, also when
    the block is cancelled from outside at that very moment: the error takes the place of the cancellation, as one
    from a `finally` would.
    """
    inner: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            try:
                yield nursery
            except trio.Cancelled:
                raise
            except BaseExceptionGroup as group:
                if group.split(trio.Cancelled)[0] is not None:
                    raise
                inner = group
            except BaseException as error:  # noqa: BLE001 - raised again below, past the nursery
                inner = error
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        failed = group.split(trio.Cancelled)[1] or group
        if inner is None and len({(type(error), str(error)) for error in failed.exceptions}) == 1:
            raise failed.exceptions[0] from failed.exceptions[0].__cause__
        raise
    if inner is not None:
        raise inner
