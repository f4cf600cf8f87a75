"""The log with its limits, lifetimes, duplicates and schedules against a model that looks through one list."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from msgspec import Struct

from osapi.errors import LimitReachedError
from osapi.rules.subjects import matches
from osapi.transport import StreamConfig
from osapi_memory.stream_core import StreamCore

if TYPE_CHECKING:
    from osapi.transport import Message

SUBJECTS = ["s.a", "s.b", "s.a.b"]
PATTERNS = [*SUBJECTS, ">", "s.*", "s.>", "s.*.b"]
subjects = st.sampled_from(SUBJECTS)
patterns = st.sampled_from(PATTERNS)
ttls = st.none() | st.integers(1, 3)


class Kept(Struct):
    """A message, and where it goes if it is a schedule."""

    sequence: int
    subject: str
    payload: bytes
    created: float
    expires: float
    target: str | None = None
    at: float = inf
    ttl: int | None = None
    headers: str = ""


def block(**lines: object) -> str:
    """Return headers as they are written, those left out that have no value."""
    told = "".join(f"Nats-{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items() if value is not None)
    return f"NATS/1.0\r\n{told}\r\n" if told else ""


def size(subject: str, payload: bytes, headers: str) -> int:
    return 30 + len(subject) + len(payload) + (len(headers) + 4 if headers else 0)


def seconds(ttl: int | None) -> str | None:
    return None if ttl is None else f"{ttl}s"


class FullError(Exception):
    """The model would not store it."""


class Model:
    """What a stream is, without a thought of speed."""

    def __init__(self, config: StreamConfig) -> None:
        self.config = config
        self.kept: list[Kept] = []
        self.ids: list[tuple[str, int, float]] = []
        self.last = 0

    def size(self) -> int:
        return sum(size(m.subject, m.payload, m.headers) for m in self.kept)

    def publish(
        self, subject: str, payload: bytes, now: float, ttl: int | None, msg_id: str | None
    ) -> tuple[int, bool]:
        window = min(self.config.duplicate_window, self.config.max_age or inf)
        for known, sequence, when in self.ids:
            if known == msg_id and now < when + window:
                return sequence, True
        kept_id = msg_id if self.config.duplicate_window else None
        sequence = self.append(subject, payload, now, ttl, block(Msg_Id=kept_id, TTL=seconds(ttl))).sequence
        if msg_id is not None:
            self.ids.append((msg_id, sequence, now))
        return sequence, False

    def append(self, subject: str, payload: bytes, now: float, ttl: int | None, headers: str) -> Kept:
        config = self.config
        taken = size(subject, payload, headers)
        same = [m for m in self.kept if m.subject == subject]
        if 0 < config.max_msgs_per_subject <= len(same):
            self.drop(same[0])
        if 0 < config.max_msgs <= len(self.kept):
            self.drop(self.kept[0])
        while 0 < config.max_bytes < self.size() + taken:
            self.drop(self.kept[0])
        lifetimes = [span for span in (ttl, config.max_age) if span]
        self.last += 1
        dies = now + min(lifetimes) if lifetimes else inf
        for message in self.kept:
            if message.subject == subject:  # whatever comes there keeps a schedule from going anywhere
                message.target, message.at = None, inf
        kept = Kept(self.last, subject, payload, now, dies, headers=headers)
        self.kept.append(kept)
        return kept

    def drop(self, message: Kept) -> None:
        if self.config.discard == "new":
            raise FullError
        self.kept.remove(message)

    def schedule(self, subject: str, target: str, now: float, at: float, ttl: int | None) -> int:
        plan = block(
            Schedule="@at 2026-11-23T19:31:24.000000Z",
            Schedule_Target=target,
            Schedule_TTL=seconds(ttl),
            Rollup="sub",
        )
        kept = self.append(subject, b"later", now, None, plan)
        self.kept = [m for m in self.kept if m.subject != subject or m is kept]
        kept.target, kept.at, kept.ttl = target, max(at, now), ttl
        self.pass_time(now)
        return kept.sequence

    def pass_time(self, now: float) -> None:
        while due := [m for m in self.kept if min(m.expires, m.at) <= now]:
            message = min(due, key=lambda m: (min(m.expires, m.at), m.expires > m.at, m.sequence))
            if message.at < message.expires and message.target is not None:
                told = block(Scheduler=message.subject, Schedule_Next="purge", TTL=seconds(message.ttl))
                self.append(message.target, message.payload, message.at, message.ttl, told)
            self.kept = [m for m in self.kept if m is not message]


class StreamMachine(RuleBasedStateMachine):
    """One core whose timer runs in time and one whose never does: nobody can tell them apart."""

    @initialize(
        max_age=st.sampled_from([0, 2]),
        max_msgs=st.sampled_from([-1, 2]),
        max_bytes=st.sampled_from([-1, 300]),
        per_subject=st.sampled_from([-1, 1, 2]),
        discard=st.sampled_from(["old", "new"]),
        window=st.sampled_from([0, 1, 3]),
    )
    def open(
        self, max_age: float, max_msgs: int, max_bytes: int, per_subject: int, discard: str, window: float
    ) -> None:
        config = StreamConfig(
            name="s",
            subjects=("s.>",),
            max_age=max_age,
            max_msgs=max_msgs,
            max_bytes=max_bytes,
            max_msgs_per_subject=per_subject,
            discard=discard,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
            duplicate_window=window,
        )
        self.now = 100.0
        self.model = Model(config)
        self.cores = [StreamCore(config), StreamCore(config)]

    @rule(
        subject=subjects,
        payload=st.sampled_from([b"", b"1234567890"]),
        ttl=ttls,
        msg_id=st.none() | st.sampled_from("xy"),
    )
    def publish(self, subject: str, payload: bytes, ttl: int | None, msg_id: str | None) -> None:
        self.model.pass_time(self.now)
        try:
            sequence, duplicate = self.model.publish(subject, payload, self.now, ttl, msg_id)
        except FullError:
            for core in self.cores:
                with pytest.raises(LimitReachedError):
                    core.publish(subject, payload, {}, self.now, msg_id, ttl)
        else:
            for core in self.cores:
                receipt = core.publish(subject, payload, {}, self.now, msg_id, ttl)
                assert (receipt.sequence, receipt.duplicate) == (sequence, duplicate)

    @precondition(lambda self: self.model.config.discard == "old")
    @rule(subject=subjects, goal=subjects, after=st.sampled_from([-1, 0, 1, 2]), ttl=ttls)
    def schedule(self, subject: str, goal: str, after: float, ttl: int | None) -> None:
        if subject == goal:
            return
        self.model.pass_time(self.now)
        at = self.now + after
        wanted = self.model.schedule(subject, goal, self.now, at, ttl)
        for core in self.cores:
            receipt = core.schedule(subject, b"later", {}, self.now, target=goal, at=at, ttl=ttl)
            assert receipt.sequence == wanted

    @rule(pattern=patterns)
    def purge(self, pattern: str) -> None:
        self.model.pass_time(self.now)
        kept = [m for m in self.model.kept if not matches(pattern, m.subject)]
        gone = len(self.model.kept) - len(kept)
        self.model.kept = kept
        assert [core.purge(pattern, self.now) for core in self.cores] == [gone, gone]

    @rule(seconds=st.sampled_from([0.5, 1.0, 2.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        timely = self.cores[0]
        while (due := timely.next_due()) <= self.now:
            timely.advance(due)

    @rule(sequence=st.integers(0, 8))
    def get(self, sequence: int) -> None:
        self.model.pass_time(self.now)
        wanted = [m for m in self.model.kept if m.sequence == sequence]
        for core in self.cores:
            assert same(core.get(sequence, self.now), wanted)

    @rule(pattern=patterns)
    def last(self, pattern: str) -> None:
        self.model.pass_time(self.now)
        wanted = [m for m in self.model.kept if matches(pattern, m.subject)][-1:]
        for core in self.cores:
            assert same(core.last(pattern, self.now), wanted)

    @rule()
    def info(self) -> None:
        self.model.pass_time(self.now)
        for core in self.cores:
            info = core.info(self.now)
            assert info.messages == len(self.model.kept)
            assert info.bytes == self.model.size()
            assert info.last_sequence == self.model.last
            # JetStream tells 0 until something was stored, and then the sequence that would come next.
            after_all = self.model.last + 1 if self.model.last else 0
            assert info.first_sequence == (self.model.kept[0].sequence if self.model.kept else after_all)


def same(message: Message | None, wanted: list[Kept]) -> bool:
    found = [] if message is None else [(message.sequence, message.subject, message.payload, message.created)]
    return found == [(m.sequence, m.subject, m.payload, m.created) for m in wanted]


TestStreamMachine = StreamMachine.TestCase
TestStreamMachine.settings = settings(max_examples=200, stateful_step_count=25)
