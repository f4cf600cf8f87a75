"""Serve an app with hypercorn, as a task of the caller."""

from __future__ import annotations

import logging
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

import trio
from hypercorn.config import Config

from osapi.errors import InvalidSettingError
from osapi_api.app import EXTENSION
from osapi_api.last_part import finishing
from osapi_telemetry.connections import serve_asgi

if TYPE_CHECKING:
    from quart_trio import QuartTrio

    from osapi_api.endpoints import Api

_MAX_STALL: Final = 3600.0


async def serve(
    app: QuartTrio,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    shutdown: trio.Event | None = None,
    lame_duck: float = 0.0,
    grace: float = 10.0,
    keep_alive: float = 5.0,
    stall: float = 20.0,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `shutdown` is set, then stop in order; `nursery.start` returns the URLs once it listens.

    Stopping, the API is not ready for `lame_duck` seconds while it still answers, so that a load balancer can turn
    away; then nothing new is accepted, and requests that run have `grace` seconds. No signal is handled here: the
    program sets the event. Cancelled, it stops at once. Port 0 takes a free one. A connection without a request is
    closed after `keep_alive` seconds, and so is, on Linux, one whose client takes nothing of its answer for `stall`.

    Raises:
        InvalidSettingError: the port, or the stall.
        OSError: the address cannot be listened on.

    """
    if not 0 <= port <= 65535:
        raise InvalidSettingError(port, "is not a port", "use 0 to 65535")
    if not 0.0 < stall <= _MAX_STALL:
        raise InvalidSettingError(stall, "is out of range for stall", f"use more than 0, at most {_MAX_STALL:g}")
    stop = trio.Event() if shutdown is None else shutdown

    async def stopped() -> None:
        await stop.wait()
        apis: list[Api] = app.extensions.get(EXTENSION, [])
        for api in apis:
            api.draining = True
        await trio.sleep(lame_duck)
        for api in apis:
            api.stopping.set()

    served: Any = finishing(app)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    # Hypercorn would leave its socket open where the address is taken.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    if sys.platform == "linux":
        # Hypercorn shields what it sends, so nothing else ends that. Connections take it over from their listener.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(stall * 1000)))
    await serve_asgi(served, _config(listener, grace, keep_alive), shutdown_trigger=stopped, task_status=task_status)


def _config(listener: socket.socket, grace: float, keep_alive: float) -> Config:
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.graceful_timeout = grace
    config.keep_alive_timeout = keep_alive  # pyright: ignore[reportAttributeAccessIssue]
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = logging.getLogger("osapi.api.server")
    # Enough for a token of the longest kind, and no more than that for anybody.
    config.h11_max_incomplete_size = 32 * 1024
    config.h2_max_header_list_size = 32 * 1024
    return config
