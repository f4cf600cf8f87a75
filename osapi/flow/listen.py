"""Listening: the schedulers share a consumer of ticks, and look at the schedule that each is about."""

from __future__ import annotations

import logging
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from osapi.errors import ClosedError, DisconnectedError, InvalidKeyError, MissingError
from osapi.flow.fire import look_at_all, look_or_pause
from osapi.flow.persist import insist
from osapi.flow.ticks import due_name, schedule_consumer
from osapi.nursery import background

if TYPE_CHECKING:
    import trio

    from osapi.flow.fire import Firing
    from osapi.flow.ticks import Ticks
    from osapi.transport import Delivery, Pull

_log = logging.getLogger("osapi.scheduler")

# Schedules that are looked at, or wait here for that, at once.
_AT_ONCE = 20


async def listen(ticks: Ticks, firing: Firing) -> None:
    """Look at each schedule that a tick is about, and first at all of them, for as long as the task runs.

    Raises:
        ClosedError: the transport has ended.

    """
    while True:
        _, stream = await insist(partial(ticks.open, anew=True), inf)
        consumer = await insist(partial(stream.consumer, schedule_consumer(ticks.store.settings)), inf)
        try:
            async with consumer.pull() as pull, background() as nursery:
                pull.request(_AT_ONCE)
                nursery.start_soon(look_at_all, ticks, firing)
                await _receive(pull, firing, nursery)
        except (ClosedError, MissingError, DisconnectedError) as error:
            _log.warning("ticks are received anew: %s", error)


async def _receive(pull: Pull, firing: Firing, nursery: trio.Nursery) -> None:
    while True:
        for delivery in await pull.receive():
            nursery.start_soon(_take, pull, firing, delivery)


async def _take(pull: Pull, firing: Firing, delivery: Delivery) -> None:
    try:
        name = due_name(delivery.subject)
    except InvalidKeyError as error:
        _log.warning("a tick is dropped: %s", error)
        wait = None
    else:
        wait = await look_or_pause(firing, name)
    if wait is None:
        delivery.ack()
    else:
        delivery.nak(wait)
    pull.request(1)
