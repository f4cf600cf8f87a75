"""nats-py's core client with its inside open: the one place that touches what nats-py keeps private.

From nats-py come the way in (TLS, the handshake, all kinds of credentials), the parser, the writer and the answers to
the server's pings. It ends with its connection; another one is made for the next. What had to be opened, and why:

- `_process_msg`: a subscription of nats-py is a queue and a task of its own, so messages of two subscriptions change
  places; and its headers mix a message's own `Status` with the server's. Here messages are handed on in order.
- `_pending`: `publish` refuses header names that other clients use and trims values; `send` takes ready commands.
- `_send_ping`: it writes its PING past what waits in `_pending`, so that `flush` would return too early.
- `_process_info`: nothing public tells the server's name, or could refuse a server without TLS before we send it our
  credentials.
- `_transport`: see `tcp`.
- `_close`: every end passes here. nats-py first tries to send what is left, which hangs if the server does, and tells
  its callbacks only afterwards.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from nats.aio.client import Client as NatsPy
from nats.errors import Error

from osapi_nats.connection import Incoming
from osapi_nats.nats_py.tcp import Tcp
from osapi_nats.nats_py.wire import PING, parse_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = logging.getLogger("osapi.nats")

# Python prints what no handler wants. Here whoever needs to know is told by an error, or by our own logger.
logging.getLogger("nats").addHandler(logging.NullHandler())


class NoTlsError(Error):
    """The server has no TLS, and we were told not to go on without."""


class Client(NatsPy):
    """One connection to one server, from its handshake to its end."""

    def __init__(self, *, secure: bool) -> None:
        super().__init__()
        self._transport = self.tcp = Tcp()
        self.info: dict[str, Any] = {}
        self.ended = asyncio.Event()
        self.trouble: Exception | None = None  # the first one; what follows from it says less
        self.receive: Callable[[int, Incoming], None] | None = None
        self._secure = secure

    async def note(self, error: Exception) -> None:
        """Remember an error; nats-py's `error_cb`."""
        if "permissions violation" in str(error):
            log.warning("the server refused: %s", error)  # the connection stays
        elif self.trouble is None:
            self.trouble = error

    def send(self, commands: Iterable[bytes]) -> None:
        """Queue commands to be written; `kick` has them written."""
        for command in commands:
            self._pending.append(command)
            self._pending_data_size += len(command)

    async def kick(self) -> None:
        """Have the writer write."""
        await self._flush_pending()

    def send_ping(self, answered: Callable[[], None]) -> None:
        """Queue a ping behind all that was queued before, and call back once it is answered."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda _: None if answer.cancelled() else answered())
        self._queue_ping(answer)

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        self._queue_ping(future or asyncio.get_running_loop().create_future())
        await self.kick()

    def _queue_ping(self, answer: asyncio.Future[bool]) -> None:
        self._pongs.append(answer)  # pyright: ignore[reportUnknownMemberType] - futures of nothing in particular
        self.send([PING])

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002 - nats-py's
        self.info |= info
        if initial_connection and self._secure:
            if not (info.get("tls_required") or info.get("tls_available")):
                raise NoTlsError("the server has no TLS")
            info["tls_required"] = True  # nats-py, which owns this dict, would not ask for it where it is optional
        await super()._process_info(info, initial_connection)

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        if self.receive is None or self.ended.is_set():
            return
        # Whatever others may send: an error in here would leave nats-py without a reader.
        topic, inbox = subject.decode(errors="replace"), reply.decode(errors="replace")
        parsed, code, description = parse_headers(headers) if headers else ({}, 0, "")
        self.receive(sid, Incoming(topic, data, inbox, parsed, code, description))

    async def _close(self, status: int, do_cbs: bool = True) -> None:  # noqa: FBT001, FBT002 - nats-py's
        self.ended.set()
        self._pending.clear()  # or nats-py would write it into what we cut
        self._pending_data_size = 0
        if not self.tcp.is_open:  # it never got so far
            self._status = status
            return
        if self.trouble is None or isinstance(self.trouble, ConnectionError):
            self.trouble = self.tcp.failure or self.trouble  # whoever wrote was only told that it broke
        self.tcp.abort()
        await super()._close(status, do_cbs)
