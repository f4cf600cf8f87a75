"""Who is told of changed conditions of hosts: the log, or a webhook.

A webhook gets a POST with at most a hundred notices:

    {"notices": [{"hostname": "web-01", "condition": "DiskPressure", "status": true, "still": false,
                  "reason": "95.2 % of /var used, at least 90 %", "since": "2026-01-31T12:00:00.000Z",
                  "at": "2026-01-31T12:00:10.000Z"}]}

What it does not answer with a status below 300 is sent again with the next heartbeat, as far as it is so then.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from osapi.errors import OsapiError
from osapi.flow.alert import log

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    import httpx2

    import osapi
    from osapi.flow.alert import Teller
    from osapi_cli.wiring import Notifying


class NotToldError(OsapiError):
    """See to it that the webhook answers with a status below 300; the notices are sent again."""


@asynccontextmanager
async def teller(plan: Notifying) -> AsyncGenerator[Teller]:
    """Return who is to be told, for the length of a block."""
    if not plan.url:
        yield log
        return
    import httpx2  # noqa: PLC0415 - takes a while, and few have a webhook

    async with httpx2.AsyncClient(follow_redirects=False) as http:

        async def tell(notices: Sequence[osapi.Notice]) -> None:
            await _post(http, plan.url, notices)

        yield tell


async def _post(http: httpx2.AsyncClient, url: str, notices: Sequence[osapi.Notice]) -> None:
    import httpx2  # noqa: PLC0415

    try:
        # Its answer's body is nobody's business, however long it is.
        async with http.stream("POST", url, json={"notices": [_told(notice) for notice in notices]}) as answer:
            status = answer.status_code
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        # Without its words: a webhook's URL is a secret.
        raise NotToldError(f"the webhook cannot be reached ({type(error).__name__})") from None
    if status >= 300:
        raise NotToldError(f"the webhook answered {status}")


def _told(notice: osapi.Notice) -> dict[str, Any]:
    return {
        "hostname": notice.hostname,
        "condition": notice.condition,
        "status": notice.status,
        "still": notice.still,
        "reason": notice.reason,
        "since": _time(notice.since),
        "at": _time(notice.at),
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
