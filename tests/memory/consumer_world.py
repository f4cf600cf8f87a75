"""A consumer's core in a small world that tests can look into."""

from __future__ import annotations

from typing import Any

from osapi.transport import ConsumerConfig, StreamConfig
from osapi_memory.consumer_core import ConsumerCore, PullCore
from osapi_memory.stream_core import StreamCore


class World:
    """A stream at a moment, one consumer, and pulls that note what they are given."""

    def __init__(self, *, stream: dict[str, Any] | None = None, **settings: Any) -> None:
        self.now = 1.0
        self.stream = StreamCore(StreamConfig(name="s", subjects=("s.>",), **(stream or {})))
        self.settings = settings
        self.given: list[tuple[str, int, int]] = []
        self.ended: list[str] = []
        self.consumer = self.open()

    def open(self, **settings: Any) -> ConsumerCore:
        return self.stream.consumer(ConsumerConfig(name="c", **{**self.settings, **settings}), self.now)

    def pull(self, name: str = "p", count: int = 0) -> PullCore:
        pull = PullCore(
            lambda message, deliveries: self.given.append((name, message.sequence, deliveries)),
            lambda: self.ended.append(name),
        )
        self.stream.open_pull("c", pull, self.now)
        if count:
            self.request(pull, count)
        return pull

    def request(self, pull: PullCore, count: int) -> None:
        self.stream.request(self.consumer, pull, count, self.now)

    def publish(self, *subjects: str, ttl: int | None = None) -> None:
        for subject in subjects:
            self.stream.publish(subject, b"", {}, self.now, None, ttl)

    def ack(self, sequence: int) -> None:
        self.stream.answer(self.consumer, sequence, self.now)

    def nak(self, sequence: int, delay: float = 0) -> None:
        self.stream.nak(self.consumer, sequence, delay, self.now)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.stream.next_due()) <= end:
            self.now = due
            self.stream.advance(due)
        self.now = end

    def taken(self) -> list[tuple[str, int, int]]:
        taken, self.given = self.given, []
        return taken

    @property
    def ack_pending(self) -> int:
        return self.stream.consumer_info("c", self.now).ack_pending
