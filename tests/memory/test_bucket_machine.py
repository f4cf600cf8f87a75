"""The bucket core against a model that keeps all revisions in one list and looks through it each time."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from osapi.errors import ConflictError
from osapi.rules.subjects import matches
from osapi.transport import BucketConfig, Entry
from osapi_memory.bucket_core import BucketCore, WatchCore

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = ["a", "b", "a.b"]
keys = st.sampled_from(KEYS)
ttls = st.none() | st.integers(1, 3)
HEADERS = {
    "put": "",
    "delete": "KV-Operation: DEL\r\n",
    "purge": "KV-Operation: PURGE\r\nNats-Rollup: sub\r\n",
    "expire": "Nats-Marker-Reason: MaxAge\r\nNats-Rollup: sub\r\n",
}


class Model:
    """What a bucket is, without a thought of speed."""

    def __init__(self, config: BucketConfig) -> None:
        self.config = config
        self.kept: list[tuple[Entry, float]] = []
        self.told: list[Entry] = []
        self.revision = 0
        self.headers: dict[int, str] = {}

    def of(self, key: str) -> list[Entry]:
        return [entry for entry, _ in self.kept if entry.key == key]

    def newest(self, key: str) -> int:
        return max((entry.revision for entry in self.of(key)), default=0)

    def store(
        self, key: str, value: bytes, change: str, when: float, ttl: int | None, expected: int | None = None
    ) -> int:
        self.revision += 1
        lines = HEADERS[change]
        # One that is raised is written without its unit.
        is_raised = self.config.history > 1 and ttl is not None and ttl < self.config.marker_ttl
        lines += f"Nats-TTL: {int(self.config.marker_ttl)}\r\n" if is_raised else f"Nats-TTL: {ttl}s\r\n" if ttl else ""
        lines += f"Nats-Expected-Last-Subject-Sequence: {expected}\r\n" if expected is not None else ""
        self.headers[self.revision] = f"NATS/1.0\r\n{lines}\r\n" if lines else ""
        entry = Entry(key, value, self.revision, when, change)  # type: ignore[arg-type]
        if change == "purge":
            self.kept = [pair for pair in self.kept if pair[0].key != key]
        if len(self.of(key)) == self.config.history:
            oldest = self.of(key)[0]
            self.kept = [pair for pair in self.kept if pair[0] is not oldest]
        if ttl is not None and self.config.history > 1:
            ttl = max(ttl, int(self.config.marker_ttl))
        lifetimes = [span for span in (ttl, self.config.ttl) if span]
        self.kept.append((entry, when + min(lifetimes) if lifetimes else inf))
        self.told.append(entry)
        return self.revision

    def size(self, entry: Entry) -> int:
        headers = len(self.headers[entry.revision])
        return 30 + len(f"$KV.b.{entry.key}") + (headers + 4 if headers else 0) + len(entry.value)

    def pass_time(self, now: float) -> None:
        while due := [pair for pair in self.kept if pair[1] <= now]:
            entry, when = min(due, key=lambda pair: (pair[1], pair[0].revision))
            self.kept.remove((entry, when))
            if self.config.marker_ttl and entry.change in {"put", "delete"} and not self.of(entry.key):
                self.store(entry.key, b"", "expire", when, int(self.config.marker_ttl))


class BucketMachine(RuleBasedStateMachine):
    """One core whose timer runs in time and one whose never does: nobody can tell them apart."""

    @initialize(history=st.integers(1, 3), ttl=st.sampled_from([0, 2]), marker_ttl=st.sampled_from([0, 1, 2]))
    def open(self, history: int, ttl: float, marker_ttl: float) -> None:
        config = BucketConfig(name="b", history=history, ttl=ttl, marker_ttl=marker_ttl)
        self.now = 100.0
        self.model = Model(config)
        self.cores = [BucketCore(config), BucketCore(config)]
        self.told: list[list[Entry]] = [[], []]
        for core, told in zip(self.cores, self.told, strict=True):
            core.watch(WatchCore((), told.append, lambda: None))

    def both(self, act: Callable[[BucketCore], int], wanted: Callable[[], int]) -> None:
        self.model.pass_time(self.now)
        value = wanted()
        assert [act(core) for core in self.cores] == [value, value]

    def conflict(self, act: Callable[[BucketCore], int], actual: int) -> None:
        for core in self.cores:
            with pytest.raises(ConflictError) as caught:
                act(core)
            assert caught.value.actual == actual

    @rule(key=keys, ttl=ttls)
    def put(self, key: str, ttl: int | None) -> None:
        self.both(
            lambda core: core.put(key, b"p", self.now, ttl), lambda: self.model.store(key, b"p", "put", self.now, ttl)
        )

    @rule(key=keys, ttl=ttls)
    def create(self, key: str, ttl: int | None) -> None:
        self.model.pass_time(self.now)
        kept = self.model.of(key)
        if kept and kept[-1].change == "put":
            self.conflict(lambda core: core.create(key, b"c", self.now, ttl), kept[-1].revision)
        else:
            self.both(
                lambda core: core.create(key, b"c", self.now, ttl),
                lambda: self.model.store(key, b"c", "put", self.now, ttl, self.model.newest(key)),
            )

    @rule(key=keys, ttl=ttls, off=st.integers(-1, 1))
    def update(self, key: str, ttl: int | None, off: int) -> None:
        self.model.pass_time(self.now)
        newest = self.model.newest(key)
        if off:
            self.conflict(lambda core: core.update(key, b"u", newest + off, self.now, ttl), newest)
        else:
            self.both(
                lambda core: core.update(key, b"u", newest, self.now, ttl),
                lambda: self.model.store(key, b"u", "put", self.now, ttl, newest),
            )

    @rule(key=keys, off=st.none() | st.integers(0, 1))
    def delete(self, key: str, off: int | None) -> None:
        self.model.pass_time(self.now)
        newest = self.model.newest(key)
        expected = None if off is None else newest + off
        if off:
            self.conflict(lambda core: core.delete(key, self.now, expected), newest)
        else:
            self.both(
                lambda core: core.delete(key, self.now, expected),
                lambda: self.model.store(key, b"", "delete", self.now, None, expected),
            )

    @rule(key=keys, off=st.none() | st.integers(0, 1), ttl=ttls)
    def purge(self, key: str, off: int | None, ttl: int | None) -> None:
        self.model.pass_time(self.now)
        newest = self.model.newest(key)
        expected = None if off is None else newest + off
        if off:
            self.conflict(lambda core: core.purge(key, self.now, expected, ttl), newest)
        else:
            self.both(
                lambda core: core.purge(key, self.now, expected, ttl),
                lambda: self.model.store(key, b"", "purge", self.now, ttl, expected),
            )

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        timely = self.cores[0]
        while (due := timely.next_due()) <= self.now:
            timely.advance(due)
        self.model.pass_time(self.now)
        assert self.told[0] == self.model.told

    @rule(key=keys)
    def get(self, key: str) -> None:
        self.model.pass_time(self.now)
        newest = self.model.of(key)[-1:]
        wanted = newest[0] if newest and newest[0].change == "put" else None
        assert [core.get(key, self.now) for core in self.cores] == [wanted, wanted]

    @rule(key=keys)
    def history(self, key: str) -> None:
        self.model.pass_time(self.now)
        assert [core.history(key, self.now) for core in self.cores] == [self.model.of(key)] * 2

    @rule(pattern=st.sampled_from([">", "*", "a", "a.*", "*.b", "a.>"]), start=st.integers(0, 5))
    def look_around(self, pattern: str, start: int) -> None:
        self.model.pass_time(self.now)
        newest = [self.model.of(key)[-1] for key in KEYS if matches(pattern, key) and self.model.of(key)]
        since = [entry for entry, _ in self.model.kept if matches(pattern, entry.key) and entry.revision > start]
        for core in self.cores:
            assert core.newest((pattern,), self.now) == sorted(newest, key=lambda entry: entry.revision)
            assert core.since((pattern,), start, self.now) == sorted(since, key=lambda entry: entry.revision)
            assert sorted(core.keys(pattern, self.now)) == sorted(e.key for e in newest if e.change == "put")

    @rule()
    def info(self) -> None:
        self.model.pass_time(self.now)
        for core in self.cores:
            info = core.info(self.now)
            assert info.keys == len({entry.key for entry, _ in self.model.kept})
            assert info.values == len(self.model.kept)
            assert info.revision == self.model.revision == core.revision
            assert info.bytes == sum(self.model.size(entry) for entry, _ in self.model.kept)

    @invariant()
    def watchers_were_told_the_same(self) -> None:
        assert self.told[0] == self.model.told[: len(self.told[0])]
        assert self.told[1] == self.model.told[: len(self.told[1])]


TestBucketMachine = BucketMachine.TestCase
TestBucketMachine.settings = settings(max_examples=150, stateful_step_count=25)
