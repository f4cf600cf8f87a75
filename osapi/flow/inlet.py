"""An agent's way into one consumer: what it has requested and not received yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from osapi.transport import Pull


class Inlet:
    """One pull and what is requested from it; `scope` ends the listening, `closed` says that it has ended."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.closed = trio.Event()
        self.requested = 0
        self.started = False
        self._pull: Pull | None = None

    def open(self, pull: Pull) -> None:
        """Begin to request from a pull, which has been asked for nothing yet."""
        self._pull = pull
        self.requested = 0

    def close(self) -> None:
        """Request nothing more: the pull has ended."""
        self._pull = None

    def request(self, wanted: int) -> None:
        """Bring what is requested up to `wanted`, once a quarter of it is missing: not a request for each job."""
        missing = wanted - self.requested
        if missing > 0 and 4 * missing >= wanted and self._pull is not None:
            self._pull.request(missing)
            self.requested += missing
