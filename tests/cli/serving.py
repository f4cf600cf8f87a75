"""A real server on loopback in a thread of its own: broker, agents and API, for all tests of a module."""

from __future__ import annotations

import itertools
import re
import socket
import threading
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

import osapi
import osapi_api
from osapi.nursery import background
from osapi_memory import Broker

if TYPE_CHECKING:
    import ssl
    from collections.abc import Generator, Mapping

    from quart_trio import QuartTrio

KEY: Final = "0123456789abcdef0123456789abcdef"
SECURITY: Final = osapi_api.Security(KEY, roles={"nobody": [], "nodes": ["node:read"]})
AGENTS: Final[Mapping[str, Mapping[str, str]]] = {
    "web-01": {"group": "web.dev"},
    "web-02": {"group": "web.prod"},
    "db-01": {"group": "db"},
}

# An agent is told to take no jobs by the answer to its heartbeat.
_SETTINGS: Final = osapi.Settings(heartbeat=0.2)


class Service(NamedTuple):
    """Where a server listens, and whoever may ask it anything."""

    url: str
    token: str

    def environment(self, token: str | None = None) -> dict[str, str]:
        """Return the variables that lead the program to it."""
        return {
            "OSAPI_CONTROLLER_CLIENT_URL": self.url,
            "OSAPI_CONTROLLER_CLIENT_SECURITY_BEARER_TOKEN": self.token if token is None else token,
        }


def token_of(*roles: str, permissions: list[str] | None = None) -> str:
    """Return a valid token."""
    return SECURITY.generate("tester", roles=roles, permissions=permissions)


@contextmanager
def serving(operations: osapi.Operations, agents: Mapping[str, Mapping[str, str]] = AGENTS) -> Generator[Service]:
    """Serve these operations on free port of loopback until the block ends."""
    started: list[str] = []
    stops: list[tuple[trio.lowlevel.TrioToken, trio.Event]] = []
    ready = threading.Event()

    async def serve() -> None:
        shutdown = trio.Event()
        async with AsyncExitStack() as stack:
            broker = await stack.enter_async_context(Broker())
            for name, labels in agents.items():
                wire = await stack.enter_async_context(broker.connect())
                await stack.enter_async_context(
                    osapi.Agent(wire, operations, hostname=name, labels=labels, settings=_SETTINGS)
                )
            transport = await stack.enter_async_context(broker.connect())
            client = await stack.enter_async_context(osapi.Client(transport, operations, settings=_SETTINGS))
            options = osapi_api.Options(job_timeout=20.0)
            app = osapi_api.create_app(
                client,
                transport=transport,
                operations=operations,
                security=SECURITY,
                options=options,
                settings=_SETTINGS,
            )
            tasks = await stack.enter_async_context(background())
            tasks.start_soon(client.rollouts.conduct)
            nursery = await stack.enter_async_context(trio.open_nursery())
            started.extend(await nursery.start(_serve, app, shutdown))
            stops.append((trio.lowlevel.current_trio_token(), shutdown))
            ready.set()

    def run() -> None:
        try:
            trio.run(serve)
        finally:
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        ready.wait()
        assert started, "the server did not start"
        yield Service(started[0], token_of("admin"))
    finally:
        for token, shutdown in stops:
            token.run_sync_soon(shutdown.set)
        thread.join()


async def _serve(app: QuartTrio, shutdown: trio.Event, *, task_status: trio.TaskStatus[list[str]]) -> None:
    await osapi_api.serve(app, port=0, shutdown=shutdown, grace=0.1, task_status=task_status)


JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"


def answer(status: int, body: bytes, kind: str = JSON) -> bytes:
    """Return an answer as it is sent."""
    return b"HTTP/1.1 %d X\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
        status,
        kind.encode(),
        len(body),
        body,
    )


def stream(*lines: str) -> bytes:
    """Return the answer that is a stream of events, which breaks off after these lines."""
    head = b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    return head + "".join(f"{line}\n" for line in lines).encode()


@contextmanager
def answering(*answers: bytes, tls: ssl.SSLContext | None = None) -> Generator[tuple[str, list[str]]]:
    """Take connections on loopback, give each the next of these answers, the last one for ever, and close it.

    The block gets the URL, and the lines with which requests begin as they come, and after which event they ask.
    """
    asked: list[str] = []

    def answer_all(listener: socket.socket) -> None:
        for number in itertools.count():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            if tls:
                try:
                    connection = tls.wrap_socket(connection, server_side=True)
                except OSError:  # whoever does not trust us is gone
                    continue
            with connection:
                head = _head(connection)
                if head:
                    last = re.search(r"(?im)^last-event-id: *(\S+)", head)
                    asked.append(head.partition("\r\n")[0] + (f" after {last[1]}" if last else ""))
                    with suppress(OSError):  # whoever has had enough does not read on
                        connection.sendall(answers[min(number, len(answers) - 1)])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_all, args=(listener,))
        thread.start()
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{listener.getsockname()[1]}", asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _head(connection: socket.socket) -> str:
    """Read a request to its end; answered sooner, its sender might find the connection broken."""
    told = b""
    while b"\r\n\r\n" not in told:
        part = connection.recv(65536)
        if not part:
            return ""
        told += part
    head, _, body = told.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head.decode("latin-1")
