"""A stream without a clock, a task or a wire: its log, its schedules, its consumers and what falls due when.

As in `bucket_core`, every method is told the time, and removes what is due before it looks at anything.
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING

from msgspec.structs import replace

from osapi.errors import InvalidSettingError, LimitReachedError, MismatchError, MissingError
from osapi.rules.dead_letters import DELETED
from osapi.rules.room import ROLLUP, message_room, schedule_room, scheduled_room
from osapi.transport import ConsumerInfo, Published, StreamInfo
from osapi_memory.agenda import Agenda, ignore
from osapi_memory.consumer_core import ConsumerCore
from osapi_memory.dead_letters import GivenUp, unheard
from osapi_memory.log_core import LogCore
from osapi_memory.subject_index import SubjectIndex

if TYPE_CHECKING:
    from collections.abc import Callable

    from osapi.transport import ConsumerConfig, Message, StreamConfig
    from osapi_memory.consumer_core import PullCore

# JetStream's limit where the stream's configuration names none; -1 does not lift it there either.
DEFAULT_MAX_CONSUMERS = 1000


class StreamCore:
    """One stream with all that belongs to it."""

    __slots__ = (
        "_alarm",
        "_consumer_times",
        "_earliest",
        "_freed",
        "_idle",
        "_interest",
        "_log",
        "_plan",
        "_refiltered",
        "_schedules",
        "_targets",
        "config",
        "consumers",
        "deleted",
        "gave_up",
    )

    def __init__(self, config: StreamConfig) -> None:
        self.config = config
        self.deleted = False
        self.consumers: dict[str, ConsumerCore] = {}
        self.gave_up: Callable[[GivenUp], None] = unheard  # told of each message that a consumer gives up
        self._alarm: Callable[[float], None] = ignore
        self._earliest = inf
        self._log = LogCore(config, self._on_removed, self._ring)
        self._interest: SubjectIndex[ConsumerCore] = SubjectIndex()
        self._refiltered: dict[ConsumerCore, None] = {}  # may hold messages that no filter of theirs leads to
        self._freed: dict[ConsumerCore, None] = {}  # got a slot back and may hand out more
        self._plan: Agenda[int] = Agenda(self._ring)  # schedules by the sequence of their message
        self._targets: dict[int, tuple[str, int | None]] = {}  # where each goes, and its lifetime there
        self._schedules: dict[str, int] = {}  # the same by subject, for replacement
        self._consumer_times: Agenda[ConsumerCore] = Agenda(self._ring)
        self._idle: Agenda[str] = Agenda(self._ring)

    # --- Messages ------------------------------------------------------------------------------------------

    def publish(
        self,
        subject: str,
        payload: bytes,
        headers: dict[str, str],
        now: float,
        msg_id: str | None = None,
        ttl: int | None = None,
    ) -> Published:
        """Store a message and hand it to whoever waits for it.

        Raises:
            PayloadTooLargeError, LimitReachedError

        """
        self._tick(now)
        log = self._log
        room = 0
        if headers or ttl is not None or msg_id is not None:
            room = message_room(headers, ttl, msg_id if self.config.duplicate_window else None)
        log.check_size(subject, payload, room)
        if self.config.discard == "old":
            log.check_fits(subject, payload, room)
        # A repeated publish resolves an uncertain one, so it must find its id even when the stream is full by now.
        if msg_id is not None and (known := log.known(msg_id, now)):
            return Published(known, duplicate=True)
        message = log.append(subject, payload, headers, now, log.expires(now, ttl), msg_id, room)
        if subject in self._schedules:
            self._unschedule(subject)
        if self._freed:  # dropped messages freed slots
            self._settle(now)
        for consumer in self._interest.match(subject):
            consumer.offer(message)
            consumer.dispatch(now)
        return Published(message.sequence)

    def schedule(
        self,
        subject: str,
        payload: bytes,
        headers: dict[str, str],
        now: float,
        *,
        target: str,
        at: float,
        ttl: int | None = None,
    ) -> Published:
        """Store a message that goes to `target` at a moment; it is an ordinary message of its subject until then.

        Raises:
            InvalidSettingError: the stream discards new messages, where JetStream refuses schedules.
            PayloadTooLargeError, LimitReachedError

        """
        self._tick(now)
        room = schedule_room(headers, target, ttl)
        self._log.check_size(subject, payload, room)
        room += ROLLUP
        if self.config.discard == "new":
            raise InvalidSettingError("discard", "is 'new', with which nothing can be scheduled", "use 'old'")
        self._log.check_fits(target, payload, scheduled_room(headers, subject, ttl))
        message = self._log.append(subject, payload, headers, now, self._log.expires(now, None), room=room)
        for older in list(self._log.subjects.of(subject))[:-1]:  # a schedule is a rollup of its subject
            self._log.remove(older)
        self._targets[message.sequence] = target, ttl
        self._schedules[subject] = message.sequence
        self._plan.set(message.sequence, max(at, now))
        self._route(message)
        self._settle(now)
        self._tick(now)
        return Published(message.sequence)

    def get(self, sequence: int, now: float) -> Message | None:
        """Return a kept message by its sequence."""
        self._tick(now)
        return self._log.messages.get(sequence)

    def last(self, pattern: str, now: float) -> Message | None:
        """Return the newest kept message whose subject matches."""
        self._tick(now)
        return self._log.messages.get(self._log.subjects.newest(pattern))

    def delete(self, sequence: int, now: float) -> bool:
        """Remove a kept message by its sequence and say whether it was there."""
        self._tick(now)
        if sequence not in self._log.messages:
            return False
        self._log.remove(sequence)
        self._settle(now)
        return True

    def purge(self, pattern: str, now: float) -> int:
        """Remove every message whose subject matches, schedules included, and return how many."""
        self._tick(now)
        sequences = self._log.subjects.matching(pattern)
        for sequence in sequences:
            self._log.remove(sequence)
        self._settle(now)
        return len(sequences)

    def info(self, now: float) -> StreamInfo:
        """Return the figures."""
        self._tick(now)
        return StreamInfo(
            config=self.config,
            messages=len(self._log.messages),
            bytes=self._log.bytes,
            first_sequence=self._log.first if self._log.last else 0,  # as JetStream tells it
            last_sequence=self._log.last,
            consumers=len(self.consumers),
        )

    # --- Consumers -----------------------------------------------------------------------------------------

    def consumer(self, config: ConsumerConfig, now: float) -> ConsumerCore:
        """Create a consumer, or give one that exists new settings as a whole.

        Raises:
            MismatchError: it exists, and something that cannot change would.
            LimitReachedError: max_consumers.

        """
        self._tick(now)
        # What it means is also what is told of it.
        if config.backoff:
            config = replace(config, ack_wait=config.backoff[0])
        if set(config.filters) == set(self.config.subjects):
            config = replace(config, filters=())
        consumer = self.consumers.get(config.name)
        if consumer is None:
            consumer = self._create(config)
        elif consumer.config != config:
            has_other_places = consumer.config.max_ack_pending != config.max_ack_pending
            self._reconfigure(consumer, config)
            if has_other_places:  # nothing else that is new lets a waiting pull look again
                consumer.dispatch(now)
        self._start_idling(consumer, now)
        return consumer

    def delete_consumer(self, name: str, now: float) -> bool:
        """Remove a consumer, end its pulls, and say whether it was there."""
        self._tick(now)
        return self._delete(name)

    def end(self) -> None:
        """End all consumers: the stream was deleted."""
        self.deleted = True
        for consumer in self.consumers.values():
            consumer.end()
        self.consumers.clear()

    def open_pull(self, name: str, pull: PullCore, now: float) -> ConsumerCore:
        """Add a receiver to a consumer and return that.

        Raises:
            MissingError, LimitReachedError

        """
        consumer = self.find(name, now)
        if len(consumer.pulls) >= consumer.config.max_waiting:
            limit = consumer.config.max_waiting
            raise LimitReachedError(f"consumer {name} has {limit} open pulls: max_waiting is {limit}")
        consumer.open(pull)
        self._idle.cancel(name)
        return consumer

    def close_pull(self, consumer: ConsumerCore, pull: PullCore, now: float) -> None:
        """Take a receiver away; nothing happens if it is not there."""
        self._tick(now)
        if pull in consumer.pulls:
            consumer.close(pull)
            self._start_idling(consumer, now)

    def find(self, name: str, now: float) -> ConsumerCore:
        """Return a consumer.

        Raises:
            MissingError

        """
        self._tick(now)
        consumer = self.consumers.get(name)
        if consumer is None:
            raise MissingError(f"stream {self.config.name} has no consumer {name}")
        return consumer

    def consumer_info(self, name: str, now: float) -> ConsumerInfo:
        """Return where a consumer stands.

        Raises:
            MissingError

        """
        consumer = self.find(name, now)
        return ConsumerInfo(
            config=consumer.config,
            pending=consumer.new,
            ack_pending=consumer.ack_pending,
            redelivered=consumer.redelivered,
            waiting=consumer.waiting,
        )

    def names(self, now: float) -> list[str]:
        """Return the names of the consumers, sorted."""
        self._tick(now)
        return sorted(self.consumers)

    def request(self, consumer: ConsumerCore, pull: PullCore, count: int, now: float) -> None:
        """Ask for messages on behalf of a receiver."""
        self._tick(now)
        consumer.request(pull, count)
        consumer.dispatch(now)

    def answer(self, consumer: ConsumerCore, sequence: int, now: float) -> None:
        """Take an ack or a term. It counts even if the wait for it is just over and no timer has run yet."""
        consumer = self._named(consumer)
        was_stalled = consumer.is_stalled
        if consumer.release(sequence) and was_stalled and consumer.waiting:
            self._tick(now)
            consumer.dispatch(now)

    def term(self, consumer: ConsumerCore, sequence: int, deliveries: int, reason: str, now: float) -> None:
        """Take a term of one delivery. JetStream tells of it even if the message had ended before."""
        if consumer.config.name in self.consumers:
            self.gave_up(GivenUp(consumer.config.name, sequence, deliveries, reason))
        self.answer(consumer, sequence, now)

    def nak(self, consumer: ConsumerCore, sequence: int, delay: float, now: float) -> None:
        """Take a nak."""
        self._tick(now)
        consumer = self._named(consumer)
        if consumer.nak(sequence, delay, now) and delay <= 0:
            consumer.dispatch(now)

    def in_progress(self, consumer: ConsumerCore, sequence: int, now: float) -> None:
        """Take a sign of life. Like an answer it counts even if the wait is just over."""
        self._named(consumer).in_progress(sequence, now)

    def _named(self, consumer: ConsumerCore) -> ConsumerCore:
        """Return who answers go to: they name the consumer, which may have been deleted and made anew."""
        return self.consumers.get(consumer.config.name, consumer)

    # --- Time ----------------------------------------------------------------------------------------------

    def set_alarm(self, alarm: Callable[[float], None]) -> None:
        """Tell `alarm` from now on of each moment that became the earliest one."""
        self._alarm = alarm

    def next_due(self) -> float:
        """Return when `advance` should be called next, infinity for never."""
        return self._earliest

    def advance(self, now: float) -> None:
        """Do what is due: expiries and schedules in the order of their moments, then redeliveries."""
        while (when := min(self._log.next_due(), self._plan.next_due())) <= now:
            self._log.advance(when)
            while due := self._plan.pop(when):
                self._fire(due[1], when)
        while timed := self._consumer_times.pop(now):
            consumer = timed[1]
            if consumer.advance(now):
                self._freed[consumer] = None
            self._rearm(consumer)
        while idle := self._idle.pop(now):
            self._delete(idle[1])
        self._earliest = min(
            self._log.next_due(), self._plan.next_due(), self._consumer_times.next_due(), self._idle.next_due()
        )
        self._settle(now)

    def _tick(self, now: float) -> None:
        if self._earliest <= now:
            self.advance(now)

    def _ring(self, when: float) -> None:
        if when < self._earliest:
            self._earliest = when
            self._alarm(when)

    def _fire(self, sequence: int, when: float) -> None:
        schedule = self._log.messages[sequence]
        target, ttl = self._targets[sequence]
        expires = self._log.expires(when, ttl)
        room = scheduled_room(schedule.headers, schedule.subject, ttl)
        message = self._log.append(target, schedule.payload, schedule.headers, when, expires, room=room)
        self._unschedule(target)
        if sequence in self._log.messages:  # unless it was the oldest, and had to make room
            self._log.remove(sequence)
        self._route(message)

    # --- Steps ---------------------------------------------------------------------------------------------

    def _unschedule(self, subject: str) -> None:
        """Let a message stay that another one on its subject keeps from going where it was to go."""
        sequence = self._schedules.pop(subject, None)
        if sequence is not None:
            self._plan.cancel(sequence)
            del self._targets[sequence]

    def _route(self, message: Message) -> None:
        for consumer in self._interest.match(message.subject):
            consumer.offer(message)
            self._freed[consumer] = None

    def _settle(self, now: float) -> None:
        """Let those hand out who may, after everything that is to go has gone."""
        freed = self._freed
        while freed:
            freed.popitem()[0].dispatch(now)

    def _on_removed(self, message: Message) -> None:
        sequence = message.sequence
        if self._targets.pop(sequence, None):
            self._plan.cancel(sequence)
            del self._schedules[message.subject]
        if self.consumers:
            for consumer in (*self._interest.match(message.subject), *self._refiltered):
                if deliveries := consumer.forget(sequence):
                    self._freed[consumer] = None
                    self.gave_up(GivenUp(consumer.config.name, sequence, deliveries, DELETED))

    def _on_given_up(self, consumer: str, sequence: int, deliveries: int) -> None:
        self.gave_up(GivenUp(consumer, sequence, deliveries))

    def _create(self, config: ConsumerConfig) -> ConsumerCore:
        limit = self.config.max_consumers if self.config.max_consumers > 0 else DEFAULT_MAX_CONSUMERS
        if len(self.consumers) >= limit:
            raise LimitReachedError(f"stream {self.config.name} has {limit} consumers: set max_consumers to allow more")
        consumer = ConsumerCore(config, self._log.messages, self._newest, partial(self._on_given_up, config.name))
        consumer.set_alarm(partial(self._consumer_times.set, consumer))
        if config.deliver == "new":
            consumer.position = self._log.last
        self.consumers[config.name] = consumer
        self._subscribe(consumer)
        return consumer

    def _reconfigure(self, consumer: ConsumerCore, config: ConsumerConfig) -> None:
        old = consumer.config
        fixed = [
            f"{name} is {getattr(old, name)!r}, not {getattr(config, name)!r}"
            for name in ("deliver", "max_waiting")
            if getattr(old, name) != getattr(config, name)
        ]
        if fixed:
            raise MismatchError(f"consumer {config.name} exists, and this cannot change: {'; '.join(fixed)}")
        consumer.config = config
        if set(old.filters) == set(config.filters):
            return
        # What has been passed over stays so; what nobody has asked for yet is found by the new filters.
        for pattern in old.filters or (">",):
            self._interest.remove(pattern, consumer)
        self._refiltered[consumer] = None
        self._subscribe(consumer)

    def _subscribe(self, consumer: ConsumerCore) -> None:
        filters = consumer.config.filters or (">",)
        for pattern in filters:
            self._interest.add(pattern, consumer)
        if consumer.position < self._log.last:
            sequences = sorted(seq for pattern in filters for seq in self._log.subjects.matching(pattern))
            messages = self._log.messages
            consumer.refill(messages[seq] for seq in sequences if seq > consumer.position)
        else:
            consumer.refill(())

    def _newest(self) -> int:
        return self._log.last

    def _delete(self, name: str) -> bool:
        consumer = self.consumers.pop(name, None)
        if consumer is None:
            return False
        for pattern in consumer.config.filters or (">",):
            self._interest.remove(pattern, consumer)
        for gone in (self._refiltered, self._freed):
            gone.pop(consumer, None)
        self._consumer_times.cancel(consumer)
        self._idle.cancel(name)
        consumer.end()
        return True

    def _rearm(self, consumer: ConsumerCore) -> None:
        when = consumer.next_due()
        if when != inf:
            self._consumer_times.set(consumer, when)

    def _start_idling(self, consumer: ConsumerCore, now: float) -> None:
        threshold = consumer.config.inactive_threshold
        if threshold and not consumer.pulls:
            self._idle.set(consumer.config.name, now + threshold)
        else:
            self._idle.cancel(consumer.config.name)
