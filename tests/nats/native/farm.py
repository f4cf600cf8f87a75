"""Servers that exist in memory only, for time that is virtual."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any

import trio
import trio.testing

from osapi_nats.native import open_connection
from osapi_nats.options import Options
from tests.nats.native import wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AbstractAsyncContextManager

    from osapi_nats.connection import Connection


class States:
    """What a connection tells of its state, and when."""

    def __init__(self, connection: Connection) -> None:
        self.seen: list[bool] = []
        self._times: list[float] = []
        self._news = trio.Event()
        connection.watch_state(self._note)

    def _note(self, is_up: bool) -> None:
        self.seen.append(is_up)
        self._times.append(trio.current_time())
        self._news.set()
        self._news = trio.Event()

    async def wait(self, count: int) -> float:
        """Wait until so many have been told, and return when the last of them was."""
        with trio.fail_after(1000):
            while len(self.seen) < count:
                await self._news.wait()
        return self._times[count - 1]


class Peer:
    """A server's end of one connection."""

    def __init__(self, stream: trio.abc.Stream, info: dict[str, Any], refusal: bytes) -> None:
        self.said = b""  # by the client
        self.answers = True  # pings
        self.reads = trio.Event()  # set while it does
        self.reads.set()
        self.pause = 0.0  # before each read
        self.left = trio.Event()  # by the client
        self.greeted = trio.Event()  # the client has had its first answer
        self._stream = stream
        self._info = info
        self._refusal = refusal

    async def run(self) -> None:
        await self.say(b"INFO " + json.dumps(self._info).encode() + b"\r\n")
        while True:
            await trio.sleep(self.pause)
            await self.reads.wait()
            try:
                data = bytes(await self._stream.receive_some(1 << 20))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            if not data:
                self.left.set()
                return
            self.said += data
            if self._refusal and b"CONNECT" in data:
                await self.say(self._refusal)
                await self.hang_up()
            elif self.answers and (pings := data.count(b"PING\r\n")):
                await self.say(b"PONG\r\n" * pings)
                self.greeted.set()

    async def say(self, data: bytes) -> None:
        # It is allowed to come too late.
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError:
            self.left.set()

    async def hang_up(self) -> None:
        await self._stream.aclose()

    def subjects(self) -> list[str]:
        """Return what was published on."""
        return [command.words[0] for command in wire.read(self.said) if command.verb == "PUB"]


class Server:
    """Takes connections; each becomes a peer."""

    def __init__(self, **info: Any) -> None:
        self.info: dict[str, Any] = {"server_name": "x", "version": "2.15.1", "max_payload": 1 << 20, **info}
        self.peers: list[Peer] = []
        self.is_tight = False  # nothing is buffered on the way
        self.is_silent = False  # from the start
        self.kicks = False  # whoever has come in
        self.refusal = b""  # what it says to whoever wants to come in

    @property
    def peer(self) -> Peer:
        return self.peers[-1]


class Farm:
    """Some servers, by "host:port"; dial them with `dial`."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.servers: dict[str, Server] = {}
        self.tried: list[tuple[float, str]] = []
        self._nursery = nursery

    def add(self, name: str, **info: Any) -> Server:
        server = self.servers[name] = Server(**info)
        return server

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.tried.append((trio.current_time(), f"{host}:{port}"))
        server = self.servers.get(f"{host}:{port}")
        if server is None:
            raise ConnectionRefusedError(111, "Connection refused")
        make = trio.testing.lockstep_stream_pair if server.is_tight else trio.testing.memory_stream_pair
        ours, theirs = make()
        peer = Peer(theirs, server.info, server.refusal)
        server.peers.append(peer)
        if not server.is_silent:
            self._nursery.start_soon(peer.run)
        if server.kicks:
            self._nursery.start_soon(self._kick, peer)
        return ours

    async def _kick(self, peer: Peer) -> None:
        await peer.greeted.wait()
        await peer.hang_up()

    def connect(self, *names: str, **options: Any) -> AbstractAsyncContextManager[Connection]:
        servers = names or tuple(self.servers)
        return open_connection(Options(servers=servers, **options), random=Random(1), dial=self.dial)


@asynccontextmanager
async def farm() -> AsyncGenerator[Farm]:
    async with trio.open_nursery() as nursery:
        yield Farm(nursery)
        nursery.cancel_scope.cancel()
