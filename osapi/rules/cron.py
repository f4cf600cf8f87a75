"""Cron: five fields, and the moments that they stand for in a time zone.

    minute hour day month weekday

A field is `*`, a number, a range `1-5`, one of these with a step `*/15` or `0-30/10`, or several of them joined by
commas. Months and weekdays may be written `jan` to `dec` and `sun` to `sat`; 0 and 7 are Sunday. If neither day nor
weekday begins with `*`, one of the two has to fit (POSIX crontab). `@hourly`, `@daily`, `@midnight`, `@weekly`,
`@monthly`, `@yearly` and `@annually` are short for five fields.

The fields speak of the clock on the wall. Where that is put forward, a time that it skips comes as much later as it
was put forward: 02:30 at 03:30, once, with what is due then anyway. Where it is put back, a time that comes twice
counts the first time; only what has every hour, as `*/15 * * * *`, counts both times, so that its interval stays.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from osapi.errors import InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import tzinfo

MAX_CRON: Final = 200

_MACROS: Final[Mapping[str, str]] = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS: Final = {
    name: number
    for number, name in enumerate("jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)  # noqa: SIM905 - reads as a calendar
}
_WEEKDAYS: Final = {name: number for number, name in enumerate("sun mon tue wed thu fri sat".split())}  # noqa: SIM905
_LONGEST: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_FORM: Final = "write minute hour day month weekday, such as 0 3 * * mon-fri, or @hourly, @daily, @weekly, @monthly"

_PART = re.compile(r"(?:(?P<all>\*)|(?P<low>\w+)(?:-(?P<high>\w+))?)(?:/(?P<step>\d+))?")

_DAY: Final = timedelta(days=1)
_MINUTE: Final = timedelta(minutes=1)

# Of any nine years in a row one has a 29th of February; the one that falls on a given weekday comes within 41.
_YEARS: Final = 41


class Cron(Struct, frozen=True):
    """What the fields allow, in order; weekdays as `datetime.isoweekday` counts them. Made by `parse_cron`."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    @property
    def hourly(self) -> bool:
        """Tell whether it has every hour."""
        return len(self.hours) == 24

    def has_day(self, day: datetime) -> bool:
        """Tell whether a day fits."""
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() in self.weekdays
        return by_day or by_weekday if self.either else by_day and by_weekday


@lru_cache(maxsize=1024)
def parse_cron(text: str) -> Cron:
    """Read the five fields, or a macro; capitals do not matter.

    Raises:
        InvalidSettingError: for anything else, and for a day that no year has.

    """
    if len(text) > MAX_CRON:
        raise InvalidSettingError(text, f"is longer than {MAX_CRON} characters (cron)", _FORM)
    folded = text.strip().lower()
    fields = _MACROS.get(folded, folded).split()
    if len(fields) != 5:
        problem = "is no macro" if folded.startswith("@") else f"has {len(fields)} fields"
        raise InvalidSettingError(text, f"{problem} (cron)", _FORM)
    minute, hour, day, month, weekday = fields
    cron = Cron(
        minutes=tuple(sorted(_field(text, "minute", minute, 0, 59, {}))),
        hours=tuple(sorted(_field(text, "hour", hour, 0, 23, {}))),
        days=frozenset(_field(text, "day", day, 1, 31, {})),
        months=frozenset(_field(text, "month", month, 1, 12, _MONTHS)),
        weekdays=frozenset(number or 7 for number in _field(text, "weekday", weekday, 0, 7, _WEEKDAYS)),
        either=not day.startswith("*") and not weekday.startswith("*"),
    )
    if not cron.either and min(cron.days) > max(_LONGEST[number - 1] for number in cron.months):
        raise InvalidSettingError(text, f"never comes: no such month has a day {min(cron.days)} (cron)", _FORM)
    return cron


def _field(text: str, name: str, field: str, low: int, high: int, names: Mapping[str, int]) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        found.update(_range(text, name, part, low, high, names))
    return found


def _range(text: str, name: str, part: str, low: int, high: int, names: Mapping[str, int]) -> range:
    match = _PART.fullmatch(part)
    if match is None:
        raise _wrong(text, name, part, low, high)
    if match["all"]:
        first, last = low, high
    else:
        first = _number(text, name, match["low"], low, high, names)
        last = first if match["high"] is None else _number(text, name, match["high"], low, high, names)
    step = 1 if match["step"] is None else int(match["step"][:4])
    if first > last or not 1 <= step <= high or (match["step"] is not None and not match["all"] and first == last):
        raise _wrong(text, name, part, low, high)
    return range(first, last + 1, step)


def _number(text: str, name: str, word: str, low: int, high: int, names: Mapping[str, int]) -> int:
    number = names.get(word)
    if number is None:
        if not (word.isascii() and word.isdecimal() and len(word) <= 2 and low <= int(word) <= high):
            raise _wrong(text, name, word, low, high)
        number = int(word)
    return number


def _wrong(text: str, name: str, part: str, low: int, high: int) -> InvalidSettingError:
    problem = f"has {part[:20]!r} as its {name} (cron)"
    remedy = f"use *, numbers from {low} to {high}, ranges from the lower to the higher, and steps such as */5; {_FORM}"
    return InvalidSettingError(text, problem, remedy)


def next_time(cron: Cron, zone: tzinfo, after: float) -> float | None:
    """Return the first moment after `after` in Unix seconds, None if there is none within 41 years.

    Costs some 10 us, and up to some ms where the clock is put forward or back within a day.
    """
    begin = _wall(zone, after).replace(second=0, microsecond=0)
    if not _calm(zone, after):
        begin -= _DAY
    best: float | None = None
    end = begin.replace(year=begin.year + _YEARS, day=min(begin.day, 28))
    for wall in _walls(cron, begin, end):
        for moment in _moments(wall, zone, twice=cron.hourly):
            if moment > after and (best is None or moment < best):
                if best is None:
                    # In calm times later on the wall is later; else a day more has all that may come before it.
                    end = wall if _calm(zone, moment) else wall + _DAY
                best = moment
        if wall >= end:
            break
    return best


def _wall(zone: tzinfo, moment: float) -> datetime:
    return datetime.fromtimestamp(moment, zone).replace(tzinfo=None)


def _calm(zone: tzinfo, moment: float) -> bool:
    """Tell whether the clock on the wall runs evenly for a day before and after."""
    here = datetime.fromtimestamp(moment, UTC)
    return len({(here + away).astimezone(zone).utcoffset() for away in (-_DAY, timedelta(), _DAY)}) == 1


def _walls(cron: Cron, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Return what the clock on the wall shows each time that the fields fit."""
    day = begin.replace(hour=0, minute=0)
    while day <= end:
        if day.month not in cron.months:
            day = (day.replace(day=28) + 4 * _DAY).replace(day=1)
            continue
        if cron.has_day(day):
            for hour in cron.hours:
                if day.date() == begin.date() and hour < begin.hour:
                    continue
                for minute in cron.minutes:
                    wall = day.replace(hour=hour, minute=minute)
                    if wall >= begin:
                        yield wall
        day += _DAY


def _moments(wall: datetime, zone: tzinfo, *, twice: bool) -> Iterator[float]:
    """Return when the clock on the wall shows this; of a time that it skips, how much later it comes (PEP 495)."""
    first = wall.replace(tzinfo=zone).timestamp()
    yield first
    if twice:
        second = wall.replace(tzinfo=zone, fold=1).timestamp()
        # Of a time that is skipped the second reading is the earlier one.
        if second > first:
            yield second
