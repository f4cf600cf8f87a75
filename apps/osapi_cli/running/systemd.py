"""What systemd is told of a service with `Type=notify`.

As https://www.freedesktop.org/software/systemd/man/sd_notify.html says, in a dozen lines and without its library.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final, Self

import trio

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """Tells the service manager; without one, nobody.

    `watchdog` is after how many seconds of silence it takes this process for dead, 0 for never.
    """

    def __init__(self, address: str = "", watchdog: float = 0.0) -> None:
        self.watchdog = watchdog
        # A name that begins with @ is one without a file, which the kernel begins with a NUL.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) if address else None
        if self._socket:
            self._socket.setblocking(False)

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Self:
        """Return who is to be told, and remove it from the environment: children are none of its business."""
        address, usec, pid = (environ.pop(name, "") for name in _VARIABLES)
        if not address.startswith(("/", "@")):
            return cls()
        ours = usec.isdecimal() and pid in ("", str(os.getpid()))
        return cls(address, int(usec) / 1e6 if ours else 0.0)

    def tell(self, **fields: str) -> None:
        """Send `READY="1"`, `STATUS="..."` and so on; if nobody listens, that is nobody's trouble."""
        if self._socket is None:
            return
        lines = (f"{name}={' '.join(value.split())}" for name, value in fields.items())
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return

    async def keep_alive(self) -> None:
        """Say twice as often as is asked for that this process lives; without a watchdog, return at once."""
        while self.watchdog:
            self.tell(WATCHDOG="1")
            await trio.sleep(self.watchdog / 2)

    def close(self) -> None:
        """Close the socket."""
        if self._socket:
            self._socket.close()
