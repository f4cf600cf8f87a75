"""A NATS connection on Trio's streams: one task reads, one writes, one listens for silence."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import trio

from osapi.errors import AccessRefusedError, DisconnectedError, TransportError, UnsupportedBrokerError
from osapi.nursery import background
from osapi_nats.native import protocol
from osapi_nats.native.handshake import open_stream
from osapi_nats.native.pool import Pool
from osapi_nats.native.protocol import Info, Ping, Pong, ProtocolError, Refused, Told

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from osapi_nats.connection import Connection, Incoming, ServerInfo
    from osapi_nats.native.handshake import Opened
    from osapi_nats.native.protocol import Event
    from osapi_nats.options import Options

_log = logging.getLogger("osapi.nats")

_CHUNK = 1 << 18
# A PING goes out when the server has been silent for so long; twice as long, and the connection is given up.
_SILENCE = 4.0
# More than this does not wait to be sent: the server, or the way to it, does not keep up.
MAX_UNSENT = 16 << 20
# So long a closing connection tries to send what was posted.
_CLOSING = 1.0


@asynccontextmanager
async def open_connection(options: Options, random: Random | None = None) -> AsyncGenerator[Connection]:
    """Connect within `options.timeout`, and stay connected for the length of the block.

    Raises:
        DisconnectedError, AccessRefusedError, UnsupportedBrokerError: no server took us.

    """
    connection = NativeConnection(options, random or Random())  # noqa: S311 - it only spreads retries
    opened = await connection.connect_first()
    async with background() as nursery:
        await nursery.start(connection.run, opened)
        try:
            yield connection
        finally:
            await connection.close()


class NativeSubscription:
    """Implements `osapi_nats.connection.Subscription`."""

    __slots__ = ("_connection", "sid")

    def __init__(self, connection: NativeConnection, sid: int) -> None:
        self._connection = connection
        self.sid = sid

    def unsubscribe(self) -> None:
        """End it."""
        self._connection.unsubscribe(self.sid)


class NativeConnection:
    """Implements `osapi_nats.connection.Connection`."""

    def __init__(self, options: Options, random: Random) -> None:
        self._options = options
        self._pool = Pool(options.servers, random)
        self._server: ServerInfo | None = None
        self._is_up = False
        self._subscriptions: dict[int, tuple[str, Callable[[Incoming], None]]] = {}
        self._sids = 0
        self._watchers: list[Callable[[bool], None]] = []
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._has_unsent = trio.Event()
        self._flushes: list[trio.Event] = []
        self._heard = 0.0
        self._refusal = ""

    # --- For the JetStream layer ---------------------------------------------------------------------------

    @property
    def server(self) -> ServerInfo:
        """Return what the server said of itself when we last connected."""
        assert self._server is not None, "open_connection yields only once there is a server"  # noqa: S101
        return self._server

    @property
    def is_up(self) -> bool:
        """Tell whether there is a connection now."""
        return self._is_up

    def publish(self, subject: str, payload: bytes, reply: str = "", headers: Mapping[str, str] | None = None) -> None:
        """Post a message, without waiting."""
        if not self._is_up:
            raise DisconnectedError("there is no connection to the server")
        if self._unsent_bytes > MAX_UNSENT:
            raise DisconnectedError(f"the server does not keep up: {self._unsent_bytes} bytes wait to be sent")
        self._post(protocol.publish(subject, payload, reply, headers))

    def subscribe(self, subject: str, handler: Callable[[Incoming], None]) -> NativeSubscription:
        """Have the handler called with each message on a subject."""
        self._sids += 1
        sid = self._sids
        self._subscriptions[sid] = subject, handler
        if self._is_up:
            self._post(protocol.subscribe(subject, sid))
        return NativeSubscription(self, sid)

    def unsubscribe(self, sid: int) -> None:
        """End a subscription."""
        if self._subscriptions.pop(sid, None) is not None and self._is_up:
            self._post(protocol.unsubscribe(sid))

    def watch_state(self, callback: Callable[[bool], None]) -> None:
        """Have the callback called with False when the connection breaks, and True when there is a new one."""
        self._watchers.append(callback)

    async def flush(self) -> None:
        """Wait until the server has taken everything posted so far."""
        if not self._is_up:
            raise DisconnectedError("there is no connection to the server")
        answered = trio.Event()
        self._flushes.append(answered)
        self._post(protocol.PING)
        flushes = self._flushes
        await answered.wait()
        if flushes is not self._flushes:
            raise DisconnectedError("the connection broke before the server had taken everything")

    def _post(self, data: bytes) -> None:
        self._unsent.append(data)
        self._unsent_bytes += len(data)
        if len(self._unsent) == 1:
            self._has_unsent.set()

    # --- Being connected -----------------------------------------------------------------------------------

    async def connect_first(self) -> Opened:
        """Return a connection to the first server that takes us, or raise the last error within `timeout`."""
        last: TransportError = DisconnectedError(
            f"{', '.join(self._options.servers)}: no answer within {self._options.timeout:g} s"
        )
        with trio.move_on_after(self._options.timeout):
            while True:
                try:
                    return await open_stream(self._options, self._pool.next())
                except (AccessRefusedError, UnsupportedBrokerError):
                    raise
                except TransportError as error:
                    last = error
                await trio.sleep(max(0.05, self._pool.pause()))
        raise last

    async def run(self, opened: Opened, *, task_status: trio.TaskStatus[None]) -> None:
        """Stay connected until cancelled."""
        while True:
            try:
                self._up(opened)
                task_status.started()
                task_status = trio.TASK_STATUS_IGNORED
                await self._serve(opened)
            finally:
                await trio.aclose_forcefully(opened.stream)
                self._down()
            opened = await self._reconnect()

    async def _reconnect(self) -> Opened:
        while True:
            await trio.sleep(self._pool.pause())
            try:
                with trio.fail_after(self._options.timeout):
                    return await open_stream(self._options, self._pool.next())
            except trio.TooSlowError:
                continue
            except (AccessRefusedError, UnsupportedBrokerError) as error:
                # The operator may be changing the credentials; told once, not with every try.
                if str(error) != self._refusal:
                    self._refusal = str(error)
                    _log.warning("not connected again yet: %s", error)
            except TransportError:
                continue

    async def _serve(self, opened: Opened) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write, opened.stream, nursery.cancel_scope)
            nursery.start_soon(self._listen_for_silence, nursery.cancel_scope)
            await self._read(opened)
            nursery.cancel_scope.cancel()

    def _up(self, opened: Opened) -> None:
        self._server = opened.server
        self._pool.succeeded()
        self._pool.learn(opened.info.get("connect_urls") or ())
        self._refusal = ""
        self._is_up = True
        self._heard = trio.current_time()
        for sid, (subject, _) in self._subscriptions.items():
            self._post(protocol.subscribe(subject, sid))
        self._tell(is_up=True)

    def _down(self) -> None:
        if not self._is_up:
            return
        self._is_up = False
        # Nothing of this goes out on a later connection: whoever posted it has been told that it is lost.
        self._unsent, self._unsent_bytes = [], 0
        self._has_unsent = trio.Event()
        flushes, self._flushes = self._flushes, []
        for answered in flushes:
            answered.set()
        self._tell(is_up=False)

    def _tell(self, *, is_up: bool) -> None:
        for callback in self._watchers:
            callback(is_up)

    # --- Tasks of one connection; each ends when it breaks -------------------------------------------------

    async def _write(self, stream: trio.abc.Stream, connection: trio.CancelScope) -> None:
        try:
            while True:
                await self._has_unsent.wait()
                self._has_unsent = trio.Event()
                unsent, self._unsent, self._unsent_bytes = self._unsent, [], 0
                await stream.send_all(b"".join(unsent) if len(unsent) > 1 else unsent[0])
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            connection.cancel()

    async def _read(self, opened: Opened) -> None:
        self._take(opened.events)
        while True:
            try:
                data = await opened.stream.receive_some(_CHUNK)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if not data:
                return
            self._heard = trio.current_time()
            try:
                events = opened.parser.feed(data)
            except ProtocolError:
                _log.exception("the connection to %s is given up", opened.server.url)
                return
            if self._take(events):
                return

    def _take(self, events: list[Event]) -> bool:
        """Act on what came, and tell whether the server wants us to go."""
        for event in events:
            if isinstance(event, Told):
                found = self._subscriptions.get(event.sid)
                if found is not None:
                    found[1](event.message)
            elif isinstance(event, Pong):
                if self._flushes:
                    self._flushes.pop(0).set()
            elif isinstance(event, Ping):
                self._post(protocol.PONG)
            elif isinstance(event, Info):
                if self._told(event.fields):
                    return True
            elif isinstance(event, Refused):
                _log.warning("%s says: %s", self.server.url, event.reason)
        return False

    def _told(self, fields: dict[str, Any]) -> bool:
        self._pool.learn(fields.get("connect_urls") or ())
        if fields.get("ldm") and len(self._pool) > 1:
            # It shuts down and asks its clients to leave in good time.
            self._pool.avoid()
            return True
        return False

    async def _listen_for_silence(self, connection: trio.CancelScope) -> None:
        while True:
            await trio.sleep_until(self._heard + _SILENCE)
            silent = trio.current_time() - self._heard
            if silent >= 2 * _SILENCE:
                _log.warning("%s has been silent for %.0f s: the connection is given up", self.server.url, silent)
                connection.cancel()
                return
            if silent >= _SILENCE:
                # Its PONG goes to nobody, so nobody may take it for his.
                self._flushes.append(trio.Event())
                self._post(protocol.PING)
                await trio.sleep(_SILENCE)

    async def close(self) -> None:
        """Send what was posted, within a second; whatever happens, the block ends."""
        if self._is_up:
            with trio.move_on_after(_CLOSING, shield=True):
                try:
                    await self.flush()
                except DisconnectedError:
                    return
