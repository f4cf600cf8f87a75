"""One connection, from the server's acceptance to the break: one task reads, one writes, one listens for silence."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

import trio

from osapi.errors import DisconnectedError
from osapi.nursery import background
from osapi_nats.connection import ServerInfo
from osapi_nats.native import protocol
from osapi_nats.native.outbox import Outbox
from osapi_nats.native.protocol import Info, Ping, Pong, ProtocolError, Refused, Told
from osapi_nats.native.sockets import receiver, sender

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from osapi_nats.connection import Incoming
    from osapi_nats.native.handshake import Opened
    from osapi_nats.native.pool import Pool
    from osapi_nats.native.protocol import Event

log = logging.getLogger("osapi.nats")

# Longer than this, and the server is asked whether it is there; as long again without a word, and it is given up.
SILENCE = 4.0
# So long we try to send what was posted, before we leave.
FAREWELL = 1.0

# After these the server goes on; after all others it hangs up.
_HARMLESS = ("permissions violation", "invalid subject", "invalid publish subject", "maximum subscriptions exceeded")
_KEPT_COMPLAINTS = 256


class Session:
    """One connection. What was posted to it and not sent goes with it."""

    def __init__(self, opened: Opened, handlers: Mapping[int, Callable[[Incoming], None]], pool: Pool) -> None:
        self.outbox = Outbox(sender(opened.stream))
        self.server = _server_info(opened, opened.info)
        self._opened = opened
        self._handlers = handlers
        self._pool = pool
        self._pongs: deque[_Ping] = deque()  # the pings that are not answered yet
        self._heard = trio.current_time()
        self._complaints: set[str] = set()
        self._nursery: trio.Nursery | None = None
        self._end = ""
        self._is_leaving = False

    async def run(self) -> str:
        """Serve it until it breaks, and return why it did; what a handler raises comes out as it is."""
        async with background() as nursery:
            self._nursery = nursery
            nursery.start_soon(self._write, self._opened.stream)
            nursery.start_soon(self._listen)
            await self._read(receiver(self._opened.stream))
        return self._end

    async def close(self) -> None:
        """Close the stream at once; nobody waits for an answer any more."""
        while self._pongs:
            self._pongs.popleft().is_over.set()
        await trio.aclose_forcefully(self._opened.stream)

    async def flush(self) -> None:
        """Wait until the server has taken all that was posted.

        Raises:
            DisconnectedError: the connection broke before.

        """
        ping = self._ask()
        await ping.is_over.wait()
        if not ping.is_answered:
            raise DisconnectedError("the connection broke before the server had taken everything")

    def _ask(self) -> _Ping:
        ping = _Ping()
        self._pongs.append(ping)
        self.outbox.post(protocol.PING)
        return ping

    def _break(self, reason: str) -> None:
        self._end = self._end or reason
        assert self._nursery is not None, "only its own tasks end it"  # noqa: S101
        self._nursery.cancel_scope.cancel()

    # --- The tasks -----------------------------------------------------------------------------------------

    async def _write(self, stream: trio.abc.Stream) -> None:
        try:
            await self.outbox.send(stream)
        except trio.BrokenResourceError:
            self._break("it broke while sending")

    async def _read(self, receive: Callable[[], Awaitable[bytes | bytearray]]) -> None:
        self._take(self._opened.events)
        while not self._end:
            try:
                data = await receive()
                events = self._opened.parser.feed(data)
            except trio.BrokenResourceError:
                return self._break("it broke while receiving")
            except ProtocolError as error:
                return self._break(f"the server sent {error}")
            if not data:
                return self._break("the server closed it")
            self._heard = trio.current_time()
            self._take(events)
        return None

    async def _listen(self) -> None:
        while True:
            await trio.sleep_until(self._heard + SILENCE)
            if trio.current_time() - self._heard >= SILENCE and not await self._is_alive():
                self._break("the server is silent")

    async def _is_alive(self) -> bool:
        """Ask, and wait for any sign of life: the wait begins once the question is out."""
        heard = self._heard
        is_out = not self.outbox.size
        self._ask()
        end = self.outbox.sent + self.outbox.size
        while True:
            sent = self.outbox.sent
            await trio.sleep(SILENCE)
            if self._heard > heard:
                return True
            if is_out or self.outbox.sent == sent:
                return False
            is_out = self.outbox.sent >= end

    async def _leave(self) -> None:
        """End it in good order, if that does not take long."""
        with trio.move_on_after(FAREWELL):
            await self.flush()
            while self.outbox.size:
                await self.flush()
        self._break("the server shuts down and asked us to leave")

    # --- What the server says ------------------------------------------------------------------------------

    def _take(self, events: list[Event]) -> None:
        handlers = self._handlers
        for event in events:
            if isinstance(event, Told):
                handler = handlers.get(event.sid)
                if handler is not None:
                    handler(event.message)
            elif isinstance(event, Pong):
                if self._pongs:
                    self._pongs.popleft().answer()
            elif isinstance(event, Ping):
                self.outbox.post(protocol.PONG)
            elif isinstance(event, Info):
                self._learn(event)
            else:
                self._hear_complaint(event)

    def _learn(self, info: Info) -> None:
        self.server = _server_info(self._opened, info)
        self._pool.learn(self._opened.address, info.connect_urls or ())
        if info.ldm and len(self._pool) > 1 and not self._is_leaving:
            self._is_leaving = True
            assert self._nursery is not None, "it runs"  # noqa: S101
            self._nursery.start_soon(self._leave)

    def _hear_complaint(self, complaint: Refused) -> None:
        reason = complaint.reason
        if not reason.lower().startswith(_HARMLESS):
            log.warning("%s ends the connection: %s", self.server.url, reason)
            self._break(reason)
        elif reason not in self._complaints and len(self._complaints) < _KEPT_COMPLAINTS:
            self._complaints.add(reason)
            log.warning("the server refused: %s", reason)


class _Ping:
    __slots__ = ("is_answered", "is_over")

    def __init__(self) -> None:
        self.is_over = trio.Event()
        self.is_answered = False

    def answer(self) -> None:
        self.is_answered = True
        self.is_over.set()


def _server_info(opened: Opened, info: Info) -> ServerInfo:
    scheme = "tls" if opened.is_secret else "nats"
    return ServerInfo(info.server_name, info.version, info.max_payload, f"{scheme}://{opened.address.server}")
