"""What the JetStream layer needs of a NATS client: messages out, messages in, and whether there is a connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CONTROL_LINE = 4096  # the server's default; above it the server closes the connection


class Incoming(Struct, frozen=True, gc=False):
    """A message from the server; `status` is 0 unless its headers began with one (100, 404, 503 and so on)."""

    subject: str
    payload: bytes
    reply: str = ""
    headers: Mapping[str, str] = {}
    status: int = 0
    description: str = ""


class ServerInfo(Struct, frozen=True):
    """What the server that we are connected to says of itself; `max_payload` in bytes, headers included."""

    name: str
    version: str
    max_payload: int
    url: str


class Subscription(Protocol):
    """An interest in a subject, across reconnections, until it is ended."""

    def unsubscribe(self) -> None:
        """End it; messages on their way are dropped. Does nothing the second time, or without a connection."""
        ...


class Connection(Protocol):
    """One client connection, kept up by its own tasks for the length of the block that opened it.

    All methods and callbacks are for Trio's thread. Callbacks are plain functions, are called in the order in which
    things happened, and must not raise. Whoever opens a connection has it up: failing to is an error of the block's
    entry. When it breaks, it is made again, for ever, at growing and random intervals of at most two seconds.
    """

    @property
    def server(self) -> ServerInfo:
        """Return what the server said of itself when we last connected."""
        ...

    @property
    def is_up(self) -> bool:
        """Tell whether there is a connection now."""
        ...

    def publish(self, subject: str, payload: bytes, reply: str = "", headers: Mapping[str, str] | None = None) -> None:
        """Post a message, without waiting. It may get lost with the connection, but never goes out on a later one.

        Sizes are the caller's to check.

        Raises:
            DisconnectedError: there is no connection; nothing was sent.

        """
        ...

    def subscribe(self, subject: str, handler: Callable[[Incoming], None]) -> Subscription:
        """Have the handler called with each message on a subject; whatever is published later finds it in place.

        Without a connection the interest is noted, and told to the server with the next one.
        """
        ...

    def watch_state(self, callback: Callable[[bool], None]) -> None:
        """Have the callback called with False when the connection breaks, and True when there is a new one.

        With True all subscriptions are in place again.
        """
        ...

    async def flush(self) -> None:
        """Wait until the server has taken everything posted so far.

        Raises:
            DisconnectedError: there is no connection, or it broke meanwhile.

        """
        ...
