"""Agents, a client that loads them and one that looks on, all in this process, and what came of it."""

from __future__ import annotations

from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

import trio
from msgspec import Struct

import osapi
from osapi.nursery import background
from osapi.settings import response_bucket
from tests.soak.keys import UNSIGNED, Keys
from tests.soak.load import Load
from tests.soak.operations import operations
from tests.soak.verdict import Writings, outcomes, problems

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from random import Random

    from tests.soak.log import Log


class Report(Struct):
    """What a run found and measured; times in seconds."""

    name: str
    problems: list[str] = []
    times: dict[str, list[float]] = {}
    counts: dict[str, int] = {}

    def __str__(self) -> str:
        counts = ", ".join(f"{what} {count}" for what, count in self.counts.items())
        lines = [f"{self.name}: {counts}"]
        lines += [
            f"  {what}: {len(times)} times, median {median(times):.2f} s, most {max(times):.2f} s"
            for what, times in self.times.items()
            if times
        ]
        return "\n".join([*lines, *(f"  PROBLEM {problem}" for problem in self.problems)])


@dataclass
class World:
    """One run under way; `times` are collected by what they are of."""

    url: str
    settings: osapi.Settings
    random: Random
    log: Log
    client: osapi.Client
    load: Load
    keys: Keys
    writings: Writings
    hosts: dict[str, str]  # label "group" by host
    times: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    kills: int = 0

    def took(self, what: str, seconds: float) -> None:
        """Note how long something took."""
        self.times.setdefault(what, []).append(seconds)


HOSTS = {"a": "web.dev", "b": "web.test", "c": "db", "d": "db"}
TARGETS = ("_any", "_any", "_any", "_all", "a", "b", "group:web", "group:db")


@asynccontextmanager
async def open_world(
    url: str,
    settings: osapi.Settings,
    random: Random,
    log: Log,
    *,
    longest: float,
    hosts: dict[str, str] = HOSTS,
    targets: tuple[str, ...] = TARGETS,
    submitters: int = 2,
    pause: float = 0.04,
    within: float = 120.0,
    keys: Keys = UNSIGNED,
) -> AsyncGenerator[World]:
    """Open the agents and the clients for a block, and load them meanwhile; at its end all that was taken has ended.

    Each agent has its own connection, and so have the client that loads and the watch that looks on.
    """
    registry = operations(log)
    async with AsyncExitStack() as stack:
        onlooker = await stack.enter_async_context(osapi.connect(url))
        for host, group in hosts.items():
            transport = await stack.enter_async_context(osapi.connect(url))
            agent = osapi.Agent(
                transport,
                registry,
                hostname=host,
                labels={"group": group},
                max_jobs=50,
                settings=settings,
                **keys.of_agent(host),
            )
            await stack.enter_async_context(agent)
        bucket = await onlooker.bucket(response_bucket(settings))
        watch = await stack.enter_async_context(bucket.watch())
        transport = await stack.enter_async_context(osapi.connect(url))
        client = await stack.enter_async_context(
            osapi.Client(transport, registry, settings=settings, **keys.of_client())
        )
        load = Load(client, random, targets, longest=longest, within=within)
        world = World(url, settings, random, log, client, load, keys, Writings(), hosts)
        async with background() as nursery:
            nursery.start_soon(world.writings.follow, watch)
            async with background() as loading:
                for _ in range(submitters):
                    loading.start_soon(load.submit_all_the_time, pause)
                yield world
            await load.wait()
            await trio.sleep(1.0)  # what a second runner would write, it would write about now


async def report(name: str, world: World) -> Report:
    """Judge a run whose block has ended."""
    registry = operations(world.log)
    async with (
        osapi.connect(world.url) as transport,
        osapi.Client(transport, registry, settings=world.settings, **world.keys.of_client()) as client,
    ):
        found = await problems(client, world.load.handles, world.writings, world.log.lines())
    lines = Counter(line.what for line in world.log.lines())
    counts = {
        "kills": world.kills,
        "jobs": len(world.load.handles),
        "handlers that ended": lines["end"],
        **{f"slots {status}": count for status, count in outcomes(world.load.handles).items()},
        **{f"submits refused ({what})": count for what, count in world.load.refused.items()},
    }
    return Report(name, found, world.times, counts)
