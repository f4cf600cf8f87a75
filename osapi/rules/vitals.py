"""Vitals: how a host is now, as its agent tells with every heartbeat."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from osapi.errors import InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_CONDITIONS: Final = 32
MAX_REASON: Final = 200

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")


class Condition(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that is so or not so of a host since a moment, in Unix seconds; `reason` says by which figures."""

    type: str
    status: bool
    since: float
    reason: str = ""


class HostMemory(Struct, frozen=True, kw_only=True):
    """Physical memory in bytes."""

    total: int
    free: int
    used: int


class Vitals(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a host is; what is None could not be found out.

    `uptime` in seconds, `load` over one, five and fifteen minutes, `cpu_percent` of one processor and `mem_bytes` are
    those of the agent's own process.
    """

    uptime: float | None = None
    load: tuple[float, float, float] | None = None
    memory: HostMemory | None = None
    cpu_percent: float | None = None
    mem_bytes: int | None = None
    conditions: tuple[Condition, ...] = ()


def checked_vitals(vitals: object) -> Vitals:
    """Return vitals that may be told: every heartbeat carries them, so they are small. Long reasons are cut.

    Raises:
        InvalidSettingError: they are none, have more than 32 conditions, one twice, or one whose type is no word.

    """
    if not isinstance(vitals, Vitals):
        raise InvalidSettingError(vitals, f"is of type {type(vitals).__name__}", "return osapi.Vitals")
    types = [condition.type for condition in vitals.conditions]
    if len(types) > MAX_CONDITIONS or len(types) != len(set(types)):
        raise InvalidSettingError(types, "are no conditions", f"use at most {MAX_CONDITIONS}, each type once")
    wrong = [name for name in types if not _TYPE.fullmatch(name)]
    if wrong:
        raise InvalidSettingError(wrong[0], "is no type of a condition", "write one word, such as DiskPressure")
    return replace(vitals, conditions=tuple(_cut(vitals.conditions)))


def _cut(conditions: Iterable[Condition]) -> Iterable[Condition]:
    for condition in conditions:
        short = len(condition.reason) <= MAX_REASON
        yield condition if short else replace(condition, reason=f"{condition.reason[: MAX_REASON - 3]}...")
