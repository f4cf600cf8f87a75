"""A script, its steps, and one broker's side of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from osapi.errors import ConflictError, OsapiError, PayloadTooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from random import Random

    from osapi.transport import Transport


class Step(Struct, frozen=True):
    """One command: the name of a method of a side, and what it is called with."""

    name: str
    arguments: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"


def step(name: str, /, **arguments: Any) -> Step:
    return Step(name, arguments)


WAIT = step("wait")


class Script(Struct, frozen=True):
    """What to open, and what to do with it."""

    settings: dict[str, Any]
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "\n".join([f"settings {self.settings}", *(f"{n:3} {step!r}" for n, step in enumerate(self.steps))])


class Side(Protocol):
    """A bucket or a stream on one broker; its methods are steps and return what a user sees."""

    async def state(self) -> object:
        """Return what the broker has told without being asked, and what may take a moment to be true."""
        ...


@dataclass(frozen=True)
class Kind:
    """A kind of script: how one is drawn, with waits or without, and how a broker's side of it is opened."""

    name: str
    draw: Callable[[Random, bool], Script]
    open: Callable[[Transport, dict[str, Any]], AbstractAsyncContextManager[Side]]


def refusal(error: OsapiError) -> object:
    """Return what is compared of an error: its type, and the figures that it names."""
    name = next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "osapi.errors")
    if isinstance(error, ConflictError):
        return name, error.key, error.expected, error.actual
    if isinstance(error, PayloadTooLargeError):
        return name, error.size, error.limit
    return name


async def outcome(side: Side, step: Step) -> object:
    """Do a step and return what came of it."""
    try:
        return await getattr(side, step.name)(**step.arguments)
    except OsapiError as error:
        return refusal(error)


def some(random: Random, weights: dict[str, int]) -> str:
    """Draw one name, each as often as its weight says."""
    return random.choices(list(weights), list(weights.values()))[0]


def with_waits(random: Random, steps: list[Step], waits: int) -> tuple[Step, ...]:
    """Put so many waits in between, the last one not at the very end."""
    for _ in range(waits):
        steps.insert(random.randint(len(steps) // 3, len(steps) - 1), WAIT)
    return tuple(steps)
