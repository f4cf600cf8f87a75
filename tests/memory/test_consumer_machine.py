"""A consumer on a stream against a model that looks through one list of records for whatever it needs."""

from __future__ import annotations

from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec import Struct
from msgspec.structs import replace

from osapi.rules.subjects import matches
from osapi.transport import ConsumerConfig, StreamConfig
from osapi_memory.consumer_core import PullCore
from osapi_memory.stream_core import StreamCore

SUBJECTS = ["s.a", "s.b"]
FILTERS: list[tuple[str, ...]] = [(), ("s.a",), ("s.*",), ("s.a", "s.b")]
subjects = st.sampled_from(SUBJECTS)


class Record(Struct):
    """A message as one consumer sees it; `due` is set while an answer is awaited, `place` while it lines up again."""

    sequence: int
    subject: str
    expires: float
    deliveries: int = 0
    due: float = inf
    place: int = 0
    is_over: bool = False

    @property
    def is_pending(self) -> bool:
        return self.deliveries > 0 and not self.is_over


class Model:
    """What a consumer is, without a thought of speed."""

    def __init__(self, config: ConsumerConfig) -> None:
        self.config = config
        self.records: list[Record] = []
        self.waiting: list[int] = []  # pulls, each once
        self.wanted = {1: 0, 2: 0}
        self.given: list[tuple[int, int, int]] = []
        self.places = 0

    def matches(self, record: Record) -> bool:
        return any(matches(pattern, record.subject) for pattern in self.config.filters or (">",))

    def line_up(self, record: Record) -> None:
        self.places += 1
        record.due, record.place = inf, self.places

    def dispatch(self, now: float) -> None:
        while self.waiting:
            again = sorted((r for r in self.records if r.is_pending and r.place), key=lambda r: r.place)
            new = [r for r in self.records if not r.deliveries and not r.is_over and self.matches(r)]
            pending = sum(r.is_pending for r in self.records)
            if again and 0 < self.config.max_deliver <= again[0].deliveries:
                again[0].is_over = True
            elif again:
                self.give(again[0], now)
            elif new and not 0 < self.config.max_ack_pending <= pending:
                for record in self.records:  # what did not match when its turn came is passed over
                    record.is_over |= record.sequence < new[0].sequence and not record.deliveries
                self.give(new[0], now)
            else:
                if not 0 < self.config.max_ack_pending <= pending:
                    # Whoever waits has looked at everything in vain.
                    for record in self.records:
                        record.is_over |= not record.deliveries
                return

    def give(self, record: Record, now: float) -> None:
        record.deliveries += 1
        record.place = 0
        self.start_wait(record, now)
        pull = self.waiting.pop(0)
        self.wanted[pull] -= 1
        if self.wanted[pull]:
            self.waiting.append(pull)
        self.given.append((pull, record.sequence, record.deliveries))

    def start_wait(self, record: Record, now: float) -> None:
        backoff = self.config.backoff
        waits = [*backoff, *backoff[-1:] * record.deliveries] or [self.config.ack_wait] * record.deliveries
        record.due = now + waits[record.deliveries - 1]

    def pass_time(self, now: float) -> None:
        changed = any(r.is_pending for r in self.records if r.expires <= now)
        self.records = [r for r in self.records if r.expires > now]
        for record in self.records:
            if record.is_pending and record.due <= now:
                changed = True
                if self.config.max_deliver == 1:
                    record.is_over = True
                else:
                    self.line_up(record)
        if changed:
            self.dispatch(now)

    def reconfigure(self, config: ConsumerConfig) -> None:
        self.config = config


