"""Which web pages of other origins may ask: none, unless the options name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from quart_trio.wrappers import TrioResponse

if TYPE_CHECKING:
    from quart import Request, Response

    from osapi_api.options import Options

_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, Prefer, X-Request-ID"
_EXPOSED: Final = "Location, Preference-Applied, Retry-After, X-Request-ID"
_SECONDS: Final = "600"


def is_preflight(request: Request) -> bool:
    """Tell whether a browser asks what a page may do; such a question carries no token."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def permitted(request: Request, options: Options) -> str:
    """Return the origin to be allowed, empty if it is not."""
    origin = request.headers.get("Origin", "")
    if "*" in options.allow_origins:
        return "*" if origin else ""
    return origin if origin in options.allow_origins else ""


def preflight(methods: str) -> Response:
    """Return the answer to a page's question which methods a path takes."""
    response = TrioResponse(b"", status=204)
    response.headers["Access-Control-Allow-Methods"] = methods
    response.headers["Access-Control-Allow-Headers"] = _HEADERS
    response.headers["Access-Control-Max-Age"] = _SECONDS
    return response


def mark(response: Response, origin: str, options: Options) -> None:
    """Say in an answer that the page may read it."""
    if options.allow_origins:
        response.headers["Vary"] = "Origin"
    if origin:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED
