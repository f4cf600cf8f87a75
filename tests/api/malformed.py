"""Requests that are wrong on purpose, over real connections; none may be answered with a fault of the server.

As a program, `python -m tests.api.malformed 10000 [SEED]`, it makes many of them, and prints how they were answered.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from functools import partial

import trio

import osapi_api
from tests.api.conftest import token_of
from tests.api.serving import Server, served

_AT_ONCE = 8

_PATHS = (
    "/api/job",
    "/api/job?limit=1&status=failed",
    "/api/job/01890a5d-ac96-774b-bcce-b302099a8057/retry",
    "/api/job/dlq/1",
    "/api/agent/web-01",
    "/api/agent/web-01/drain",
    "/api/node/web-01/hostname",
    "/api/node/_all/network/dns",
    "/api/node/web-01/process/1/signal",
    "/api/operation/web-01/test.echo",
    "/api/operation/_any/test.login",
    "/api/health/status",
    "/api/docs/page.js",
)
_PIECES = (
    b"\0", b"\xff", b"\r\n", b"\n", b" ", b"%", b"%00", b"%ff", b"..", b"//", b"?", b"&limit=", b"*", b">", b"#",
    b"{", b"[" * 3000, b'"' , b"\\ud800", b"9" * 400, b"1e999", b"null", b"-1", b"x" * 9000, b":", b",", b";",
    b"Transfer-Encoding: chunked\r\n", b"Content-Length: -1\r\n", b"Content-Length: 5\r\n", b"Expect: 100-continue\r\n",
    b"Content-Type: text/plain\r\n", b'Idempotency-Key: "\r\n', b"Authorization: Bearer x\r\n",
    b"Upgrade: websocket\r\n",     b"X-Forwarded-For: \xff\r\n", b"Prefer: respond-async\r\n", b"Host: \r\n",
    b"HTTP/2.0", b"HTTP/0.9", b"PRI * HTTP",
)  # fmt: skip


def request(draw: random.Random, token: str) -> bytes:
    """Return a request that was right before some bytes of it were changed."""
    method = draw.choice(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD"])
    body = draw.choice([b"", b"null", b'{"user": "a", "password": "b"}', b'{"signal": "TERM"}', b"[1, 2"])
    lines = [
        f"{method} {draw.choice(_PATHS)} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    told = bytearray("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    for _ in range(draw.randint(1, 4)):
        # Most changes are made where they do not only break the request's own form.
        at = draw.randrange(len(told)) if draw.random() < 0.5 else draw.randrange(len(lines[0]))
        end = at + draw.choice([0, 0, 1, 5, 60])
        told[at:end] = draw.choice(_PIECES)
    return bytes(told[: draw.randrange(len(told))] if draw.random() < 0.1 else told)


async def ask(server: Server, data: bytes) -> int:
    """Send bytes, then no more, and return the status of the first answer, 0 if there is none."""
    stream = await trio.open_tcp_stream(*server.address)
    async with stream:
        try:
            await stream.send_all(data)
            await stream.send_eof()
            head = b"".join([part async for part in stream])
        except trio.BrokenResourceError:
            return 0
    return int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/") else 0


async def bombard(count: int, seed: int) -> Counter[int]:
    """Make so many wrong requests, and count the statuses of their answers."""
    answers: Counter[int] = Counter()
    draw, token = random.Random(seed), token_of("admin")
    left = iter(range(count))
    options = osapi_api.Options(job_timeout=0.2, rate=0.0)

    async def ask_on(server: Server) -> None:
        for _ in left:
            data = request(draw, token)
            status = await ask(server, data)
            # 501 is what HTTP has for a method that nobody knows.
            assert status < 500 or status == 501, (status, data)
            answers[status] += 1

    async with served(within=3600.0, api_options=options, keep_alive=1.0) as server:
        async with trio.open_nursery() as nursery:
            for _ in range(_AT_ONCE):
                nursery.start_soon(ask_on, server)
        assert (await server.client.get("/api/health")).status_code == 200
    return answers


if __name__ == "__main__":
    found = trio.run(partial(bombard, int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
    sys.stdout.write(f"{dict(sorted(found.items()))}\n")
