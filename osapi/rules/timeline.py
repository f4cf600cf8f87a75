"""The timeline of an agent: what became of it, the last fifty times that something did.

registered              it came; what is true of its host from the start is told next
pending, accepted       its key waits to be accepted, or does not any more
drained, undrained      it was told to take no jobs, or to take them again
cordoned                none of its jobs runs any more
condition_on, _off      a condition of its host is true now, or not any more
stopped                 it left in order; one that was killed leaves no word
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from osapi.rules.records import AgentState
    from osapi.rules.vitals import Condition

MAX_MOMENTS: Final = 50

REGISTERED: Final = "registered"
STOPPED: Final = "stopped"

_SHUT: Final = frozenset({"Draining", "Cordoned"})


class Moment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that became of an agent, in Unix seconds."""

    at: float
    event: str
    message: str = ""


class Timeline(Struct, frozen=True, kw_only=True):
    """The last of them, oldest first. Only the agent writes it."""

    v: int
    hostname: str
    moments: tuple[Moment, ...] = ()

    @property
    def stopped(self) -> bool:
        """Tell whether the agent left in order and did not come again."""
        return bool(self.moments) and self.moments[-1].event == STOPPED


class Standing(NamedTuple):
    """What an agent says of itself at one moment; `order` says who told it to take no jobs, and why."""

    state: AgentState
    conditions: tuple[Condition, ...] = ()
    order: str = ""


def passed(before: Standing, after: Standing, at: float) -> tuple[Moment, ...]:
    """Return what happened between two standings, in order."""
    return (*_state(before, after, at), *_conditions(before.conditions, after.conditions, at))


def continued(timeline: Timeline, moments: Iterable[Moment]) -> Timeline:
    """Return the timeline with these at its end; the oldest give way."""
    return replace(timeline, moments=(*timeline.moments, *moments)[-MAX_MOMENTS:])


def _state(before: Standing, after: Standing, at: float) -> Iterator[Moment]:
    if before.state == after.state:
        return
    if after.state == "Pending":
        yield Moment(at=at, event="pending", message="its key waits to be accepted")
        return
    if before.state == "Pending":
        yield Moment(at=at, event="accepted")
    if after.state in _SHUT and before.state not in _SHUT:
        yield Moment(at=at, event="drained", message=after.order)
    if after.state == "Cordoned":
        yield Moment(at=at, event="cordoned")
    if before.state in _SHUT and after.state == "Ready":
        yield Moment(at=at, event="undrained")


def _conditions(before: Iterable[Condition], after: Iterable[Condition], at: float) -> Iterator[Moment]:
    was = {condition.type for condition in before if condition.status}
    now = {condition.type: condition.reason for condition in after if condition.status}
    for name in sorted(was - now.keys()):
        yield Moment(at=at, event="condition_off", message=name)
    for name in sorted(now.keys() - was):
        yield Moment(at=at, event="condition_on", message=f"{name}: {now[name]}" if now[name] else name)
