"""A request to the server and its answer, over HTTP on Trio."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

import click
import httpx2
import msgspec

from osapi import tracing
from osapi.errors import shown
from osapi.nursery import background
from osapi_cli import exits
from osapi_cli.client import progress
from osapi_cli.client.refusals import is_problem, refusal, stranger, unreachable
from osapi_cli.client.server import Server, find_server
from osapi_cli.problems import RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from osapi_cli.group import Flags

T = TypeVar("T")

# Seconds.
CONNECT: Final = 5.0
PATIENCE: Final = 30.0

# A server whose machine is gone does not say so. The kernel finds out within half a minute.
_KEEP_ALIVE: Final = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, number, value)
        for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))
        if (number := getattr(socket, name, None)) is not None
    ),
]

_OURSELVES: Final = ("localhost", "127.0.0.1", "[::1]")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: a path below the API's prefix; what is None in the query is left out."""

    method: str
    path: str
    query: Mapping[str, object] = {}
    body: Any = None
    headers: Mapping[str, str] = {}
    patience: float = PATIENCE


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the server answered: its JSON, None without a body."""

    status: int
    body: Any
    headers: Mapping[str, str]

    def read(self, kind: type[T]) -> T:
        """Return the body as a type.

        Raises:
            RefusedError: it is nothing of the kind.

        """
        return read(self.body, kind)


def read(value: Any, kind: type[T]) -> T:
    """Return a part of an answer as a type.

    Raises:
        RefusedError: it is nothing of the kind.

    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        told = f"the server's answer cannot be understood: {error}; it may be of another version than this program"
        raise RefusedError(told, exits.FAILED) from error


def part(text: str) -> str:
    """Return text as one part of a path.

    Raises:
        UsageError: it holds a slash; on its way to the server it would become two parts.

    """
    if "/" in text:
        raise click.UsageError(f"{shown(text)} holds '/', which no target, name or id has")
    # Dots alone would be taken for a way up.
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


def ask(
    flags: Flags,
    method: str,
    path: str,
    *,
    query: Mapping[str, object] | None = None,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    also: tuple[int, ...] = (),
) -> Answer:
    """Send one request to the server of the configuration and return its answer; `also` are statuses that are none bad.

    Raises:
        ConfigurationError, UnavailableError, RefusedError, SignalledError

    """
    server = find_server(flags.configuration())
    request = Request(method=method, path=path, query=query or {}, body=body, headers=headers or {})
    return exits.run(partial(_ask, server, request, also))


async def _ask(server: Server, request: Request, also: tuple[int, ...]) -> Answer:
    async with connect(server) as http, background() as nursery:
        if progress.can_be_seen():
            nursery.start_soon(progress.show_soon, lambda: f"waiting for {server.url}")
        return await send(http, server, request, also=also)


def download(flags: Flags, path: str) -> bytes:
    """Return what lies at a path, whatever it is.

    Raises:
        ConfigurationError, UnavailableError, RefusedError, SignalledError

    """
    server = find_server(flags.configuration())
    return exits.run(partial(_download, server, Request(method="GET", path=path)))


async def _download(server: Server, request: Request) -> bytes:
    async with connect(server) as http:
        return (await exchange(http, server, request)).content


@asynccontextmanager
async def connect(server: Server) -> AsyncGenerator[httpx2.AsyncClient]:
    """Open an HTTP client for the server; nothing is sent yet."""
    headers = {"Accept": "application/json", "User-Agent": "osapi"}
    if server.token:
        headers["Authorization"] = f"Bearer {server.token}"
    # A pipeline that traces its steps names the trace there.
    if tracing.trace_id(trace := os.environ.get("TRACEPARENT", "")):
        headers[tracing.HEADER] = trace
    context = ssl.create_default_context() if server.secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    transport = httpx2.AsyncHTTPTransport(verify=context, socket_options=_KEEP_ALIVE)
    # Proxies of the environment are used, but never to reach this machine.
    mounts = {f"all://{host}": transport for host in _OURSELVES}
    try:
        client = httpx2.AsyncClient(headers=headers, verify=context, mounts=mounts)
    except (httpx2.InvalidURL, ValueError) as error:
        raise RefusedError(f"the proxies of the environment cannot be used: {error}", exits.CONFIG) from error
    async with client:
        yield client


async def send(http: httpx2.AsyncClient, server: Server, request: Request, *, also: tuple[int, ...] = ()) -> Answer:
    """Send a request and return its answer.

    Raises:
        UnavailableError, RefusedError

    """
    response = await exchange(http, server, request, also=also)
    return Answer(status=response.status_code, body=_json(server, response), headers=response.headers)


async def exchange(
    http: httpx2.AsyncClient, server: Server, request: Request, *, also: tuple[int, ...] = ()
) -> httpx2.Response:
    """Send a request and return the response with its body, if it is no refusal.

    Raises:
        UnavailableError, RefusedError

    """
    try:
        response = await http.send(prepare(http, server, request))
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        # What hosts are asked has a key, whatever the method.
        only_reads = request.method == "GET" and "Idempotency-Key" not in request.headers
        raise unreachable(server, error, only_reads=only_reads) from error
    if not (response.is_success or response.status_code in also) or is_problem(response):
        raise refusal(server, request.method, f"/api{request.path}", response)
    return response


def prepare(http: httpx2.AsyncClient, server: Server, request: Request) -> httpx2.Request:
    """Return a request as it is sent."""
    headers = dict(request.headers)
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    return http.build_request(
        request.method,
        f"{server.url}/api{request.path}",
        params={name: str(value) for name, value in request.query.items() if value is not None},
        content=None if request.body is None else msgspec.json.encode(request.body),
        headers=headers,
        timeout=httpx2.Timeout(request.patience, connect=CONNECT),
    )


def _json(server: Server, response: httpx2.Response) -> Any:
    if response.status_code == 204:
        return None
    try:
        return msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise stranger(server, response) from error