class ConsumerMachine(RuleBasedStateMachine):
    """Two pulls share a consumer; time passes in steps, and the timer runs at each."""

    @initialize(
        deliver=st.sampled_from(["all", "new"]),
        filters=st.sampled_from(FILTERS),
        ack_wait=st.integers(1, 2),
        backoff=st.sampled_from([(), (1.0,), (2.0, 1.0)]),
        max_deliver=st.sampled_from([-1, 1, 2]),
        max_ack_pending=st.sampled_from([-1, 1, 2]),
        before=st.lists(subjects, max_size=2),
    )
    def open(
        self,
        deliver: str,
        filters: tuple[str, ...],
        ack_wait: float,
        backoff: tuple[float, ...],
        max_deliver: int,
        max_ack_pending: int,
        before: list[str],
    ) -> None:
        self.now = 100.0
        self.core = StreamCore(StreamConfig(name="s", subjects=("s.>",)))
        config = ConsumerConfig(
            name="c",
            filters=filters,
            deliver=deliver,  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
            ack_wait=ack_wait,
            backoff=backoff,
            max_deliver=max_deliver,
            max_ack_pending=max_ack_pending,
        )
        self.model = Model(config)
        for subject in before:
            self.publish(subject, None)
        if deliver == "new":
            for record in self.model.records:
                record.is_over = True
        self.consumer = self.core.consumer(config, self.now)
        self.given: list[tuple[int, int, int]] = []
        self.pulls = {number: self.open_pull(number) for number in (1, 2)}

    def open_pull(self, number: int) -> PullCore:
        pull = PullCore(
            lambda message, deliveries: self.given.append((number, message.sequence, deliveries)), lambda: None
        )
        self.core.open_pull("c", pull, self.now)
        return pull

    @rule(subject=subjects, ttl=st.none() | st.integers(1, 3))
    def publish(self, subject: str, ttl: int | None) -> None:
        sequence = self.core.publish(subject, b"", {}, self.now, None, ttl).sequence
        record = Record(sequence, subject, inf if ttl is None else self.now + ttl)
        self.model.records.append(record)
        if self.model.matches(record):
            self.model.dispatch(self.now)

    @rule(number=st.integers(1, 2), count=st.integers(1, 2))
    def request(self, number: int, count: int) -> None:
        self.core.request(self.consumer, self.pulls[number], count, self.now)
        if not self.model.wanted[number]:
            self.model.waiting.append(number)
        self.model.wanted[number] += count
        self.model.dispatch(self.now)

    @rule(number=st.integers(1, 2))
    def open_anew(self, number: int) -> None:
        self.core.close_pull(self.consumer, self.pulls[number], self.now)
        self.core.close_pull(self.consumer, self.pulls[number], self.now)
        self.pulls[number] = self.open_pull(number)
        if self.model.wanted[number]:
            self.model.waiting.remove(number)
        self.model.wanted[number] = 0

    @rule(sequence=st.integers(1, 6))
    def ack(self, sequence: int) -> None:
        self.core.answer(self.consumer, sequence, self.now)
        # Only where there was no place left can an answer let others go.
        stalled = 0 < self.model.config.max_ack_pending <= sum(record.is_pending for record in self.model.records)
        for record in self.model.records:
            record.is_over |= record.sequence == sequence and record.deliveries > 0
        if stalled:
            self.model.dispatch(self.now)

    @rule(sequence=st.integers(1, 6), delay=st.integers(0, 3))
    def nak(self, sequence: int, delay: float) -> None:
        self.core.nak(self.consumer, sequence, delay, self.now)
        for record in self.model.records:
            if record.sequence == sequence and record.is_pending:
                if delay:
                    record.due, record.place = self.now + delay, 0
                elif not record.place:
                    self.model.line_up(record)
        if not delay and any(record.sequence == sequence and record.is_pending for record in self.model.records):
            self.model.dispatch(self.now)

    @rule(sequence=st.integers(1, 6))
    def in_progress(self, sequence: int) -> None:
        self.core.in_progress(self.consumer, sequence, self.now)
        for record in self.model.records:
            if record.sequence == sequence and record.is_pending and not record.place:
                self.model.start_wait(record, self.now)

    @rule(pattern=st.sampled_from([*SUBJECTS, ">"]))
    def purge(self, pattern: str) -> None:
        self.core.purge(pattern, self.now)
        gone = [r for r in self.model.records if matches(pattern, r.subject)]
        self.model.records = [r for r in self.model.records if r not in gone]
        if any(record.is_pending for record in gone):
            self.model.dispatch(self.now)

    @rule(
        filters=st.sampled_from(FILTERS),
        max_ack_pending=st.sampled_from([-1, 1, 2]),
        max_deliver=st.sampled_from([-1, 1, 2]),
        ack_wait=st.integers(1, 2),
    )
    def reconfigure(self, filters: tuple[str, ...], max_ack_pending: int, max_deliver: int, ack_wait: float) -> None:
        config = replace(
            self.model.config,
            filters=filters,
            max_ack_pending=max_ack_pending,
            max_deliver=max_deliver,
            ack_wait=ack_wait,
        )
        self.core.consumer(config, self.now)
        has_other_places = config.max_ack_pending != self.model.config.max_ack_pending
        self.model.reconfigure(config)
        if has_other_places:
            self.model.dispatch(self.now)

    @rule(seconds=st.integers(1, 2))
    def wait(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            self.core.advance(self.now)
            self.model.pass_time(self.now)

    @invariant()
    def they_agree(self) -> None:
        assert self.given == self.model.given
        info = self.core.consumer_info("c", self.now)
        pending = [record for record in self.model.records if record.is_pending]
        assert info.ack_pending == len(pending)
        assert info.redelivered == sum(record.deliveries > 1 for record in pending)
        assert info.waiting == len(self.model.waiting)
        assert info.pending == sum(
            not record.deliveries and not record.is_over and self.model.matches(record) for record in self.model.records
        )


TestConsumerMachine = ConsumerMachine.TestCase
TestConsumerMachine.settings = settings(max_examples=300, stateful_step_count=30)
