"""Finding a backend by its URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osapi.errors import InvalidSettingError

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from osapi.transport import Transport

_GROUP = "osapi.transports"


def connect(url: str) -> AbstractAsyncContextManager[Transport]:
    """Open a transport for the length of a block: `memory://`, `nats://host:4222`, or another installed backend's URL.

    Backends register a function of the URL in the entry point group `osapi.transports`, under its scheme.

    Raises:
        InvalidSettingError: no backend is installed for the scheme, or the backend refuses the URL.

    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - a tenth of what `import osapi` would cost

    scheme, separator, _ = url.partition("://")
    found = {entry.name: entry for entry in entry_points(group=_GROUP)}
    if not separator or scheme not in found:
        known = ", ".join(f"{name}://" for name in sorted(found)) or "none: install osapi with pip, not by copying"
        # Only the scheme is quoted: the rest may hold a password.
        raise InvalidSettingError(f"{scheme}{separator}", "names no installed transport", f"installed are {known}")
    opened: AbstractAsyncContextManager[Transport] = found[scheme].load()(url)
    return opened
