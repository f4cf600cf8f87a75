"""Running nats-server: started, announced, started again when it dies."""

from __future__ import annotations

import signal
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

import trio
from msgspec import Struct

from osapi.nursery import background
from osapi_cli import exits
from osapi_cli.problems import UnavailableError
from osapi_nats.server import Auth, ServerFailedError, ServerNotFoundError, ServerSettings, User, run_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from osapi_cli.configuration.broker import Server as Configured
    from osapi_nats.server import Server

_WITHIN: Final = 60.0
_PAUSES: Final = (0.2, 0.4, 0.8, 1.6)  # in seconds; after one failure more within `_WITHIN` it gives up
_LOUD: Final = ("[WRN]", "[ERR]", "[FTL]")


class Ready(Struct, frozen=True, kw_only=True):
    """Where a server is, and whose."""

    url: str
    store: str
    pid: int
    auth: str

    def lines(self) -> list[str]:
        """Return what to tell people."""
        how = {"user_pass": "//USER:PASSWORD@", "token": "//TOKEN@"}.get(self.auth, "//")
        return [
            f"nats-server is ready at {self.url}, store {self.store}, pid {self.pid}.",
            f"Connect with osapi.connect({self.url.replace('//', how, 1)!r}), or in controller.nats and agent.nats.",
        ]


class Supervised(Protocol):
    """A server that may end, and be started again."""

    @property
    def pid(self) -> int:
        """Return its process id."""
        ...

    @property
    def tail(self) -> list[str]:
        """Return what it wrote last."""
        ...

    async def wait(self) -> int:
        """Return its status once it has ended."""
        ...

    async def start(self) -> None:
        """Start it again."""
        ...


def settings_of(configured: Configured) -> ServerSettings:
    """Return how to run the server that is configured."""
    auth = configured.auth
    users = tuple(User(user.username, user.password) for user in auth.users)
    return ServerSettings(
        host=configured.host,
        port=configured.port,
        store_dir=configured.store_dir,
        auth=Auth(type=auth.type, users=users, token=auth.token, nkeys=auth.nkeys),
    )


async def serve(settings: ServerSettings, announce: Callable[[Ready], None], *, debug: bool) -> None:
    """Run a server until this is cancelled; it is announced once it is ready.

    Raises:
        UnavailableError: it does not start, or does not stay up.

    """
    async with running_server(settings, debug=debug) as server:
        announce(Ready(url=server.url, store=str(server.store), pid=server.pid, auth=settings.auth.type))
        await trio.sleep_forever()


@asynccontextmanager
async def running_server(settings: ServerSettings, *, debug: bool) -> AsyncGenerator[Server]:
    """Run a server for the length of a block, and start it again when it dies.

    Raises:
        UnavailableError: it does not start, or does not stay up.

    """

    def log(line: str) -> None:
        if debug or any(level in line for level in _LOUD):
            exits.tell(f"nats-server: {line}")

    try:
        async with run_server(settings, log=log) as server, background() as nursery:
            nursery.start_soon(supervise, server)
            yield server
    except (ServerNotFoundError, ServerFailedError) as error:
        raise UnavailableError(str(error)) from error


async def supervise(server: Supervised) -> None:
    """Start a server again whenever it ends, after growing pauses.

    Raises:
        UnavailableError: it ended five times within a minute; the message ends with what it wrote last.

    """
    ends: deque[float] = deque()
    how = _how(await server.wait())
    while True:
        now = trio.current_time()
        ends.append(now)
        while ends[0] <= now - _WITHIN:
            ends.popleft()
        if len(ends) > len(_PAUSES):
            last = " | ".join(server.tail[-3:])
            raise UnavailableError(f"nats-server failed {len(ends)} times within {_WITHIN:g} s, last: {how}; {last}")
        pause = _PAUSES[len(ends) - 1]
        exits.tell(f"nats-server failed: {how}; it is started again in {pause:g} s")
        await trio.sleep(pause)
        how = await _again(server)


async def _again(server: Supervised) -> str:
    """Start it, and return how it ended, or why it did not start."""
    try:
        await server.start()
    except ServerFailedError as error:
        return str(error)
    exits.tell(f"nats-server is ready again, pid {server.pid}")
    return _how(await server.wait())


def _how(status: int) -> str:
    return f"it ended with status {status}" if status >= 0 else f"it was killed by {signal.Signals(-status).name}"
