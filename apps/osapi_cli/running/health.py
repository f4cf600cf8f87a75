"""The port for probes and figures: whether the process answers, whether it can do its work, and what it has done.

GET /health         200 {"status": "ok"}; the broker is not asked
GET /health/ready   200 {"status": "ready"}, or 503 {"status": "not_ready", "error": "..."}
GET /metrics        200, the figures for Prometheus
"""

from __future__ import annotations

import logging
import os
import socket
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio

import osapi
from osapi.nursery import background
from osapi.settings import registry_bucket
from osapi_cli.problems import UnavailableError
from osapi_telemetry import CONTENT_TYPE, Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from osapi.transport import Transport
    from osapi_cli.running.lifetime import Lifetime
    from osapi_cli.wiring import Listen

_SECONDS: Final = 5.0  # that a probe is kept waiting
_GRACE: Final = 1.0

_log: Final = logging.getLogger("osapi.program")

_Scope = dict[str, Any]


class Reached:
    """Whether a program can do its work: it is ready, not about to stop, and its broker answers; and its figures."""

    def __init__(self, lifetime: Lifetime) -> None:
        self.metrics = Metrics()
        self.metrics.subsystem("broker", lambda: self._transport is not None and not self._trouble)
        self._trouble = ""
        self._lifetime = lifetime
        self._transport: Transport | None = None
        self._settings = osapi.Settings()
        self._waits: Callable[[], str] = str

    def place(self, transport: Transport, settings: osapi.Settings, waits: Callable[[], str] | None = None) -> None:
        """Say which broker it is, and by what to find what else is waited for before there is work to do."""
        self._transport = transport
        self._settings = settings
        self._waits = waits or self._waits

    async def trouble(self) -> str:
        """Return why it cannot, nothing if it can."""
        if self._lifetime.trouble or self._transport is None:
            return self._lifetime.trouble
        try:
            await (await self._transport.bucket(registry_bucket(self._settings))).info()
        except osapi.OsapiError as error:
            self._trouble = f"the broker cannot be asked ({type(error).__name__})"
        except trio.Cancelled:
            self._trouble = "the broker does not answer"
            raise
        else:
            self._trouble = ""
        if not self._trouble and (waits := self._waits()):
            return f"it waits until {waits}"
        return self._trouble


class Health:
    """An ASGI app that answers probes, and whoever asks for figures.

    `trouble` returns why the program is not ready, nothing if it is; `figures` returns them.
    """

    def __init__(self, trouble: Callable[[], Awaitable[str]], figures: Callable[[], bytes]) -> None:
        self._trouble = trouble
        self._figures = figures

    async def __call__(
        self,
        scope: _Scope,
        receive: Callable[[], Awaitable[_Scope]],
        send: Callable[[_Scope], Awaitable[None]],
    ) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            status, body = await self._answer(scope["method"], scope["path"])
            kind = CONTENT_TYPE if isinstance(body, bytes) else "application/json"
            headers = [(b"content-type", kind.encode()), (b"cache-control", b"no-store")]
            if status == 405:
                headers.append((b"allow", b"GET, HEAD"))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            content = body if isinstance(body, bytes) else msgspec.json.encode(body)
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else content})

    async def _answer(self, method: str, path: str) -> tuple[int, dict[str, str] | bytes]:
        if path not in ("/health", "/health/ready", "/metrics"):
            return 404, {"error": "there are /health, /health/ready and /metrics"}
        if method not in ("GET", "HEAD"):
            return 405, {"error": "use GET"}
        if path == "/health":
            return 200, {"status": "ok"}
        # Whether the broker answers is one of the figures, so that both ask it.
        trouble = "the broker does not answer"
        with trio.move_on_after(_SECONDS):
            trouble = await self._trouble()
        if path == "/metrics":
            return 200, self._figures()
        return (503, {"status": "not_ready", "error": trouble}) if trouble else (200, {"status": "ready"})


async def _live(receive: Callable[[], Awaitable[_Scope]], send: Callable[[_Scope], Awaitable[None]]) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


@asynccontextmanager
async def probes(reached: Reached, listen: Listen | None, keys: str) -> AsyncGenerator[None]:
    """Answer probes for the length of a block, if there is an address for it.

    `keys` are those of the configuration that say where, for the error.

    Raises:
        UnavailableError: the address cannot be listened on.

    """
    if listen is None:
        yield
        return
    # 3.6 MB of the memory of an agent that has no port for it.
    from hypercorn.config import Config  # noqa: PLC0415

    from osapi_telemetry.connections import serve_asgi  # noqa: PLC0415

    config = Config()
    config.bind = [f"fd://{_listener(listen, keys).detach()}"]
    config.graceful_timeout = _GRACE
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("osapi.health")
    config.h11_max_incomplete_size = 16 * 1024
    app: Any = Health(reached.trouble, reached.metrics.render)
    async with background() as nursery:
        (url,) = await nursery.start(partial(serve_asgi, app, config))
        _log.info("health is told at %s", url)
        yield


def _listener(listen: Listen, keys: str) -> socket.socket:
    try:
        return socket.create_server(
            (listen.host, listen.port), family=socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        )
    except OSError as error:
        raise cannot_listen(listen, keys, error) from error


def cannot_listen(listen: Listen, keys: str, error: OSError) -> UnavailableError:
    """Return the error that says where something cannot listen, and which keys say where."""
    # The message of a socket's own may say all of this once more, in its words.
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return UnavailableError(
        f"{keys} cannot listen on {host}:{listen.port}: {reason}; "
        f"stop what uses that port, or give another address ({keys}.host, {keys}.port)"
    )
