"""What tests of connections share: waiting, recording, and servers that are none."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import threading
from contextlib import asynccontextmanager, contextmanager
from secrets import token_hex
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import trio

from osapi_nats.options import Options
from osapi_nats.server import Cluster, ServerSettings, run_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from osapi_nats.connection import Connection, Incoming
    from osapi_nats.server import Server

PATIENCE = 20.0


def options_of(server: Server) -> Options:
    return Options(servers=(f"127.0.0.1:{server.port}",))


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that another thread or process brings about."""
    with trio.fail_after(PATIENCE):
        while not condition():
            await trio.sleep(0.005)


def record(connection: Connection, subject: str) -> list[Incoming]:
    """Subscribe, and return the list that messages will be in."""
    messages: list[Incoming] = []
    connection.subscribe(subject, messages.append)
    return messages


async def request(connection: Connection, subject: str, payload: bytes = b"") -> Incoming:
    """Publish with an inbox of its own, and return the first answer."""
    inbox = f"_INBOX.{token_hex(8)}"
    answers: list[Incoming] = []
    subscription = connection.subscribe(inbox, answers.append)
    connection.publish(subject, payload, inbox)
    await until(lambda: answers)
    subscription.unsubscribe()
    return answers[0]


@contextmanager
def ends_soon() -> Generator[Callable[[], None]]:
    """Hold a block to ending within three seconds of the call; a thread's end cannot be cancelled, only be late."""
    with trio.fail_after(PATIENCE) as scope:

        def now() -> None:
            scope.deadline = trio.current_time() + 3

        yield now
    assert not scope.cancel_called, "the block ended too late"


def record_states(connection: Connection) -> list[bool]:
    states: list[bool] = []
    connection.watch_state(states.append)
    return states


def freeze(server: Server) -> None:
    """Stop the process without ending it, as a machine does that hangs."""
    os.kill(server.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, server.pid, os.WSTOPPED)  # some of its threads go on for a moment


def kill_unnoticed(server: Server) -> None:
    """Kill the server and let its end arrive while Trio is not looking."""
    os.kill(server.pid, signal.SIGKILL)
    sleep(0.1)


@asynccontextmanager
async def run_member(
    name: str, *routes: str, grace: float = 5.0, **settings: Any
) -> AsyncGenerator[tuple[Server, str]]:
    """Run a member of a cluster, all its ports free ones; the block gets it, and the route by which others join."""
    lines: list[str] = []
    given = ServerSettings(port=0, name=name, cluster=Cluster(name="c", port=-1, routes=routes), **settings)
    async with run_server(given, log=lines.append, grace=grace) as server:
        await until(lambda: any("for route connections on" in line for line in lines))
        (route,) = re.findall(r"for route connections on (\S+)", "\n".join(lines))
        yield server, route


def our_threads() -> list[str]:
    """Return the names of the threads that a connection has started and that still run."""
    return [thread.name for thread in threading.enumerate() if "osapi-nats" in thread.name]


def no_thread_is_left() -> bool:
    """Tell whether they have ended; Trio takes a thread's name away a moment after it has told of its end."""
    give_up = monotonic() + 1
    while our_threads() and monotonic() < give_up:
        sleep(0.001)
    gc.collect()  # what was left open says so now, not in a later test
    return not our_threads()


@asynccontextmanager
async def impostor(
    greeting: bytes | None, answer: bytes = b"", *, heard: list[bytes] | None = None, is_alive: bool = False
) -> AsyncGenerator[Options]:
    """Listen in place of a server: greet, answer once to whatever is said, and then answer pings or nothing."""

    async def serve(stream: trio.SocketStream) -> None:
        if greeting is not None:
            await stream.send_all(greeting)
            said = bytes(await stream.receive_some())
            if heard is not None:
                heard.append(said)
            await stream.send_all(answer)
        async for more in stream:
            if is_alive and b"PING" in more:
                await stream.send_all(b"PONG\r\n")

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield Options(servers=(f"127.0.0.1:{port}",), timeout=0.5)
        nursery.cancel_scope.cancel()


def info(**said: object) -> bytes:
    """Return the greeting of a server."""
    known = {"server_id": "X", "server_name": "x", "version": "2.15.1", "max_payload": 1024, "headers": True}
    return b"INFO " + json.dumps(known | said).encode() + b"\r\n"
