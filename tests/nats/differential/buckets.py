"""Scripts for a bucket: writes that compare and writes that do not, markers, lifetimes, limits, watches."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import trio

from osapi.errors import ClosedError, OsapiError
from osapi.nursery import background
from osapi.transport import BucketConfig, Write
from tests.nats.differential.script import Kind, Script, refusal, some, step, with_waits

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from random import Random

    from osapi.transport import Entry, KeyValue, Transport, Watch
    from tests.nats.differential.script import Step

KEYS = ("a", "b", "a.b")
PATTERNS = (">", "*", "a.*", "a", "*.b", "a.>", "a.b")
VALUES = (b"", b"x", b"y" * 40, b"z" * 120)


class BucketSide:
    """A bucket of its own on one broker."""

    def __init__(self, bucket: KeyValue, nursery: trio.Nursery) -> None:
        self._bucket = bucket
        self._nursery = nursery
        self._watches: dict[int, AsyncExitStack] = {}
        self._told: dict[int, list[object]] = {}
        self._numbers = 0

    async def state(self) -> object:
        # A server may take a moment to let go of what has expired.
        return self._told, await self.info()

    # --- Writing -------------------------------------------------------------------------------------------

    async def put(self, key: str, value: bytes, ttl: int | None) -> object:
        return await self._bucket.put(key, value, ttl=ttl)

    async def create(self, key: str, value: bytes, ttl: int | None) -> object:
        return await self._bucket.create(key, value, ttl=ttl)

    async def update(self, key: str, value: bytes, ttl: int | None, off: int) -> object:
        return await self._bucket.update(key, value, max(0, await self._newest(key) + off), ttl=ttl)

    async def write_many(self, keys: list[str], value: bytes, ttl: int | None, off: int | None) -> object:
        newest = [None if off is None else max(0, await self._newest(key) + off) for key in keys]
        writes = [Write(key, value, revision, ttl) for key, revision in zip(keys, newest, strict=True)]
        done = await self._bucket.write_many(writes)
        return [refusal(one) if isinstance(one, OsapiError) else one for one in done]

    async def delete(self, key: str, off: int | None) -> object:
        revision = None if off is None else max(0, await self._newest(key) + off)
        return await self._bucket.delete(key, revision=revision)

    async def purge(self, key: str, ttl: int | None, off: int | None) -> object:
        revision = None if off is None else max(0, await self._newest(key) + off)
        return await self._bucket.purge(key, revision=revision, ttl=ttl)

    async def _newest(self, key: str) -> int:
        kept = await self._bucket.history(key)
        return kept[-1].revision if kept else 0

    # --- Reading -------------------------------------------------------------------------------------------

    async def get(self, key: str) -> object:
        return seen(await self._bucket.get(key))

    async def get_many(self, keys: list[str]) -> object:
        return [seen(entry) for entry in await self._bucket.get_many(keys)]

    async def history(self, key: str) -> object:
        return [seen(entry) for entry in await self._bucket.history(key)]

    async def keys(self, pattern: str) -> object:
        return sorted(await self._bucket.keys(pattern))

    async def info(self) -> object:
        info = await self._bucket.info()
        return info.keys, info.values, info.bytes, info.revision

    # --- Watching ------------------------------------------------------------------------------------------

    async def watch(self, patterns: list[str], start: Any) -> object:
        """Begin a watch and return its first set."""
        async with AsyncExitStack() as stack:
            if isinstance(start, int):
                start = max(0, (await self._bucket.info()).revision + start)
            watch = await stack.enter_async_context(self._bucket.watch(*patterns, start=start))
            first: list[object] = []
            with trio.fail_after(5):
                while not watch.caught_up:
                    first += [seen(entry) for entry in await watch.receive()]
            self._numbers += 1
            self._told[self._numbers] = []
            self._nursery.start_soon(self._follow, watch, self._told[self._numbers])
            self._watches[self._numbers] = stack.pop_all()
            return first

    async def unwatch(self, which: int) -> object:
        numbers = sorted(self._watches)
        if not numbers:
            return None
        number = numbers[which % len(numbers)]
        await self._watches.pop(number).aclose()
        return number

    async def _follow(self, watch: Watch, told: list[object]) -> None:
        try:
            while True:
                told += [seen(entry) for entry in await watch.receive()]
        except ClosedError:
            told.append("closed")

    async def aclose(self) -> None:
        for stack in self._watches.values():
            await stack.aclose()


def seen(entry: Entry | None) -> object:
    return None if entry is None else (entry.key, entry.value, entry.revision, entry.change)


@asynccontextmanager
async def open_side(transport: Transport, settings: dict[str, Any]) -> AsyncGenerator[BucketSide]:
    name = f"differential-{uuid4().hex[:12]}"
    async with background() as nursery:
        try:
            side = BucketSide(await transport.bucket(BucketConfig(name=name, **settings)), nursery)
            try:
                yield side
            finally:
                await side.aclose()
        finally:
            with trio.move_on_after(5, shield=True):
                await transport.delete_bucket(name)


# --- Drawing -------------------------------------------------------------------------------------------------

_OFTEN = {
    "put": 6, "create": 5, "update": 6, "write_many": 2, "delete": 4, "purge": 3, "get": 3, "get_many": 1,
    "history": 3, "keys": 2, "info": 3, "watch": 2, "unwatch": 1, "wrong": 1,
}  # fmt: skip


def draw(random: Random, timed: bool) -> Script:
    settings: dict[str, Any] = {
        "history": random.choice([1, 1, 2, 3]),
        "storage": random.choice(["memory", "memory", "file"]),
    }
    if timed:
        settings["ttl"] = random.choice([0.0, 0.0, 0.0, 2.0])
        settings["marker_ttl"] = random.choice([0.0, 1.0, 1.0, 2.0])
    elif random.random() < 0.4:
        settings["max_bytes"] = random.choice([200, 400, 700])
    elif random.random() < 0.3:
        settings["max_value_size"] = 50
    # A server that has both may be a second late with the bucket's own lifetime.
    own: list[int | None] = [None] if settings.get("ttl") else [None, None, 1, 1, 2]
    ttls = own if timed else [None, None, None, 60]
    # One of several writes may make room for another, in whatever order they come.
    often = _OFTEN | ({"write_many": 0} if "max_bytes" in settings else {})
    steps = [_step(random, ttls, often) for _ in range(random.randint(6, 14) if timed else random.randint(8, 40))]
    if timed:
        # Somebody looks on from the beginning.
        steps.insert(0, step("watch", patterns=[], start="all"))
        steps = list(with_waits(random, steps, random.choice([1, 2])))
    audit = [step("info"), step("keys", pattern=">"), step("get_many", keys=list(KEYS))]
    audit += [step("history", key=key) for key in KEYS]
    return Script(settings, (*steps, *audit))


def _step(random: Random, ttls: list[int | None], often: dict[str, int]) -> Step:
    key, value, ttl = random.choice(KEYS), random.choice(VALUES), random.choice(ttls)
    off = random.choice([None, None, 0, 0, -1, 1])
    steps: dict[str, Callable[[], Step]] = {
        "put": partial(step, "put", key=key, value=value, ttl=ttl),
        "create": partial(step, "create", key=key, value=value, ttl=ttl),
        "update": partial(step, "update", key=key, value=value, ttl=ttl, off=random.choice([0, 0, 0, -1, 1, -99])),
        "write_many": partial(
            step, "write_many", keys=random.sample(KEYS, 2), value=value, ttl=ttl, off=random.choice([0, 0, 1, None])
        ),
        "delete": partial(step, "delete", key=key, off=off),
        "purge": partial(step, "purge", key=key, ttl=ttl, off=off),
        "get": partial(step, "get", key=key),
        "get_many": partial(step, "get_many", keys=random.choices([*KEYS, "never"], k=random.randint(0, 5))),
        "history": partial(step, "history", key=key),
        "keys": partial(step, "keys", pattern=random.choice(PATTERNS)),
        "info": partial(step, "info"),
        "watch": partial(step, "watch", patterns=_patterns(random), start=random.choice(["all", "new", -2, 0, 1])),
        "unwatch": partial(step, "unwatch", which=random.randint(0, 3)),
        "wrong": lambda: _wrong(random),
    }
    return steps[some(random, often)]()


def _patterns(random: Random) -> list[str]:
    return random.choice([[], ["a"], ["a", "b"], ["*"], ["*", "a.>"], ["a.*"], ["b", "a.b"], ["a", "*"], ["a.."]])


def _wrong(random: Random) -> Step:
    key = random.choice(["", "a..b", ".a", "a.", "a b", "a.*", ">", "ä", "a" * 5000])
    return random.choice(
        [
            step("put", key=key, value=b"x", ttl=None),
            step("create", key=key, value=b"x", ttl=1),
            step("get", key=key),
            step("get_many", keys=["a", key]),
            step("delete", key=key, off=None),
            step("put", key="a", value=b"x", ttl=random.choice([0, -1, 1 << 40])),
            step("purge", key="a", ttl=0, off=None),
            step("put", key="a", value=bytes((1 << 20) + 1), ttl=None),
            step("keys", pattern=random.choice(["", "a..b", ">.a", "a b"])),
        ]
    )


BUCKETS = Kind("bucket", draw, open_side)
