"""One script on both brokers at once."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from tests.nats.differential.script import WAIT, Script, outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from osapi.transport import Transport
    from tests.nats.differential.script import Kind, Side

# A wait goes on to the next multiple of this; in seconds. With two of them nothing that was begun at one of these
# moments and takes whole seconds ends within a third of a second of another.
_STEP = 4 / 3
# What happens at one of these moments has to be over within so long.
_MARGIN = 0.25
# What one broker tells on its own may come so much later than on the other.
_PATIENCE = 2.0
_POLL = 0.002
# At the end so long is waited for what should not come.
_SILENCE = 0.05
# A script that is held up this often is none that can be compared on this machine now.
_ATTEMPTS = 4


class Difference(Struct):
    """Where the two sides differ: after a step, by its number, or at the end."""

    kind: str
    script: Script
    at: int
    memory: object
    real: object

    def __str__(self) -> str:
        return f"{self.kind}: at {self.at}\n  memory: {self.memory!r}\n  real:   {self.real!r}\n{self.script}"


class HeldUpError(Exception):
    """The machine was too slow for moments to be compared."""


async def compare(kind: Kind, script: Script, memory: Transport, real: Transport) -> Difference | None:
    """Run a script on both; return where they differ.

    Raises:
        HeldUpError: it could not be run in time, though it was tried several times.

    """
    for attempt in range(_ATTEMPTS):
        try:
            async with kind.open(memory, script.settings) as left, kind.open(real, script.settings) as right:
                return await _run(kind, script, left, right)
        except HeldUpError:
            if attempt == _ATTEMPTS - 1:
                raise
    return None


async def _run(kind: Kind, script: Script, memory: Side, real: Side) -> Difference | None:
    began = trio.current_time()
    waits = 0
    is_timed = WAIT in script.steps
    for number, step in enumerate(script.steps):
        if step.name == "wait":
            waits += 1
            await trio.sleep_until(began + waits * _STEP)
        else:
            left, right = await outcome(memory, step), await outcome(real, step)
            if is_timed:
                _check_time(began, waits)
            if left != right:
                return Difference(kind.name, script, number, left, right)
        left, right = await _settled(memory, real)
        if left != right:
            return Difference(kind.name, script, number, left, right)
        if is_timed:
            _check_time(began, waits)
    await trio.sleep(_SILENCE)
    left, right = await _settled(memory, real)
    return None if left == right else Difference(kind.name, script, len(script.steps), left, right)


def _check_time(began: float, waits: int) -> None:
    if trio.current_time() > began + waits * _STEP + _MARGIN:
        raise HeldUpError


async def _settled(memory: Side, real: Side) -> tuple[object, object]:
    """Return what both tell, as soon as it is the same, or when there was time enough for it."""
    began = trio.current_time()
    while True:
        left, right = await memory.state(), await real.state()
        if left == right or trio.current_time() > began + _PATIENCE:
            return left, right
        await trio.sleep(_POLL)


async def shrunk(found: Difference, kind: Kind, memory: Transport, real: Transport) -> Difference:
    """Return a shorter script that differs as well: no step of it can be left out, as far as was tried."""
    found.script = Script(found.script.settings, found.script.steps[: found.at + 1])
    length = len(found.script.steps) // 2
    while length:
        at = len(found.script.steps) - length
        while at > -length:
            steps = found.script.steps
            shorter = Script(found.script.settings, steps[: max(at, 0)] + steps[at + length :])
            with suppress(HeldUpError):
                found = await compare(kind, shorter, memory, real) or found
            at -= length
        length //= 2
    return found


class Tally(Struct):
    """How a run of many scripts went."""

    differences: list[Difference] = []
    compared: int = 0
    held_up: int = 0


async def compare_many(
    kind: Kind,
    scripts: Iterable[Script],
    memory: Transport,
    real: Transport,
    *,
    at_once: int,
) -> Tally:
    """Run scripts, so many at a time, until they are through or one differs; that one is shrunk."""
    tally = Tally()
    slots = trio.Semaphore(at_once)

    async def one(script: Script) -> None:
        async with slots:
            if tally.differences:
                return
            try:
                found = await compare(kind, script, memory, real)
            except HeldUpError:
                tally.held_up += 1
                return
            tally.compared += 1
            if found is not None:
                tally.differences.append(found)

    async with trio.open_nursery() as nursery:
        for script in scripts:
            nursery.start_soon(one, script)
    tally.differences = [await shrunk(found, kind, memory, real) for found in tally.differences[:1]]
    return tally
