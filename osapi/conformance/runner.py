"""Run checks against a backend without a test framework."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from osapi.conformance.check import Check, ConformanceError, reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from osapi.transport import Transport


class Outcome(Struct, frozen=True):
    """What became of a check; `seconds` by Trio's clock."""

    check: Check
    error: ConformanceError | None
    seconds: float

    @property
    def passed(self) -> bool:
        """Tell whether the guarantee held."""
        return self.error is None

    def __str__(self) -> str:
        return f"passed {self.check}" if self.error is None else f"FAILED {self.error}"


async def run_checks(
    open_transport: Callable[[], AbstractAsyncContextManager[Transport]],
    checks: Iterable[Check],
    concurrency: int,
) -> list[Outcome]:
    """Run the checks, each on a transport of its own, so many at a time; return the outcomes in their order."""
    numbered = list(enumerate(checks))
    outcomes: dict[int, Outcome] = {}
    slots = trio.Semaphore(concurrency)

    async def run_one(number: int, check: Check) -> None:
        async with slots:
            outcomes[number] = await _outcome(open_transport, check)

    async with trio.open_nursery() as nursery:
        for number, check in numbered:
            nursery.start_soon(run_one, number, check)
    return [outcomes[number] for number, _ in numbered]


async def _outcome(open_transport: Callable[[], AbstractAsyncContextManager[Transport]], check: Check) -> Outcome:
    started = trio.current_time()
    error: ConformanceError | None = None
    opened = False
    try:
        async with open_transport() as transport:
            opened = True
            # Caught inside: on its way out a nursery of the backend would wrap it.
            try:
                await check.run(transport)
            except ConformanceError as broken:
                error = broken
    except Exception as failure:
        if not opened:
            raise
        if error is None:
            error = ConformanceError(f"{check}: the transport failed as a whole: {reason(failure)}")
            error.__cause__ = failure
    return Outcome(check=check, error=error, seconds=trio.current_time() - started)
