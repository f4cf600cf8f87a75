"""Scripts for a stream: messages, ids, limits, lifetimes, schedules, removals."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import trio

from osapi.errors import OsapiError
from osapi.transport import Outgoing, StreamConfig
from tests.nats.differential.script import Kind, Script, refusal, some, step, with_waits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from random import Random

    from osapi.transport import Message, Stream, Transport
    from tests.nats.differential.script import Step

SUBJECTS = ("a", "b", "a.b")
PATTERNS = (">", "*", "a.*", "a", "*.b", "a.>", "a.b", "none")
PAYLOADS = (b"", b"x", b"y" * 40, b"z" * 120)
HEADERS: tuple[dict[str, str] | None, ...] = (None, None, {}, {"X-One": "1"}, {"X-One": "1", "x-two": "", "X": "a: b"})

_AT_ONCE = 1.0


class StreamSide:
    """A stream of its own on one broker; subjects below its name."""

    def __init__(self, transport: Transport, stream: Stream) -> None:
        self._transport = transport
        self._stream = stream

    def on(self, subject: str) -> str:
        return f"{self._stream.config.name}.{subject}"

    async def state(self) -> object:
        # A server may take a moment to let go of what has expired.
        return await self.info()

    async def publish(
        self, subject: str, payload: bytes, headers: dict[str, str] | None, msg_id: str | None, ttl: int | None
    ) -> object:
        return await self._stream.publish(self.on(subject), payload, headers=headers, msg_id=msg_id, ttl=ttl)

    async def publish_many(
        self, subjects: list[str], payload: bytes, headers: dict[str, str] | None, ttl: int | None
    ) -> object:
        messages = [Outgoing(self.on(subject), payload, headers, ttl=ttl) for subject in subjects]
        done = await self._stream.publish_many(messages)
        return [refusal(one) if isinstance(one, OsapiError) else one for one in done]

    async def schedule(
        self, subject: str, target: str, payload: bytes, after: float, headers: dict[str, str] | None, ttl: int | None
    ) -> object:
        at = self._transport.now() + after
        receipt = await self._stream.schedule(
            self.on(subject), payload, target=self.on(target), at=at, headers=headers, ttl=ttl
        )
        if after <= 0:
            # It goes to its target at once, which takes a server a moment.
            with trio.move_on_after(_AT_ONCE):
                while await self._stream.get(receipt.sequence):
                    await trio.sleep(0.005)
        return receipt

    async def get(self, sequence: int) -> object:
        return self.seen(await self._stream.get(sequence))

    async def last(self, pattern: str) -> object:
        return self.seen(await self._stream.last(self.on(pattern)))

    async def delete(self, sequence: int) -> object:
        return await self._stream.delete(sequence)

    async def purge(self, pattern: str) -> object:
        return await self._stream.purge(self.on(pattern))

    async def info(self) -> object:
        info = await self._stream.info()
        return info.messages, info.bytes, info.first_sequence, info.last_sequence, info.consumers

    async def publish_outside(self) -> object:
        return await self._stream.publish("elsewhere.a", b"x")

    async def content(self) -> object:
        last = (await self._stream.info()).last_sequence
        return [self.seen(await self._stream.get(number)) for number in range(last + 2)]

    def seen(self, message: Message | None) -> object:
        if message is None:
            return None
        subject = message.subject.removeprefix(self.on(""))
        return subject, message.payload, message.sequence, message.headers


@asynccontextmanager
async def open_side(transport: Transport, settings: dict[str, Any]) -> AsyncGenerator[StreamSide]:
    name = f"differential-{uuid4().hex[:12]}"
    try:
        yield StreamSide(
            transport, await transport.stream(StreamConfig(name=name, subjects=(f"{name}.>",), **settings))
        )
    finally:
        with trio.move_on_after(5, shield=True):
            await transport.delete_stream(name)


# --- Drawing -------------------------------------------------------------------------------------------------

_OFTEN = {
    "publish": 10,
    "publish_many": 2,
    "schedule": 2,
    "get": 2,
    "last": 2,
    "delete": 2,
    "purge": 2,
    "info": 3,
    "wrong": 1,
}


def draw(random: Random, timed: bool) -> Script:
    settings: dict[str, Any] = {
        "storage": random.choice(["memory", "memory", "file"]),
        "discard": random.choice(["old", "old", "new"]),
        "duplicate_window": random.choice([0.0, 120.0] + [1.0, 1.0] * timed),
    }
    limits: dict[str, list[Any]] = {
        "max_msgs": [2, 4],
        "max_bytes": [300, 600],
        "max_msgs_per_subject": [1, 2],
        "max_msg_size": [60],
        "max_age": [1.0, 2.0] if timed else [],
    }
    for setting, values in limits.items():
        if values and random.random() < 0.25:
            settings[setting] = random.choice(values)
    # A server that has both may be a second late with the stream's own lifetime.
    own: list[int | None] = [None] if "max_age" in settings else [None, None, 1, 2]
    ttls = own if timed else [None, None, 60]
    afters = [-1.0, 0.0, 1.0, 2.0] if timed else [60.0, 60.0, -1.0]
    # One that is refused is tried again when the others are stored, and those may have made room.
    often = _OFTEN | ({"publish_many": 0} if settings["discard"] == "new" else {})
    steps = [
        _step(random, ttls, afters, often) for _ in range(random.randint(6, 12) if timed else random.randint(8, 40))
    ]
    if timed:
        steps = list(with_waits(random, steps, random.choice([1, 2])))
    return Script(settings, (*steps, step("info"), step("content")))


def _step(random: Random, ttls: list[int | None], afters: list[float], often: dict[str, int]) -> Step:
    subject, payload, ttl = random.choice(SUBJECTS), random.choice(PAYLOADS), random.choice(ttls)
    headers, msg_id = random.choice(HEADERS), random.choice([None, None, "x", "y", "z"])
    steps: dict[str, Callable[[], Step]] = {
        "publish": partial(step, "publish", subject=subject, payload=payload, headers=headers, msg_id=msg_id, ttl=ttl),
        "publish_many": partial(
            step, "publish_many", subjects=random.sample(SUBJECTS, 2), payload=payload, headers=headers, ttl=ttl
        ),
        "schedule": partial(
            step,
            "schedule",
            subject=subject,
            target=random.choice(SUBJECTS),
            payload=payload,
            after=random.choice(afters),
            headers=headers,
            ttl=ttl,
        ),
        "get": partial(step, "get", sequence=random.randint(-1, 8)),
        "last": partial(step, "last", pattern=random.choice(PATTERNS)),
        "delete": partial(step, "delete", sequence=random.randint(-1, 8)),
        "purge": partial(step, "purge", pattern=random.choice(PATTERNS)),
        "info": partial(step, "info"),
        "wrong": lambda: _wrong(random),
    }
    return steps[some(random, often)]()


def _wrong(random: Random) -> Step:
    plain: dict[str, Any] = {"subject": "a", "payload": b"x", "headers": None, "msg_id": None, "ttl": None}
    wrong: dict[str, list[Any]] = {
        "subject": ["", "a..b", "a.", "a b", "*", "a.>", "a" * 5000],
        "payload": [bytes((1 << 20) + 1)],
        "headers": [{"": "x"}, {"a b": "x"}, {"a": "x\r\ny"}, {"Nats-Msg-Id": "x"}, {"a": "ä"}, {"a:": ""}],
        "msg_id": ["", "a\nb", "x" * 3000],
        "ttl": [0, -1, 1 << 40],
    }
    field = random.choice([*wrong, "outside", "pattern", "schedule"])
    if field == "outside":
        return step("publish_outside")
    if field == "pattern":
        return step(random.choice(["purge", "last"]), pattern=random.choice(["", "a..b", ">.a"]))
    if field == "schedule":
        after = random.choice([float("inf"), float("nan"), 1e15, -1e15, 60.0])
        return step("schedule", subject="a", target="a..b", payload=b"", after=after, headers=None, ttl=None)
    return step("publish", **{**plain, field: random.choice(wrong[field])})


STREAMS = Kind("stream", draw, open_side)
