"""The API over real sockets, and how it stops."""

from __future__ import annotations

import socket
from contextlib import suppress
from functools import partial
from typing import Any, cast

import httpx2
import pytest
import trio
from hypercorn.events import RawData
from hypercorn.trio.tcp_server import TCPServer

import osapi
import osapi_api
from tests.api.conftest import fleet, token_of
from tests.api.serving import served


async def test_it_answers_over_http() -> None:
    async with served() as server:
        ran = await server.client.get("/api/node/group%3Aweb/hostname", headers={"X-Request-ID": "mine"})
        assert ran.status_code == 200
        assert ran.json()["results"][0]["own_hostname"] == "web-01.example.com"
        assert ran.headers["X-Request-ID"] == "mine"
        assert "server" not in ran.headers
        gone = await server.client.delete(f"/api/job/{ran.json()['job_id']}")
        assert (gone.status_code, gone.content) == (204, b"")
        assert "content-type" not in gone.headers
        head = await server.client.head("/api/health")
        assert (head.status_code, head.content) == (200, b"")
        posted = await server.client.post("/api/operation/_all/test.echo", json={"é": [1.5, None]})
        assert [row["data"] for row in posted.json()["results"]] == [{"é": [1.5, None]}] * 2


async def test_what_is_no_http_harms_nobody() -> None:
    async with served() as server:
        for data in (b"\0\1\2\r\n\r\n", b"GET\r\n\r\n", b"GET /api/job HTTP/1.1\r\n\r\n"):
            assert (await server.raw(data)).startswith(b"HTTP/1.1 400")
        for target in (b"?/api/job", b"?", b"*", b"http://[", b"http://x", b"#", b"//["):
            answer = await server.raw(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 404"), (target, answer)
        for host in (b"x" * 70, b"a..b", b"\xff" * 80, b"x" * 64 + b".y:80"):
            answer = await server.raw(b"GET /api/health HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400"), (host, answer)
        large = b"GET /api/job HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 200_000 + b"\r\n\r\n"
        assert (await server.raw(large)).startswith(b"HTTP/1.1 431")
        assert (await server.client.get("/api/health")).status_code == 200


async def test_connections_end() -> None:
    async with served(keep_alive=0.2) as server:
        for asked in (b"Connection: close\r\n", b""):
            answer = await server.raw(b"GET /api/health HTTP/1.1\r\nHost: x\r\n" + asked + b"\r\n")
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(b'{"status":"ok"}')
        assert await server.raw(b"GET /api/he") == b""
        odd = b"GET /api/node/%ff%fe/hostname HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert (await server.raw(odd)).startswith(b"HTTP/1.1 401")
        assert (await server.client.get("/api/health")).status_code == 200


async def test_stopping_finishes_what_runs_and_takes_nothing_new() -> None:
    async with served(grace=20.0) as server:
        answers: list[httpx2.Response] = []

        async def ask() -> None:
            answers.append(await server.client.post("/api/operation/_all/test.sleep", content=b"0.5", headers=JSON))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await server.until_somebody_waits()
            server.shutdown.set()
            await server.stopped.wait()
        (answer,) = answers
        assert [row["data"] for row in answer.json()["results"]] == ["awake", "awake"]
        with pytest.raises(OSError, match="onnect"):
            await trio.open_tcp_stream(*server.address)


async def test_stopping_does_not_wait_for_ever() -> None:
    async with served(grace=0.1) as server:

        async def ask() -> None:
            with pytest.raises(httpx2.HTTPError):
                await server.client.post("/api/operation/_all/test.sleep", content=b"100", headers=JSON)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await server.until_somebody_waits()
            server.shutdown.set()
            await server.stopped.wait()
        assert server.waiting == 0


async def test_before_it_stops_it_says_that_it_is_not_ready() -> None:
    async with served(lame_duck=20.0) as server:
        assert (await server.client.get("/health/ready")).status_code == 200
        server.shutdown.set()
        assert await server.not_ready()
        assert (await server.client.get("/api/node/_any/hostname")).status_code == 200
        assert not server.stopped.is_set()


JSON = {"Content-Type": "application/json"}


async def test_addresses_that_cannot_be_listened_on() -> None:
    async with fleet(agents={}) as api:
        for port in (-1, 65536):
            with pytest.raises(osapi.InvalidSettingError):
                await osapi_api.serve(api.app, port=port)
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use") as caught:
            await unwrapped(partial(osapi_api.serve, api.app, port=taken.getsockname()[1]))
        assert caught.value.errno


async def unwrapped(call: Any) -> None:
    """Raise the one error of a nursery as it is."""
    try:
        await call()
    except BaseExceptionGroup as group:
        raise only(group) from None


def only(error: BaseException) -> BaseException:
    if not isinstance(error, BaseExceptionGroup):
        return error
    (inner,) = cast("BaseExceptionGroup[BaseException]", error).exceptions
    return only(inner)


async def test_nonsense_behind_a_request_ends_its_connection_alone() -> None:
    async with served(keep_alive=1.0) as server:
        head = b"GET /api/docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        async with trio.open_nursery() as nursery:

            async def annoy() -> None:
                for _ in range(25):
                    stream = await trio.open_tcp_stream(*server.address)
                    async with stream:
                        with suppress(trio.BrokenResourceError):
                            await stream.send_all(head + b"\0\xff nonsense\r\n\r\n")
                            await stream.send_eof()
                            await stream.receive_some(100)

            for _ in range(4):
                nursery.start_soon(annoy)
        assert (await server.client.get("/api/health")).status_code == 200


async def test_a_connection_that_fails_ends_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(self: object) -> None:
        raise RuntimeError("broken")

    async with served() as server:
        with monkeypatch.context() as patch:
            patch.setattr(TCPServer, "_read_data", fail)
            assert await server.raw(b"GET /api/health HTTP/1.1\r\n\r\n") == b""
        assert "a connection failed and was closed: RuntimeError: broken" in caplog.text
        assert (await server.client.get("/api/health")).status_code == 200


async def test_an_answer_to_a_connection_that_is_being_closed_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    async def busy(self: object, event: object) -> None:
        if isinstance(event, RawData):
            raise trio.BusyResourceError("closing")

    async with served() as server:
        with monkeypatch.context() as patch:
            patch.setattr(TCPServer, "protocol_send", busy)
            stream = await trio.open_tcp_stream(*server.address)
            async with stream:
                await stream.send_all(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n")
                await trio.sleep(0.2)
        assert (await server.client.get("/api/health")).status_code == 200


async def test_stopping_under_load_loses_no_request_that_was_accepted() -> None:
    answered: list[int] = []
    broken: list[str] = []
    async with served(grace=30.0, lame_duck=0.2) as server:

        async def ask_on(number: int) -> None:
            # A connection for each request: whichever was accepted is answered, and whichever was not is refused.
            while True:
                try:
                    stream = await trio.open_tcp_stream(*server.address)
                except OSError:
                    return
                async with stream:
                    try:
                        await stream.send_all(_ASKED % token_of("admin").encode())
                        answer = b"".join([part async for part in stream])
                    except trio.BrokenResourceError:
                        answer = b""
                if not answer:
                    # It waited to be accepted when the socket was closed: the server has never heard of it.
                    return
                if not answer.endswith(b"}") or not answer.startswith(b"HTTP/1.1 200"):
                    broken.append(answer[:200].decode())
                answered.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ask_on, number)
            while len(answered) < 60:
                await trio.sleep(0.01)
            server.shutdown.set()
            await server.stopped.wait()
        submitted = server.api.client.submitted
        assert broken == []
        assert len(answered) == submitted, "every job that was submitted was answered for"


_ASKED = (
    b"POST /api/operation/_any/test.sleep HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n"
    b"Content-Type: application/json\r\nContent-Length: 4\r\n\r\n0.05"
)
