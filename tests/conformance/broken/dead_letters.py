"""Backends that break S6 and S7."""

# These faults are inside the broker's core, where nothing public reaches them.
# ruff: noqa: SLF001
# pyright: reportPrivateUsage=false

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from osapi.errors import InvalidSubjectError
from osapi.rules.dead_letters import DELETED
from osapi.transport import Published
from osapi_memory import Broker
from osapi_memory.consumer_core import ConsumerCore
from osapi_memory.dead_letters import GivenUp
from osapi_memory.stream_core import StreamCore
from tests.conformance.broken.proxy import StreamProxy, TransportProxy, breaks, patched

if TYPE_CHECKING:
    from collections.abc import Generator

    from osapi.transport import Message, Stream, StreamConfig


@breaks("S6")
class DeleteIsAlwaysTrue(StreamProxy):
    """A deletion says that the message was there."""

    async def delete(self, sequence: int) -> bool:
        await self.inner.delete(sequence)
        return True


@breaks("S6")
class DeleteTakesWhatIsBefore(StreamProxy):
    """A deletion removes everything up to the sequence."""

    async def delete(self, sequence: int) -> bool:
        return any([await self.inner.delete(one) for one in range(1, sequence + 1)])


@breaks("S6")
class DeletedMessagesAreHidden(StreamProxy):
    """A deleted message is not found any more, but consumers still have it."""

    def begin(self) -> None:
        self.deleted: set[int] = set()

    async def delete(self, sequence: int) -> bool:
        found = await self.get(sequence) is not None
        self.deleted.add(sequence)
        return found

    async def get(self, sequence: int) -> Message | None:
        return None if sequence in self.deleted else await self.inner.get(sequence)


class _Gravedigger(TransportProxy):
    """A broker that buries in another way."""

    @classmethod
    @contextmanager
    def installed(cls) -> Generator[None]:
        sound = Broker._bury

        def bury(self: Broker, stream: str, given_up: GivenUp) -> None:
            for told in cls.told(given_up):
                sound(self, stream, told)

        with patched(Broker, "_bury", bury):
            yield

    @classmethod
    def told(cls, given_up: GivenUp) -> list[GivenUp]:
        """Return what is told in place of what happened."""
        return [given_up]


@breaks("S7")
class ReasonsAreLost(_Gravedigger):
    """A reason that was given is not told."""

    @classmethod
    def told(cls, given_up: GivenUp) -> list[GivenUp]:
        return [given_up if given_up.reason is None else replace(given_up, reason="")]


@breaks("S7")
class OnlyTermsAreDeadLetters(_Gravedigger):
    """A message whose deliveries are used up ends in silence."""

    @classmethod
    def told(cls, given_up: GivenUp) -> list[GivenUp]:
        return [] if given_up.reason is None else [given_up]


@breaks("S7")
class DeliveriesAreThoseToCome(_Gravedigger):
    """The delivery that did not take place is counted."""

    @classmethod
    def told(cls, given_up: GivenUp) -> list[GivenUp]:
        return [replace(given_up, deliveries=given_up.deliveries + 1)]


@breaks("S7")
class ExpiredMessagesAreForgotten(_Gravedigger):
    """A message that expires unanswered is not told of."""

    @classmethod
    def told(cls, given_up: GivenUp) -> list[GivenUp]:
        return [] if given_up.reason == DELETED else [given_up]


@breaks("S7")
class LettersAreToldTwice(_Gravedigger):
    """Each letter is stored twice."""

    @classmethod
    def told(cls, given_up: GivenUp) -> list[GivenUp]:
        return [given_up, given_up]


@breaks("S7")
class DeadLettersOfAnyStream(TransportProxy):
    """What any stream gave up is told of."""

    @classmethod
    @contextmanager
    def installed(cls) -> Generator[None]:
        sound = Broker._bury

        def bury(self: Broker, stream: str, given_up: GivenUp) -> None:
            for source in self._dead_letters:
                sound(self, source, given_up)

        with patched(Broker, "_bury", bury):
            yield


@breaks("S7")
class EveryAnswerIsADeadLetter(TransportProxy):
    """An ack is told of as a term."""

    @classmethod
    @contextmanager
    def installed(cls) -> Generator[None]:
        sound = StreamCore.answer

        def answer(self: StreamCore, consumer: ConsumerCore, sequence: int, now: float) -> None:
            self.gave_up(GivenUp(consumer.config.name, sequence, 1, "acked"))
            sound(self, consumer, sequence, now)

        with patched(StreamCore, "answer", answer):
            yield


@breaks("S7")
class RepeatedTermsAreIgnored(TransportProxy):
    """A term of a message that has ended is not told of."""

    @classmethod
    @contextmanager
    def installed(cls) -> Generator[None]:
        sound = StreamCore.term

        def term(self: StreamCore, consumer: ConsumerCore, sequence: int, *rest: Any) -> None:
            if sequence in consumer._pending:
                sound(self, consumer, sequence, *rest)

        with patched(StreamCore, "term", term):
            yield


@breaks("S7")
class UsedUpDeliveriesAreToldAtOnce(TransportProxy):
    """A message is given up as soon as its last `ack_wait` has passed, whether somebody asks or not."""

    @classmethod
    @contextmanager
    def installed(cls) -> Generator[None]:
        sound = ConsumerCore.advance

        def advance(self: ConsumerCore, now: float) -> None:
            sound(self, now)
            for sequence in list(self._again):
                if 0 < self.config.max_deliver <= self._pending[sequence]:
                    del self._again[sequence]
                    self._give_up(sequence, self._pending.pop(sequence))

        with patched(ConsumerCore, "advance", advance):
            yield


@breaks("S7")
class OneDeliveryWaitsForARequest(TransportProxy):
    """With a `max_deliver` of 1 a message is given up at the next request only."""

    @classmethod
    @contextmanager
    def installed(cls) -> Generator[None]:
        sound = ConsumerCore.advance

        def advance(self: ConsumerCore, now: float) -> None:
            config = self.config
            self.config = replace(config, max_deliver=-1)
            sound(self, now)
            self.config = config

        with patched(ConsumerCore, "advance", advance):
            yield


@breaks("S7")
class TimesHaveNoOffset(StreamProxy):
    """The time of a letter is told without saying whose it is."""

    async def get(self, sequence: int) -> Message | None:
        message = await self.inner.get(sequence)
        if message is None or not message.payload.startswith(b"{"):
            return message
        letter = msgspec.json.decode(message.payload)
        return replace(message, payload=msgspec.json.encode({**letter, "timestamp": letter["timestamp"][:19]}))


@breaks("S7")
class DeadLettersGoWithTheirStream(TransportProxy):
    """Deleting a stream deletes its dead letters."""

    def begin(self) -> None:
        super().begin()
        self.letters: dict[str, str] = {}

    async def stream(self, config: StreamConfig) -> Stream:
        self.letters[config.dead_letters_of] = config.name
        return await super().stream(config)

    async def delete_stream(self, name: str) -> bool:
        await self.inner.delete_stream(self.letters.get(name, ""))
        return await self.inner.delete_stream(name)


@breaks("S7")
class AnythingIsADeadLetter(StreamProxy):
    """Whatever is published on a stream of dead letters is taken."""

    async def publish(self, subject: str, payload: bytes, **options: Any) -> Published:
        with suppress(InvalidSubjectError):
            return await self.inner.publish(subject, payload, **options)
        return Published(1)
