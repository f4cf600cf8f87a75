"""Durations as Go writes them: `300ms`, `30s`, `1h30m`, `1.5h`."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_UNITS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART: Final = r"(\d{1,18})?(?:\.(\d{0,18}))?(ns|us|µs|μs|ms|s|m|h)"
_WHOLE: Final = re.compile(f"(?:{_PART})+", re.ASCII)
_ONE: Final = re.compile(_PART, re.ASCII)
_PRINTED: Final = (("h", _UNITS["h"]), ("m", _UNITS["m"]), ("s", _UNITS["s"]), ("ms", _UNITS["ms"]))

# What Go's own type holds: 2^63 nanoseconds, 292 years.
_MOST: Final = 2**63 - 1


def parse_duration(text: str) -> float | None:
    """Return the seconds that a duration of Go's says, None if it is none; `0` needs no unit."""
    if text == "0":
        return 0.0
    if not _WHOLE.fullmatch(text):
        return None
    nanoseconds = 0
    for whole, fraction, unit in _ONE.findall(text):
        if not whole and not fraction:
            return None
        scale = _UNITS[unit]
        nanoseconds += int(whole or 0) * scale + int(fraction or 0) * scale // 10 ** len(fraction)
    return nanoseconds / 10**9 if nanoseconds <= _MOST else None


def print_duration(seconds: float) -> str:
    """Return seconds, zero or more, as a duration of Go's without parts that are zero: `1h30m`, `300ms`."""
    # By way of its digits: the product of two floats would be a few nanoseconds off after some years.
    rest = int(Decimal(repr(float(seconds))).scaleb(9).to_integral_value())
    parts: list[str] = []
    for unit, scale in _PRINTED:
        count, rest = divmod(rest, scale)
        if count:
            parts.append(f"{count}{unit}")
    if rest:
        parts.append(f"{rest}ns")
    return "".join(parts) or "0s"
