"""Where a request comes from, as far as it can be known."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quart import Request


def source_of(request: Request, proxies: int) -> str:
    """Return the address of who asks, empty if the server was not told.

    Behind `proxies` reverse proxies of one's own it is the one that the outermost of them has added to
    `X-Forwarded-For`; what stands before that is the client's own invention.
    """
    peer = request.remote_addr or ""
    if not proxies:
        return peer
    told = ",".join(request.headers.getlist("X-Forwarded-For")).split(",")
    return _address(told[-proxies].strip()) or peer if len(told) >= proxies else peer


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
