"""Metrics and liveness as an ASGI app, for a port of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osapi_telemetry.metrics import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi_telemetry.metrics import Metrics

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[Scope]]
    Send = Callable[[Scope], Awaitable[None]]


def metrics_app(metrics: Metrics) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return an ASGI app that answers GET /metrics for Prometheus and GET /health for probes.

    It needs no token: bind it to an address that only those reach who may know.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            status, kind, body = _answer(metrics, scope["method"], scope["path"])
            headers = [(b"content-type", kind.encode()), (b"cache-control", b"no-store")]
            if status == 405:
                headers.append((b"allow", b"GET, HEAD"))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    return app


def _answer(metrics: Metrics, method: str, path: str) -> tuple[int, str, bytes]:
    if path not in {"/metrics", "/health"}:
        return 404, "application/json", b'{"error":"there are /metrics and /health"}'
    if method not in {"GET", "HEAD"}:
        return 405, "application/json", b'{"error":"use GET"}'
    if path == "/health":
        return 200, "application/json", b'{"status":"ok"}'
    return 200, CONTENT_TYPE, metrics.render()


async def _live(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
