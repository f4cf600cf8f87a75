"""What the JetStream layer sees of the connection, on Trio's thread."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING

import trio

from osapi.errors import ClosedError, DisconnectedError
from osapi.nursery import background
from osapi_nats.nats_py.crossing import ToTrio
from osapi_nats.nats_py.thread import AsyncioThread
from osapi_nats.nats_py.wire import check_subject, publish_command, subscribe_command, unsubscribe_command

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from osapi_nats.connection import Connection, Incoming, ServerInfo
    from osapi_nats.nats_py.session import Session
    from osapi_nats.options import Options


# The thread knows best why there is no connection in time: so long it may take to say so, in seconds.
_SAYING_WHY = 0.5


@asynccontextmanager
async def open_connection(options: Options) -> AsyncGenerator[Connection]:
    """Connect for a block; what was posted in it is sent before its end, within a second.

    Raises:
        DisconnectedError, AccessRefusedError, TlsError, UnsupportedBrokerError: there is no connection.

    """
    connection = NatsPyConnection(options)
    async with background() as nursery:
        nursery.start_soon(connection.run)
        try:
            await connection.open(options)
            yield connection
        finally:
            connection.close()


class NatsPyConnection:
    """Implements `osapi_nats.connection.Connection`."""

    def __init__(self, options: Options) -> None:
        self._opened = trio.Event()
        self._to_trio = ToTrio(trio.lowlevel.current_trio_token(), self._crash)
        self._thread = AsyncioThread(options, self._to_trio, self)
        self._session: Session | None = None
        self._server: ServerInfo | None = None
        self._is_up = False
        self._has_ended = False
        self._numbers = count(1)
        self._subscriptions: dict[int, _Subscription] = {}
        self._callbacks: list[Callable[[bool], None]] = []
        self._flushes: set[_Flush] = set()
        self._crashed = trio.Event()
        self._error: Exception | None = None

    @property
    def server(self) -> ServerInfo:
        """Return what the server said of itself when we last connected."""
        if self._server is None:
            raise DisconnectedError("there was no connection yet")
        return self._server

    @property
    def is_up(self) -> bool:
        """Tell whether there is a connection now."""
        return self._is_up

    def publish(self, subject: str, payload: bytes, reply: str = "", headers: Mapping[str, str] | None = None) -> None:
        """Post a message, without waiting.

        Raises:
            DisconnectedError, ClosedError: nothing was sent.
            InvalidSubjectError, InvalidInputError: the server would take a part of it for a command of its own.

        """
        self._up().to_server.post(publish_command(subject, payload, reply, headers))

    def subscribe(self, subject: str, handler: Callable[[Incoming], None]) -> _Subscription:
        """Have the handler called with each message on a subject.

        Raises:
            ClosedError
            InvalidSubjectError: the server would take a part of it for a command of its own.

        """
        check_subject(subject)
        self._check_open()
        number = next(self._numbers)
        subscription = self._subscriptions[number] = _Subscription(self, number, subject, handler)
        if self._session is not None:
            self._session.to_server.post(subscribe_command(subject, number))
        return subscription

    def unsubscribe(self, number: int) -> None:
        """End a subscription, if it has not ended."""
        if self._subscriptions.pop(number, None) is not None and self._session is not None:
            self._session.to_server.post(unsubscribe_command(number))

    def watch_state(self, callback: Callable[[bool], None]) -> None:
        """Have the callback called with False when the connection breaks, and True when there is a new one."""
        self._callbacks.append(callback)

    async def flush(self) -> None:
        """Wait until the server has taken everything posted so far.

        Raises:
            DisconnectedError, ClosedError: there is no connection, or it broke meanwhile.

        """
        session = self._up()
        flush = _Flush()
        self._flushes.add(flush)
        session.to_server.post(lambda: self._to_trio.post(flush.done.set))
        try:
            await flush.done.wait()
        finally:
            self._flushes.discard(flush)
        if flush.broke:
            raise DisconnectedError("the connection broke before the server had taken everything")

    # --- The block -----------------------------------------------------------------------------------------

    async def open(self, options: Options) -> None:
        """Wait until it is up for the first time.

        Raises:
            DisconnectedError: the server let us in, but then did not answer.

        """
        with trio.move_on_after(options.timeout + _SAYING_WHY):
            await self._opened.wait()
            return
        servers = ", ".join(options.servers)
        raise DisconnectedError(f"{servers}: no answer within {options.timeout:g} s; check what else the server does")

    async def run(self) -> None:
        """Run the thread until `close`; raises what ended it before."""
        try:
            async with background() as nursery:
                nursery.start_soon(self._watch_for_crash)
                # A limiter of its own: the program's threads are not ours to take.
                await trio.to_thread.run_sync(
                    self._thread.run, thread_name="osapi-nats", limiter=trio.CapacityLimiter(1)
                )
        finally:
            self.close()
            self._thread.close()

    def close(self) -> None:
        """End the connection; `run` returns within two seconds."""
        self._thread.stop()
        self._to_trio.end()
        self._has_ended = True
        self._is_up = False
        self._session = None
        self._break_flushes()

    async def _watch_for_crash(self) -> None:
        await self._crashed.wait()
        self.close()
        assert self._error is not None  # noqa: S101 - set with the event
        raise self._error

    def _crash(self, error: Exception) -> None:
        self._error = self._error or error
        self._crashed.set()

    def _check_open(self) -> None:
        if self._has_ended:
            raise ClosedError("the connection's block has ended")

    def _up(self) -> Session:
        if self._session is None or not self._is_up:
            self._check_open()
            raise DisconnectedError("the connection to the server is down")
        return self._session

    # --- What the thread tells -----------------------------------------------------------------------------

    def came_up(self, session: Session) -> None:
        """Put the subscriptions in place, then say that it is up."""
        self._session = session
        for number, subscription in self._subscriptions.items():
            session.to_server.post(subscribe_command(subscription.subject, number))
        session.to_server.post(lambda: self._to_trio.post(self._is_ready, session))

    def _is_ready(self, session: Session) -> None:
        self._server = session.server
        self._is_up = True
        self._opened.set()
        self._tell(is_up=True)

    def went_down(self, session: Session) -> None:
        """Say that it is down, unless nobody was told that it was up."""
        was_up = self._is_up
        self._session = None
        self._is_up = False
        self._break_flushes()
        if was_up:
            self._tell(is_up=False)

    def received(self, number: int, message: Incoming) -> None:
        """Hand on a message, unless its subscription has ended meanwhile."""
        subscription = self._subscriptions.get(number)
        if subscription is not None:
            subscription.handler(message)

    def _tell(self, *, is_up: bool) -> None:
        for callback in tuple(self._callbacks):
            callback(is_up)

    def _break_flushes(self) -> None:
        for flush in self._flushes:
            flush.broke = True
            flush.done.set()


class _Subscription:
    __slots__ = ("_connection", "_number", "handler", "subject")

    def __init__(
        self, connection: NatsPyConnection, number: int, subject: str, handler: Callable[[Incoming], None]
    ) -> None:
        self._connection = connection
        self._number = number
        self.subject = subject
        self.handler = handler

    def unsubscribe(self) -> None:
        """End it; messages on their way are dropped."""
        self._connection.unsubscribe(self._number)


class _Flush:
    __slots__ = ("broke", "done")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.broke = False
