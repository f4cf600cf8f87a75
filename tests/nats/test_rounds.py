"""When a link looks for requests that are late and for receivers that the server has forgotten."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import pytest
import trio

import osapi
from osapi.nursery import background
from osapi_nats.link import Link

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from trio.testing import MockClock

    from osapi_nats.connection import Connection, Incoming

TIMEOUT = 5.0


class Silent:
    """Receives nothing, for ever."""

    def __init__(self, *, goes_by_others: bool, patience: float) -> None:
        self.goes_by_others = goes_by_others
        self.resumed: list[float] = []
        self.looks = 0
        self._patience = patience
        self._heard = trio.current_time()

    async def resume(self) -> None:
        await trio.lowlevel.checkpoint()
        self._heard = trio.current_time()
        self.resumed.append(self._heard)

    @property
    def deaf_at(self) -> float:
        self.looks += 1
        return self._heard + self._patience

    def end(self, error: Exception) -> None:
        raise error


class Up:
    """A connection that is up, over which nothing comes."""

    is_up = True

    def publish(self, subject: str, payload: bytes, reply: str, headers: Mapping[str, str] | None) -> None: ...

    def subscribe(self, subject: str, handler: Callable[[Incoming], None]) -> None: ...

    def watch_state(self, callback: Callable[[bool], None]) -> None: ...


@asynccontextmanager
async def link_of(*receivers: Silent) -> AsyncGenerator[Link]:
    async with background() as nursery:
        link = Link(cast("Connection", Up()), TIMEOUT, nursery)
        for receiver in receivers:
            link.add(receiver)
        yield link


async def test_who_asks_for_no_heartbeats_goes_by_those_of_the_others(autojump_clock: MockClock) -> None:
    own = Silent(goes_by_others=False, patience=10.5)
    crowd = Silent(goes_by_others=True, patience=70.0)
    watch = Silent(goes_by_others=False, patience=1000.0)
    async with link_of(own, crowd, watch):
        await trio.sleep(20)
    assert len(own.resumed) == 1
    assert crowd.resumed == pytest.approx(own.resumed)
    assert not watch.resumed


async def test_alone_it_goes_by_the_end_of_its_request(autojump_clock: MockClock) -> None:
    crowd = Silent(goes_by_others=True, patience=70.0)
    async with link_of(crowd):
        await trio.sleep(70)
        assert not crowd.resumed
        await trio.sleep(5)
    assert len(crowd.resumed) == 1


@pytest.mark.parametrize("after", [0.0, 0.3, 3.0, 4.7])
async def test_a_request_is_given_up_within_a_second_of_its_time(autojump_clock: MockClock, after: float) -> None:
    async with link_of() as link:
        await trio.sleep(after)
        began = trio.current_time()
        with pytest.raises(osapi.DisconnectedError, match="did not answer within 5 s"):
            await link.request("nobody")
        assert TIMEOUT - 0.001 <= trio.current_time() - began <= TIMEOUT + 1.0


async def test_at_rest_it_looks_no_more_often_than_it_has_to(autojump_clock: MockClock) -> None:
    heard = Silent(goes_by_others=False, patience=1000.0)
    async with link_of(heard):
        await trio.sleep(100)
    rounds = 100 / TIMEOUT
    assert heard.looks <= 2 * rounds + 1
