"""When a server is started again, and when not any more: in virtual time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest
import trio

from osapi_cli.nats_server import supervise
from osapi_cli.problems import UnavailableError
from osapi_nats.server import ServerFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio.testing import MockClock


class Mortal:
    """A server that lives for so many seconds each time; zero and it does not even start."""

    pid = 7

    def __init__(self, lives: Sequence[float]) -> None:
        self.tail = ["one", "two", "three", "four"]
        self._lives = deque(lives)
        self.started: list[float] = []

    async def wait(self) -> int:
        await trio.sleep(self._lives.popleft() if self._lives else float("inf"))
        return -9

    async def start(self) -> None:
        self.started.append(trio.current_time())
        if self._lives and not self._lives[0]:
            self._lives.popleft()
            raise ServerFailedError("the port is taken")


async def watched(server: Mortal, seconds: float) -> list[float]:
    """Return when it was started again within so many seconds."""
    with trio.move_on_after(seconds):
        await supervise(server)
    return [round(at, 1) for at in server.started]


async def test_pauses_grow_with_each_failure(autojump_clock: MockClock) -> None:
    assert await watched(Mortal([1, 1, 1, 1]), 59) == [1.2, 2.6, 4.4, 7.0]


async def test_failures_of_more_than_a_minute_ago_do_not_count(autojump_clock: MockClock) -> None:
    assert await watched(Mortal([100] * 8), 750) == [100.2, 200.4, 300.6, 400.8, 501.0, 601.2, 701.4]


async def test_the_fifth_failure_within_a_minute_is_the_last(
    autojump_clock: MockClock, capfd: pytest.CaptureFixture[str]
) -> None:
    server = Mortal([1, 1, 0, 0, 1])
    with pytest.raises(UnavailableError) as caught:
        await supervise(server)

    assert str(caught.value) == (
        "nats-server failed 5 times within 60 s, last: it was killed by SIGKILL; two | three | four"
    )
    assert capfd.readouterr().err.splitlines() == [
        "osapi: nats-server failed: it was killed by SIGKILL; it is started again in 0.2 s",
        "osapi: nats-server is ready again, pid 7",
        "osapi: nats-server failed: it was killed by SIGKILL; it is started again in 0.4 s",
        "osapi: nats-server failed: the port is taken; it is started again in 0.8 s",
        "osapi: nats-server failed: the port is taken; it is started again in 1.6 s",
        "osapi: nats-server is ready again, pid 7",
    ]
