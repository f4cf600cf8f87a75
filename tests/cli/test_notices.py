"""Telling a webhook of changed conditions."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio

import osapi
from osapi_cli.running.notices import NotToldError, teller
from osapi_cli.wiring import Notifying

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

NOTICE = osapi.Notice(
    hostname="web-01",
    condition="DiskPressure",
    status=True,
    reason="95 % of /",
    since=1_700_000_000.0,
    at=1_700_000_010.5,
)
TOLD = {
    "hostname": "web-01",
    "condition": "DiskPressure",
    "status": True,
    "still": False,
    "reason": "95 % of /",
    "since": "2023-11-14T22:13:20.000Z",
    "at": "2023-11-14T22:13:30.500Z",
}


@asynccontextmanager
async def hook(answer: bytes) -> AsyncGenerator[tuple[str, list[Any]]]:
    """Listen as a webhook that answers so to everything, and return its URL and what came."""
    came: list[Any] = []

    async def serve(stream: trio.SocketStream) -> None:
        raw = b""
        while b"\r\n\r\n" not in raw or not raw.endswith(b"}]}"):
            raw += await stream.receive_some()
        head, _, body = raw.partition(b"\r\n\r\n")
        came.append((head.split(b"\r\n")[0].decode(), json.loads(body)))
        await stream.send_all(answer)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}/hook?token=secret", came
        nursery.cancel_scope.cancel()


async def test_it_is_told_in_one_request() -> None:
    async with (
        hook(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n") as (url, came),
        teller(Notifying(url, 0.0)) as tell,
    ):
        await tell([NOTICE, NOTICE])
    assert came == [("POST /hook?token=secret HTTP/1.1", {"notices": [TOLD, TOLD]})]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", "answered 500"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "answered 302"),
        (b"no HTTP at all\r\n\r\n", "cannot be reached"),
    ],
)
async def test_whoever_does_not_take_it_was_not_told(answer: bytes, words: str) -> None:
    async with hook(answer) as (url, _), teller(Notifying(url, 0.0)) as tell:
        with pytest.raises(NotToldError, match=words) as refused:
            await tell([NOTICE])
    assert "secret" not in str(refused.value)


async def test_nobody_listens() -> None:
    async with teller(Notifying("http://127.0.0.1:1/hook?token=secret", 0.0)) as tell:
        with pytest.raises(NotToldError, match="cannot be reached") as refused:
            await tell([NOTICE])
    assert "secret" not in str(refused.value)


async def test_without_a_url_it_is_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    cleared = osapi.Notice(
        hostname="web-01", condition="DiskPressure", status=False, reason="95 % of /", since=1.0, at=2.0
    )
    async with teller(Notifying("", 0.0)) as tell:
        await tell([NOTICE, cleared])
    assert [record.message for record in caplog.records] == [
        "web-01: DiskPressure is true: 95 % of /",
        "web-01: DiskPressure has cleared",
    ]


def test_the_url_is_a_secret() -> None:
    assert "secret" not in repr(Notifying("https://hooks.example.com/secret", 0.0))
