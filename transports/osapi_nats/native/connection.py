"""What the JetStream layer sees: subscriptions and state, across one session after the other."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TYPE_CHECKING

import trio

from osapi.errors import ClosedError, DisconnectedError, TransportError
from osapi.nursery import background
from osapi_nats.native import protocol
from osapi_nats.native.handshake import open_stream
from osapi_nats.native.pool import LONGEST_PAUSE, Pool
from osapi_nats.native.session import FAREWELL, Session, log

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from osapi_nats.connection import Connection, Incoming, ServerInfo
    from osapi_nats.native.handshake import Dial, Opened
    from osapi_nats.options import Options

# More than this does not wait to be sent: the server, or the way to it, does not keep up.
MAX_UNSENT = 16 << 20
# A server that takes longer is left for the next one, in seconds.
_TRY = 5.0


@asynccontextmanager
async def open_connection(
    options: Options, *, random: Random | None = None, dial: Dial = trio.open_tcp_stream
) -> AsyncGenerator[Connection]:
    """Connect for a block; what was posted in it is sent before its end, within a second.

    What a handler or a callback raises ends the block and comes out of it. `dial` opens the stream to a host and
    port, `random` spreads clients over servers and time.

    Raises:
        DisconnectedError, AccessRefusedError, TlsError, UnsupportedBrokerError: there is no connection.

    """
    connection = NativeConnection(options, random or Random(), dial)  # noqa: S311 - it guards nothing
    opened = await connection.open()
    async with background() as nursery:
        connection.begin(opened)
        nursery.start_soon(connection.run)
        try:
            yield connection
        finally:
            await connection.close()


class NativeSubscription:
    """Implements `osapi_nats.connection.Subscription`."""

    __slots__ = ("_connection", "_sid")

    def __init__(self, connection: NativeConnection, sid: int) -> None:
        self._connection = connection
        self._sid = sid

    def unsubscribe(self) -> None:
        """End it; messages on their way are dropped."""
        self._connection.unsubscribe(self._sid)


class NativeConnection:
    """Implements `osapi_nats.connection.Connection`."""

    def __init__(self, options: Options, random: Random, dial: Dial) -> None:
        self._options = options
        self._dial = dial
        self._pool = Pool(options.servers, random)
        self._session: Session | None = None
        self._server: ServerInfo | None = None
        self._has_ended = False
        self._life = trio.CancelScope(shield=True)
        self._sids = 0
        self._subjects: dict[int, str] = {}
        self._handlers: dict[int, Callable[[Incoming], None]] = {}
        self._callbacks: list[Callable[[bool], None]] = []

    # --- For the JetStream layer ---------------------------------------------------------------------------

    @property
    def server(self) -> ServerInfo:
        """Return what the server said of itself last."""
        if self._session is not None:
            self._server = self._session.server
        assert self._server is not None, "whoever has a connection has had a server"  # noqa: S101
        return self._server

    @property
    def is_up(self) -> bool:
        """Tell whether there is a connection now."""
        return self._session is not None

    def publish(self, subject: str, payload: bytes, reply: str = "", headers: Mapping[str, str] | None = None) -> None:
        """Post a message, without waiting.

        Raises:
            DisconnectedError, ClosedError: nothing was sent.
            InvalidSubjectError: the server would take it for something else, or close the connection.

        """
        outbox = (self._session or self._up()).outbox
        if outbox.size > MAX_UNSENT:
            raise DisconnectedError(f"the server does not keep up: {outbox.size} bytes wait to be sent")
        outbox.post(protocol.publish(subject, payload, reply, headers))

    def subscribe(self, subject: str, handler: Callable[[Incoming], None]) -> NativeSubscription:
        """Have the handler called with each message on a subject.

        Raises:
            ClosedError
            InvalidSubjectError: the server would take it for something else, or close the connection.

        """
        self._check_open()
        sid = self._sids + 1
        command = protocol.subscribe(subject, sid)
        self._sids = sid
        self._subjects[sid] = subject
        self._handlers[sid] = handler
        if self._session is not None:
            self._session.outbox.post(command)
        return NativeSubscription(self, sid)

    def unsubscribe(self, sid: int) -> None:
        """End the subscription of that number, if it has not ended."""
        if self._handlers.pop(sid, None) is not None:
            del self._subjects[sid]
            if self._session is not None:
                self._session.outbox.post(protocol.unsubscribe(sid))

    def watch_state(self, callback: Callable[[bool], None]) -> None:
        """Have the callback called with False when the connection breaks, and True when there is a new one."""
        self._callbacks.append(callback)

    async def flush(self) -> None:
        """Wait until the server has taken everything posted so far.

        Raises:
            DisconnectedError, ClosedError: there is no connection, or it broke meanwhile.

        """
        await self._up().flush()

    def _up(self) -> Session:
        if self._session is None:
            self._check_open()
            raise DisconnectedError("the connection to the server is down")
        return self._session

    def _check_open(self) -> None:
        if self._has_ended:
            raise ClosedError("the connection's block has ended")

    # --- The block -----------------------------------------------------------------------------------------

    async def open(self) -> Opened:
        """Return a connection to the first server that takes us, trying all within `timeout`.

        Raises:
            DisconnectedError, AccessRefusedError, TlsError, UnsupportedBrokerError: of several, one that says more
                than that nobody was there.

        """
        errors: list[TransportError] = []
        tries = len(self._pool)
        for _ in range(tries):
            try:
                return await self._try(self._options.timeout / tries)
            except TransportError as error:
                errors.append(error)
        telling = [error for error in errors if not isinstance(error, DisconnectedError)]
        if telling or tries == 1:
            raise (telling or errors)[0]
        raise DisconnectedError("; ".join(map(str, errors)))

    def begin(self, opened: Opened) -> None:
        """Be up, with all subscriptions in place before whatever else is posted."""
        self._pool.learn(opened.address, opened.info.connect_urls or ())
        session = Session(opened, self._handlers, self._pool)
        for sid, subject in self._subjects.items():
            session.outbox.post(protocol.subscribe(subject, sid))
        self._server = session.server
        self._session = session

    async def run(self) -> None:
        """Stay connected until `close`, which the end of the block calls however it ends.

        Shielded, so that a block which is cancelled can still send what it has posted.
        """
        with self._life:
            await self._serve(self._up(), is_first=True)
            while True:
                self._tell(is_up=False)
                self.begin(await self._open_again())
                await self._serve(self._up(), is_first=False)

    async def close(self) -> None:
        """Send what was posted, within a second, and end whatever runs."""
        try:
            if self._session is not None:
                with trio.move_on_after(FAREWELL, shield=True), suppress(DisconnectedError):
                    await self._session.flush()
        finally:
            self._has_ended = True
            self._session = None
            self._handlers.clear()
            self._callbacks.clear()
            self._life.cancel()

    async def _serve(self, session: Session, *, is_first: bool) -> None:
        began = trio.current_time()
        try:
            if not is_first:
                log.info("connected again, to %s", session.server.url)
                self._tell(is_up=True)
            reason = await session.run()
        finally:
            self._server = session.server
            self._session = None
            await session.close()
        # A server that takes us and throws us out again does not get rid of the pauses.
        if trio.current_time() - began >= LONGEST_PAUSE:
            self._pool.calm()
        log.info("the connection to %s has ended: %s", session.server.url, reason)

    async def _open_again(self) -> Opened:
        told = ""
        while True:
            await trio.sleep(self._pool.pause())
            try:
                return await self._try(min(_TRY, self._options.timeout))
            except DisconnectedError:
                continue
            except TransportError as error:
                # Somebody may be changing the credentials, or the certificates; told once, not with every try.
                if str(error) != told:
                    told = str(error)
                    log.warning("cannot connect again: %s; trying on", error)

    async def _try(self, within: float) -> Opened:
        return await open_stream(self._options, self._pool.next(), within, self._dial)

    def _tell(self, *, is_up: bool) -> None:
        for callback in tuple(self._callbacks):
            callback(is_up)
