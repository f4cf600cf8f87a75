"""The same random script of what clients and agents do ends in the same states of jobs on both backends."""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import trio

import osapi
from osapi import JobStatus
from osapi.nursery import background
from osapi_memory import Broker
from tests.library import operations as ops
from tests.promises.conftest import SETTINGS, World, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOSTS = {"a": "web.dev", "b": "web.prod", "c": "db"}
TARGETS = (
    "_any",
    "_any",
    "_all",
    "a",
    "b",
    "group:web",
    "_any@group:web",
    "_any@group:db",
    "group:web,!host:a",
    "fact.site:x,group:db",
    "group:we",
    "no host",
)
QUICK = osapi.Policy(attempts=3, backoff=0.02, jitter=0.0)
WORK: dict[str, tuple[str, Any, osapi.Policy | None]] = {
    "works": ("test.hostname.get", None, None),
    "is tried again": ("test.flaky", ops.Flaky(failures=1), QUICK),
    "uses its attempts up": ("test.flaky", ops.Flaky(failures=9), QUICK),
    "fails": ("test.flaky", ops.Flaky(failures=9, error="bug"), QUICK),
    "is skipped": ("test.skip", None, None),
    "breaks its promise": ("test.liar", None, None),
    "runs out of time": ("test.sleep", ops.Sleep(60.0), osapi.Policy(timeout=0.05)),
    "is cancelled": ("test.sleep", ops.Sleep(60.0), None),
    "is unknown": ("test.nobody-has-it", None, None),
}
# So long a job may wait for somebody to start it, where there may be nobody.
_START_WITHIN = 1.0

Step = tuple[str, str, str]


def draw(random: Random) -> list[Step]:
    """Draw what is done: who joins and leaves, what is submitted to whom, which earlier job is tried again."""
    steps: list[Step] = [("join", random.choice(list(HOSTS)), "")]
    for _ in range(18):
        what = random.choices(["join", "leave", "submit", "retry"], [2, 1, 8, 1])[0]
        if what in {"join", "leave"}:
            steps.append((what, random.choice(list(HOSTS)), ""))
        elif what == "submit":
            steps.append((what, random.choice(list(WORK)), random.choice(TARGETS)))
        else:
            steps.append((what, str(random.randint(0, 9)), ""))
    return steps


class Run:
    """One script on one backend."""

    def __init__(self, world: World, client: osapi.Client, nursery: trio.Nursery) -> None:
        self._world = world
        self._client = client
        self._nursery = nursery
        self._agents: dict[str, trio.Event] = {}  # set when it is to leave
        self._handles: list[tuple[osapi.JobHandle, str]] = []

    async def do(self, step: Step) -> object:
        """Do a step, and return what a user sees of it once it has come to its end."""
        what, which, target = step
        if what == "join":
            return await self._join(which)
        if what == "leave":
            return await self._leave(which)
        try:
            if what == "retry":
                if not self._handles:
                    return None
                old, work = self._handles[int(which) % len(self._handles)]
                handle = await self._client.retry(old.id)
            else:
                work = which
                operation, data, policy = WORK[work]
                handle = await self._client.submit(
                    operation, data, target=target, policy=policy, start_within=_START_WITHIN
                )
        except osapi.OsapiError as error:
            return type(error).__name__, str(error)
        self._handles.append((handle, work))
        return await self._end(handle, work)

    async def _join(self, host: str) -> object:
        if host in self._agents:
            return "there"
        self._agents[host] = trio.Event()
        await self._nursery.start(self._serve, host, self._agents[host])
        await until(lambda: any(agent.hostname == host for agent in self._client.fleet.registered()))
        # Facts are told a moment after the name.
        await trio.sleep(0.2)
        return sorted(agent.hostname for agent in self._client.fleet.registered())

    async def _serve(self, host: str, leaves: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        async with self._world.agent(host, labels={"group": HOSTS[host]}, facts={"site": "x"}):
            task_status.started()
            await leaves.wait()

    async def _leave(self, host: str) -> object:
        leaves = self._agents.pop(host, None)
        if leaves is None:
            return "not there"
        leaves.set()
        await until(lambda: all(agent.hostname != host for agent in self._client.fleet.registered()))
        return sorted(agent.hostname for agent in self._client.fleet.registered())

    async def _end(self, handle: osapi.JobHandle, work: str) -> object:
        if work == "is cancelled":
            wanted = {JobStatus.PROCESSING, JobStatus.FAILED, JobStatus.EXPIRED, JobStatus.COMPLETED}
            with trio.move_on_after(_START_WITHIN + 2):
                while handle.status() not in wanted or len(handle.records) < len(handle.expected or ("one",)):
                    await trio.sleep(0.01)
            await self._client.cancel(handle.id, by="somebody")
        with trio.fail_after(20):
            answers = await handle.result()
        slots = {host: self._slot(answer) for host, answer in answers.items()}
        # Which of several takes a job for one of them is chance.
        seen: object = sorted(slots.items()) if handle.expected is not None else list(slots.values())
        return handle.status(), seen, (await self._client.get(handle.id)).status

    def _slot(self, answer: osapi.Response) -> object:
        # Neither a duration nor, of one of several, the host is the same twice.
        error = re.sub(r"\d+\.\d s", "N s", answer.error)
        return answer.status, answer.attempts, error, type(answer.data).__name__, answer.changed


@pytest.fixture
async def worlds(nats_server: str) -> AsyncIterator[list[World]]:
    url = f"{nats_server}/?namespace=jobs-{uuid4().hex[:8]}"
    async with Broker() as broker:
        yield [World(broker.connect), World(lambda: osapi.connect(url))]
    async with osapi.connect(url) as transport:
        for name in SETTINGS.buckets:
            await transport.delete_bucket(name)
        for name in SETTINGS.streams:
            await transport.delete_stream(name)


async def follow(world: World, steps: list[Step]) -> list[object]:
    async with world.client() as client, background() as nursery:
        run = Run(world, client, nursery)
        return [await run.do(step) for step in steps]


@pytest.mark.parametrize("seed", [0, 2])
async def test_the_same_script_ends_in_the_same_states(worlds: list[World], seed: int) -> None:
    steps = draw(Random(seed))
    found: dict[int, list[object]] = {}

    async def run(number: int) -> None:
        found[number] = await follow(worlds[number], steps)

    async with trio.open_nursery() as nursery:
        for number in range(len(worlds)):
            nursery.start_soon(run, number)
    for step, memory, real in zip(steps, found[0], found[1], strict=True):
        assert memory == real, step
