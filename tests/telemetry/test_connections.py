"""What Hypercorn's connections do when a server stops: whatever request has begun is answered."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from hypercorn.config import Config

from osapi_telemetry.connections import serve_asgi

CONNECTIONS = 40
ROUNDS = 10

ASKED = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Counting:
    """An ASGI app that counts the requests that it gets."""

    def __init__(self) -> None:
        self.begun = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (await receive())["type"] != "lifespan.shutdown":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.begun += 1
        await trio.lowlevel.checkpoint()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


async def ask(stream: trio.SocketStream, turns: int, answers: list[bytes]) -> None:
    async with stream:
        for _ in range(turns):
            await trio.lowlevel.checkpoint()
        try:
            await stream.send_all(ASKED)
            answers.append(b"".join([part async for part in stream]))
        except trio.BrokenResourceError:
            answers.append(b"")


@pytest.mark.parametrize("idle", ["for long", "when the server stops"])
async def test_a_request_that_has_begun_is_answered_though_its_connection_was_idle(idle: str) -> None:
    for _ in range(ROUNDS):
        app, stop = Counting(), trio.Event()
        answers: list[bytes] = []
        config = Config()
        config.bind = ["127.0.0.1:0"]
        config.keep_alive_timeout = 0.02 if idle == "for long" else 20
        with trio.fail_after(30):
            async with trio.open_nursery() as server:
                (url,) = await server.start(serve, app, config, stop)
                host, _, port = url.removeprefix("http://").partition(":")
                streams = [await trio.open_tcp_stream(host, int(port)) for _ in range(CONNECTIONS)]
                async with trio.open_nursery() as clients:
                    await trio.sleep(0.01)
                    if idle == "when the server stops":
                        stop.set()
                    for number, stream in enumerate(streams):
                        clients.start_soon(ask, stream, number % 8, answers)
                stop.set()
        assert len(answers) == CONNECTIONS
        assert sum(answer.endswith(b"\r\n\r\nok") for answer in answers) == app.begun


async def serve(app: Counting, config: Config, stop: trio.Event, *, task_status: trio.TaskStatus[list[str]]) -> None:
    await serve_asgi(app, config, shutdown_trigger=stop.wait, task_status=task_status)
