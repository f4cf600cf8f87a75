"""A client that submits all the time, whatever happens to the broker, and remembers what was taken."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import trio

import osapi
from tests.soak.operations import Work

if TYPE_CHECKING:
    from random import Random

# What a submit may end with while the broker is away, or the agents are.
_REFUSALS = (osapi.DisconnectedError, osapi.UncertainError, osapi.NoAgentsError, osapi.UnknownHostError)


class Load:
    """Submits `soak.work` to targets drawn at random until it is cancelled."""

    def __init__(
        self, client: osapi.Client, random: Random, targets: tuple[str, ...], *, longest: float, within: float
    ) -> None:
        self.handles: list[osapi.JobHandle] = []
        self.refused: Counter[str] = Counter()
        self._client = client
        self._random = random
        self._targets = targets
        self._longest = longest
        self._within = within

    async def submit_all_the_time(self, pause: float) -> None:
        """Submit one job after the other, `pause` seconds apart at the mean."""
        while True:
            await trio.sleep(self._random.uniform(0.0, 2 * pause))
            await self.submit_one()

    async def submit_one(self) -> None:
        """Submit one job and remember it if it was taken."""
        work = Work(self._random.uniform(0.0, self._longest))
        target = self._random.choice(self._targets)
        try:
            handle = await self._client.submit("soak.work", work, target=target, within=self._within)
        except _REFUSALS as error:
            self.refused[type(error).__name__] += 1
        else:
            self.handles.append(handle)

    async def wait(self) -> None:
        """Wait until every job that was taken has its result."""
        for handle in self.handles:
            await handle.result()


async def probe(client: osapi.Client, host: str, within: float) -> float:
    """Return how many seconds it takes until a host has answered, asked as often as it takes to get through.

    Raises:
        JobFailedError: it did not answer within so many seconds.

    """
    began = trio.current_time()
    while True:
        try:
            handle = await client.submit("soak.probe", target=host, within=within)
            break
        except _REFUSALS:
            await trio.sleep(0.02)
    (answer,) = (await handle.result()).values()
    answer.unwrap()
    return trio.current_time() - began


async def muster(client: osapi.Client, hosts: set[str], within: float) -> float:
    """Return how many seconds it takes until each of the hosts has answered a job to `_any`.

    Raises:
        TooSlowError: one did not within so many seconds.

    """
    began = trio.current_time()
    missing = set(hosts)
    with trio.fail_after(within):
        while missing:
            try:
                handle = await client.submit("soak.probe", within=within)
            except _REFUSALS:
                await trio.sleep(0.02)
                continue
            (answer,) = (await handle.result()).values()
            missing.discard(answer.unwrap())
    return trio.current_time() - began
