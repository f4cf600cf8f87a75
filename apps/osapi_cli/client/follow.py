"""Reads a stream of the server's events to its end, through broken connections and restarts of the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx2
import msgspec
import trio

from osapi_cli import exits
from osapi_cli.client.http import Request, prepare
from osapi_cli.client.refusals import refusal, stranger, unreachable
from osapi_cli.client.sse import Event, Parser, TooLargeError
from osapi_cli.problems import RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from osapi_cli.client.server import Server

# Seconds. The server says something every 5 s. One that is restarted or replaced is back within two minutes.
_SILENCE: Final = 20.0
_GIVE_UP: Final = 120.0
_LASTING: Final = 60.0  # a connection of which something must have been heard
_RETRY: Final = 2.0
_MAX_RETRY: Final = 15.0

_TYPE: Final = "text/event-stream"


async def follow(
    http: httpx2.AsyncClient,
    server: Server,
    path: str,
    take: Callable[[Event], bool],
    *,
    tell: Callable[[str], None],
) -> None:
    """Give `take` every event of a stream, in order and once, until it returns True.

    Where the stream breaks off before that, it is asked for again from the last event on; `tell` is given that, and why
    the server does not answer then.

    Raises:
        UnavailableError: the server was not there, or was away for two minutes.
        RefusedError: the server refused it; the message says why.

    """
    parser = Parser()
    lost_at: float | None = None
    pause = 0.0
    connected = is_away = False
    while True:
        heard, begun = parser.last_id, trio.current_time()
        broken: UnavailableError | None = None
        try:
            if await _read(http, server, path, parser, take):
                return
            connected = True
        except UnavailableError as error:
            broken = error
            connected = connected or parser.last_id != heard
            if not connected:
                raise
        now = trio.current_time()
        if lost_at is None or parser.last_id != heard or now - begun > _LASTING:
            lost_at, pause, is_away = now, parser.retry or _RETRY, False
            tell(f"the stream of {server.url} broke off; it is asked for again from where it was")
        elif broken is not None:
            if now - lost_at > _GIVE_UP:
                raise broken
            if not is_away:
                tell(f"{broken}; it is asked again for {_GIVE_UP:g} s")
            is_away = True
        await trio.sleep(pause)
        pause = min(2 * pause, _MAX_RETRY)
        parser = Parser(parser.last_id, parser.retry)


async def _read(
    http: httpx2.AsyncClient, server: Server, path: str, parser: Parser, take: Callable[[Event], bool]
) -> bool:
    """Read one connection's events; return whether `take` has had enough."""
    headers = {"Accept": f"{_TYPE}, application/problem+json"}
    if parser.last_id:
        headers["Last-Event-ID"] = parser.last_id
    request = prepare(http, server, Request(method="GET", path=path, headers=headers, patience=_SILENCE))
    try:
        response = await http.send(request, stream=True)
        try:
            await _check(server, path, response)
            return await _take_all(response, parser, take)
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1.0):
                await response.aclose()
    except httpx2.HTTPError as error:
        raise unreachable(server, error, only_reads=True) from error
    except (TooLargeError, msgspec.DecodeError) as error:
        raise RefusedError(f"the server's stream cannot be understood: {error}", exits.FAILED) from error


async def _take_all(response: httpx2.Response, parser: Parser, take: Callable[[Event], bool]) -> bool:
    # The generators inside the response are closed by an error that comes from within, and by nothing else: whoever
    # leaves the loop leaves some of them to the garbage collector.
    enough: bool | Exception = False
    with trio.CancelScope() as scope:
        async for piece in response.aiter_bytes():
            try:
                enough = enough or any(take(event) for event in parser.feed(piece))
            except Exception as error:  # noqa: BLE001 - raised again below
                enough = error
            if enough:
                scope.cancel()
    if isinstance(enough, Exception):
        raise enough
    return enough


async def _check(server: Server, path: str, response: httpx2.Response) -> None:
    if not response.is_success:
        await response.aread()
        raise refusal(server, "GET", f"/api{path}", response)
    if not response.headers.get("Content-Type", "").startswith(_TYPE):
        raise stranger(server, response)
