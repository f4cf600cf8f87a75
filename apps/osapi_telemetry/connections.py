"""Hypercorn's connections, of which none can end the server, and none is closed over a request that has begun.

Hypercorn 0.18 has one task close a connection while another may be answering on it: what that one sends then raises
`trio.BusyResourceError`, which nobody catches before the nursery of the whole server. A client that sends nonsense
behind its request gets there within some thousand tries. Here the answer is dropped, as that of any client that is
gone, and whatever else a connection fails with ends that connection alone.

It also closes connections that have been idle for long, or when it stops, though on one of them a request may have come
at that very moment: that one would be carried out, and its answer lost. Here either the request comes first, and is
answered, or the end, and then nothing is done of it.

The API and the ports for probes are served with it; it needs Hypercorn, which `osapi_telemetry` alone does not.
"""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, cast

import trio
from hypercorn.events import Closed, Updated
from hypercorn.trio.run import worker_serve
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.utils import wrap_app  # pyright: ignore[reportUnknownVariableType]

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hypercorn.config import Config
    from hypercorn.events import Event


class Connection(TCPServer):
    """One connection, whose failures are its own."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._is_idle = True
        self._is_over = False

    async def run(self) -> None:
        """Serve it until it ends."""
        try:
            await super().run()
        except* _TooLateError:
            pass
        except* Exception as error:  # noqa: BLE001 - whatever a stranger's bytes lead to must not end the others
            await self.config.log.warning("a connection failed and was closed: %s", "; ".join(_leaves(error)))

    async def protocol_send(self, event: Event) -> None:
        """Send what there is to send, unless the connection is being closed."""
        if isinstance(event, Updated):
            if self._is_over and not event.idle:
                raise _TooLateError
            self._is_idle = event.idle
        try:
            await super().protocol_send(event)
        except trio.BusyResourceError:
            await self.protocol.handle(Closed())

    async def _initiate_server_close(self) -> None:
        if self._is_idle:
            self._is_over = True
            await super()._initiate_server_close()


class _TooLateError(Exception):
    """A request has come on a connection that is over."""


def _leaves(error: BaseException) -> list[str]:
    if issubclass(type(error), BaseExceptionGroup):
        inner = cast("BaseExceptionGroup[BaseException]", error).exceptions
        return [leaf for each in inner for leaf in _leaves(each)]
    return [f"{type(error).__name__}: {error}"[:200]]


def _with_own_connections() -> Callable[..., Awaitable[None]]:
    # The same function with another class under the name of Hypercorn's: those that others serve stay as they are.
    names = {**worker_serve.__globals__, TCPServer.__name__: Connection}
    own = FunctionType(worker_serve.__code__, names, worker_serve.__name__, worker_serve.__defaults__)
    own.__kwdefaults__ = worker_serve.__kwdefaults__
    return own


_serve: Final = _with_own_connections()


async def serve_asgi(
    app: Any,
    config: Config,
    *,
    shutdown_trigger: Callable[[], Awaitable[None]] | None = None,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an ASGI app as `hypercorn.trio.serve` does; cancelled, it stops at once."""
    wrapped = wrap_app(app, config.wsgi_max_body_size, "asgi")
    await _serve(wrapped, config, shutdown_trigger=shutdown_trigger, task_status=task_status)
