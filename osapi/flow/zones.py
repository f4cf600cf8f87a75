"""Time zones by their names, from the system's database or the package tzdata."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from osapi.errors import InvalidSettingError
from osapi.rules.names import nearest

if TYPE_CHECKING:
    from datetime import tzinfo

_MAX_NAME = 100


def load_zone(name: str) -> tzinfo:
    """Return a time zone by its name, such as Europe/Berlin.

    Raises:
        InvalidSettingError: there is none of that name here.

    """
    if name == "UTC":
        return UTC
    try:
        if 0 < len(name) <= _MAX_NAME and name.isascii() and name.isprintable():
            return ZoneInfo(name)
    # The name of a folder of the database is neither unknown nor malformed.
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    near = nearest(name, sorted(available_timezones()))
    hint = f"did you mean {' or '.join(near)}?" if near else "write a name such as UTC or Europe/Berlin"
    raise InvalidSettingError(name, "is no time zone that is known here", hint)
