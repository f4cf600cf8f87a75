"""Scripts for consumers: who is given what, in which order, how often, and what is given up."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import trio
from msgspec.structs import replace

from osapi.errors import ClosedError, MissingError
from osapi.nursery import background
from osapi.rules.dead_letters import DELETED
from osapi.transport import ConsumerConfig, StreamConfig
from tests.nats.differential.script import Kind, Script, some, step, with_waits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from random import Random

    from osapi.transport import Consumer, ConsumerInfo, Delivery, Pull, Stream, Transport
    from tests.nats.differential.script import Step

SUBJECTS = ("a", "b", "a.b")
FILTERS: tuple[tuple[str, ...], ...] = ((), ("a",), ("*",), ("a", "b"), ("a.*", "b"), (">",))
WRONG_FILTERS: tuple[tuple[str, ...], ...] = (("a", "*"), ("a..b",), ("a", "a"))
NAMES = ("c", "d")


class ConsumersSide:
    """A stream of its own with up to two consumers, each with up to two pulls, and the stream of its dead letters."""

    def __init__(self, stream: Stream, dead: Stream, nursery: trio.Nursery) -> None:
        self._stream = stream
        self._dead = dead
        self._nursery = nursery
        self._consumers: dict[str, Consumer] = {}
        self._pulls: dict[tuple[str, int], AsyncExitStack] = {}
        self._open: dict[tuple[str, int], Pull] = {}
        self._given: dict[str, list[Delivery | str]] = {}
        self._wanted: dict[tuple[str, int], int] = {}
        self._told: list[tuple[str, int, int, str, str]] = []

    def on(self, subject: str) -> str:
        return f"{self._stream.config.name}.{subject}"

    async def state(self) -> object:
        infos = [self._info(info) for info in await self._stream.consumers()]
        given = {which: [self._seen(one) for one in given] for which, given in self._given.items()}
        return infos, given, await self._letters()

    def _info(self, info: ConsumerInfo) -> object:
        config = replace(info.config, filters=tuple(sorted(f.removeprefix(self.on("")) for f in info.config.filters)))
        # How many requests wait for one receiver is the client's affair; whether one does is not. Among the redelivered
        # the server counts what it gave up.
        gave_up = any(letter[3] == "max_deliver" for letter in self._told)
        return (
            config,
            info.pending,
            info.ack_pending,
            info.redelivered if config.max_deliver < 0 and not gave_up else None,
            info.waiting > 0,
        )

    def _seen(self, one: Delivery | str) -> object:
        if isinstance(one, str):
            return one
        return one.subject.removeprefix(self.on("")), one.payload, dict(one.headers), one.sequence, one.deliveries

    async def _letters(self) -> object:
        while message := await self._dead.get(len(self._told) + 1):
            told = json.loads(message.payload)
            kind = told["type"].rpartition(".")[2]
            self._told.append((told["consumer"], told["stream_seq"], told["deliveries"], kind, told.get("reason", "")))
        # Of what was removed while it was unanswered a backend may tell, or not (S7).
        return sorted(letter for letter in self._told if letter[-1] != DELETED)

    # --- Messages ------------------------------------------------------------------------------------------

    async def publish(self, subject: str, headers: dict[str, str] | None, ttl: int | None) -> object:
        return await self._stream.publish(self.on(subject), b"x", headers=headers, ttl=ttl)

    async def delete(self, sequence: int) -> object:
        return await self._stream.delete(sequence)

    async def purge(self, subject: str) -> object:
        return await self._stream.purge(self.on(subject))

    # --- Consumers -----------------------------------------------------------------------------------------

    async def consumer(self, name: str, filters: tuple[str, ...], **settings: Any) -> object:
        config = ConsumerConfig(name=name, filters=tuple(self.on(pattern) for pattern in filters), **settings)
        self._consumers[name] = await self._stream.consumer(config)
        return None

    async def info(self, name: str) -> object:
        consumer = self._consumers.get(name)
        return None if consumer is None else self._info(await consumer.info())[1:]  # type: ignore[index]

    async def delete_consumer(self, name: str) -> object:
        was_there = await self._stream.delete_consumer(name)
        with trio.move_on_after(2):
            while any(pull[0] == name and self._given_to(pull)[-1:] != ["closed"] for pull in self._open):
                await trio.sleep(0.002)
        for number in (0, 1):
            await self.leave(name, number)
        return was_there

    def _given_to(self, pull: tuple[str, int]) -> list[Delivery | str]:
        return self._given.setdefault(f"{pull[0]}{pull[1]}", [])

    # --- Pulls ---------------------------------------------------------------------------------------------

    async def request(self, name: str, number: int, count: int) -> object:
        """Ask for messages, on a pull that is opened if it is not, and has been given all it asked for."""
        key = name, number
        if name not in self._consumers:
            return None
        if key not in self._open:
            async with AsyncExitStack() as stack:
                try:
                    pull = await stack.enter_async_context(self._consumers[name].pull())
                except MissingError:
                    return "missing"
                self._open[key] = pull
                self._wanted[key] = 0
                self._nursery.start_soon(self._follow, pull, self._given_to(key), key)
                self._pulls[key] = stack.pop_all()
        if self._wanted[key]:
            return "it waits"
        self._wanted[key] = count
        self._open[key].request(count)
        return None

    async def leave(self, name: str, number: int) -> object:
        self._open.pop((name, number), None)
        stack = self._pulls.pop((name, number), None)
        if stack is not None:
            await stack.aclose()
        return stack is not None

    async def _follow(self, pull: Pull, given: list[Delivery | str], key: tuple[str, int]) -> None:
        try:
            while True:
                batch = await pull.receive()
                given += batch
                self._wanted[key] -= len(batch)
        except ClosedError:
            given.append("closed")

    # --- Answers -------------------------------------------------------------------------------------------

    async def ack(self, name: str, back: int) -> object:
        return self._answer(name, back, lambda delivery: delivery.ack())

    async def nak(self, name: str, back: int, delay: float) -> object:
        return self._answer(name, back, lambda delivery: delivery.nak(delay))

    async def term(self, name: str, back: int, reason: str) -> object:
        return self._answer(name, back, lambda delivery: delivery.term(reason))

    async def in_progress(self, name: str, back: int) -> object:
        return self._answer(name, back, lambda delivery: delivery.in_progress())

    def _answer(self, name: str, back: int, answer: Callable[[Delivery], None]) -> object:
        given = [one for number in "01" for one in self._given.get(f"{name}{number}", ()) if not isinstance(one, str)]
        given.sort(key=lambda delivery: (delivery.deliveries, delivery.sequence))
        if not given:
            return None
        chosen = given[-1 - back % len(given)]
        answer(chosen)
        return chosen.sequence, chosen.deliveries

    async def aclose(self) -> None:
        for name, number in list(self._pulls):
            await self.leave(name, number)


@asynccontextmanager
async def open_side(transport: Transport, settings: dict[str, Any]) -> AsyncGenerator[ConsumersSide]:
    name = f"differential-{uuid4().hex[:12]}"
    letters = StreamConfig(name=f"{name}-dead", dead_letters_of=name, storage="memory")
    async with background() as nursery:
        try:
            dead = await transport.stream(letters)
            stream = await transport.stream(StreamConfig(name=name, subjects=(f"{name}.>",), **settings))
            side = ConsumersSide(stream, dead, nursery)
            try:
                yield side
            finally:
                await side.aclose()
        finally:
            with trio.move_on_after(5, shield=True):
                await transport.delete_stream(name)
                await transport.delete_stream(letters.name)


# --- Drawing -------------------------------------------------------------------------------------------------

_OFTEN = {
    "publish": 8, "request": 9, "ack": 5, "nak": 4, "term": 2, "in_progress": 2, "consumer": 2, "info": 1,
    "delete_consumer": 1, "leave": 2, "delete": 1, "purge": 1,
}  # fmt: skip


class Domain:
    """What the steps of one script are drawn from.

    Where messages are removed nothing may wait for a place among the unanswered: when a removal frees one, the server
    hands out what waited with the next thing that happens, and the memory broker at once. Nor may anything else fall
    due when a message expires. Nor do filters change there: the server does not tell a consumer that a message is gone
    which its filters do not match any more.
    """

    def __init__(self, random: Random, timed: bool) -> None:
        self.random = random
        self.removes = random.random() < 0.3
        self.unanswered = [-1, 1000] if self.removes else [-1, 1000, 1, 2]
        self.ttls = [None, None, 1] if timed and self.removes else [None]
        self.waits = ([2.0] if self.removes else [1.0, 2.0]) if timed else [30.0, 60.0]
        self.filters = {name: random.choice(FILTERS) for name in NAMES}
        # It stays what it is: when a server gives up what waits under a new one depends on what else happens.
        self.max_deliver = {name: random.choice([-1, -1, 1, 2, 3]) for name in NAMES}
        self.delays = [0.0, 0.0, *self.waits]
        self.often = _OFTEN | ({} if self.removes else {"delete": 0, "purge": 0})

    def publish(self) -> Step:
        headers = self.random.choice([None, None, {"X-One": "1"}])
        ttl = self.random.choice(self.ttls)
        return step("publish", subject=self.random.choice(SUBJECTS), headers=headers, ttl=ttl)

    def consumer(self, name: str) -> Step:
        random = self.random
        settings: dict[str, Any] = {
            "deliver": random.choice(["all", "all", "all", "new"]),
            "ack_wait": random.choice(self.waits),
            "max_deliver": self.max_deliver[name],
            "max_ack_pending": random.choice(self.unanswered),
        }
        if random.random() < 0.3:
            settings["backoff"] = tuple(random.choices(self.waits, k=random.randint(1, 2)))
        filters = self.filters[name] if self.removes else random.choice(FILTERS)
        if random.random() < 0.05:
            filters = random.choice(WRONG_FILTERS)
        return step("consumer", name=name, filters=filters, **settings)

    def step(self) -> Step:
        random = self.random
        name, number, back = random.choice("cccd"), random.randint(0, 1), random.choice([0, 0, 0, 1, 2, 5])
        steps: dict[str, Callable[[], Step]] = {
            "publish": self.publish,
            "request": partial(step, "request", name=name, number=number, count=random.choice([1, 1, 2, 3])),
            "ack": partial(step, "ack", name=name, back=back),
            "nak": partial(step, "nak", name=name, back=back, delay=random.choice(self.delays)),
            "term": partial(step, "term", name=name, back=back, reason=random.choice(["", "why", "two words "])),
            "in_progress": partial(step, "in_progress", name=name, back=back),
            "consumer": partial(self.consumer, name),
            "info": partial(step, "info", name=name),
            "delete_consumer": partial(step, "delete_consumer", name=name),
            "leave": partial(step, "leave", name=name, number=number),
            "delete": partial(step, "delete", sequence=random.randint(0, 6)),
            # What a purge by subject takes away may count as unanswered until it would be due again.
            "purge": partial(step, "purge", subject=">"),
        }
        return steps[some(random, self.often)]()


def draw(random: Random, timed: bool) -> Script:
    domain = Domain(random, timed)
    settings: dict[str, Any] = {"storage": random.choice(["memory", "memory", "file"])}
    if domain.removes and random.random() < 0.5:
        settings["max_msgs"] = 4
    steps = [domain.publish() for _ in range(random.randint(0, 3))]
    steps.append(domain.consumer("c"))
    steps += [domain.step() for _ in range(random.randint(10, 18) if timed else random.randint(10, 40))]
    return Script(settings, with_waits(random, steps, random.choice([1, 2]) if timed else 0))


CONSUMERS = Kind("consumer", draw, open_side)
