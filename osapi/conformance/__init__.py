"""The conformance suite: what any backend of `osapi.transport` has to do, as runnable code.

Each check proves one numbered guarantee. It works on buckets, streams and consumers of its own, with names that
nobody else uses, and deletes them; so a run on a shared broker disturbs nobody. Checks need no test framework:
they are async functions of a transport that return, or raise `ConformanceError` and say what they saw. They pass
in real time, in less than two minutes one after another, and in virtual time under Trio's `MockClock`.

Not everything can be asked through the interfaces. A connection cannot be cut, nor a broker restarted: of T3 and K8
the suite proves what a caller does about it (repeat the call, watch from a revision), and of S5 not the restart. A
transport cannot be left while it is used, so `ClosedError` is asked for only where a watch, pull, consumer or stream
ends. Of T1 it asks that every call can be cancelled, and that calls in a row let other tasks run, not that each one
of them yields.

With pytest and pytest-trio the test of a backend is:

    import pytest
    from osapi.conformance import CHECKS

    @pytest.mark.parametrize("check", CHECKS, ids=str)
    async def test_conformance(check):
        async with my_backend.open_transport("mine://localhost") as transport:
            await check.run(transport)

For a backend in virtual time take pytest-trio's `autojump_clock` as a second argument, and an hour costs nothing.
Without pytest:

    for outcome in trio.run(osapi.conformance.run, partial(my_backend.open_transport, "mine://localhost")):
        print(outcome)
"""

# check         what a check is, and how it fails      runner     runs many, reports outcomes
# ground        fresh buckets, streams and consumers, and waits that end
#
# cancellation  T1            buckets      K1 K4 K6 K9   streams      S1-S4 S8
# refusals      T2            comparisons  K2 K3         schedules    S5
# calls         T3-T5         expiry       K5            dead_letters S6 S7
#                             watches      K7 K8         consumers    C1 C2 C6-C8 C10
#                                                        redelivery   C3 C4
#                                                        pulls        C5 C9

from __future__ import annotations

from typing import TYPE_CHECKING

from osapi.conformance import (
    buckets,
    calls,
    cancellation,
    comparisons,
    consumers,
    dead_letters,
    expiry,
    pulls,
    redelivery,
    refusals,
    schedules,
    streams,
    watches,
)
from osapi.conformance.check import Check, ConformanceError
from osapi.conformance.runner import Outcome, run_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from osapi.transport import Transport

__all__ = ["CHECKS", "Check", "ConformanceError", "Outcome", "run"]

_MODULES = (
    cancellation,
    refusals,
    calls,
    buckets,
    comparisons,
    expiry,
    watches,
    streams,
    schedules,
    dead_letters,
    consumers,
    redelivery,
    pulls,
)

CHECKS: tuple[Check, ...] = tuple(
    value for module in _MODULES for value in vars(module).values() if isinstance(value, Check)
)


async def run(
    open_transport: Callable[[], AbstractAsyncContextManager[Transport]],
    *,
    checks: Iterable[Check] = CHECKS,
    concurrency: int = 1,
) -> list[Outcome]:
    """Run checks, each on a transport of its own, `concurrency` at a time; return what became of each, in order.

    A check that fails does not end the run, nor does a transport that fails under it; one that cannot be opened does.
    """
    return await run_checks(open_transport, checks, concurrency)
