"""Sizes and durations as people read them."""

from __future__ import annotations

_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(count: float) -> str:
    """Return a number of bytes in the largest unit that leaves at least 1, such as `23.5 GiB`."""
    unit = 0
    # What would be rounded up to 1024.0 is 1.0 of the next unit.
    while count >= (1023.95 if unit else 1024) and unit < len(_SIZES) - 1:
        count /= 1024
        unit += 1
    return f"{count:.1f} {_SIZES[unit]}" if unit else f"{count:.0f} B"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units, such as `12 d 3 h`, `5 min 20 s`."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    parts = [(day, "d"), (hour, "h"), (minute, "min"), (second, "s")]
    first = next((place for place, (count, _) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2])


def share(part: float, whole: float) -> str:
    """Return a part of the whole in per cent, 0 of nothing."""
    return f"{100 * part / whole if whole else 0:.0f} %"
