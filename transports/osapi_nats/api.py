"""JetStream's API: one JSON request, one JSON answer, refusals translated into our errors in this one place."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import trio

from osapi.errors import (
    DisconnectedError,
    InvalidSettingError,
    LimitReachedError,
    MismatchError,
    MissingError,
    OsapiError,
    TransportError,
    UncertainError,
    UnsupportedBrokerError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osapi_nats.connection import Incoming
    from osapi_nats.link import Link

WRONG_LAST_SEQUENCE = 10071
MESSAGE_TOO_LARGE = 10054

NO_RESPONDERS = 503

# Replicas have not agreed yet on an earlier write of the same key or id, perhaps one of ours whose answer was lost; or
# the leader is new, or has too much to do. The server refuses to say, and knows a moment later.
_UNDECIDED = frozenset({10158, 10163, 10164, 10167})
_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1

# While replicas elect a leader nobody answers. What only reads is asked again so many seconds after the first time.
_AGAIN = (1.0, 3.0)


class NoMessageError(MissingError):
    """Nothing is kept there."""


class NoRespondersError(DisconnectedError):
    """Nobody listens there now: no JetStream, or none at this moment."""


class NoConsumerError(MissingError):
    """The consumer was deleted, or never was there."""


_ERRORS: dict[int, type[TransportError]] = {
    10014: NoConsumerError,  # consumer not found
    10037: NoMessageError,  # no message found
    10043: NoMessageError,  # sequence not found
    10059: MissingError,  # stream not found
    10002: LimitReachedError,  # account resources exceeded
    10023: LimitReachedError,  # insufficient resources
    10026: LimitReachedError,  # maximum consumers limit reached
    10027: LimitReachedError,  # maximum number of streams reached
    10028: LimitReachedError,  # insufficient memory resources available
    10047: LimitReachedError,  # insufficient storage resources available
    10077: LimitReachedError,  # maximum messages or bytes exceeded
    10012: MismatchError,  # consumer: deliver policy can not be updated, and the like
    10058: MismatchError,  # stream name already in use with a different configuration
    10065: MismatchError,  # subjects overlap with an existing stream
    10148: MismatchError,  # consumer already exists
    10035: UnsupportedBrokerError,  # the account has no JetStream
    10039: UnsupportedBrokerError,  # JetStream not enabled for account
    10076: UnsupportedBrokerError,  # JetStream not enabled
    10008: DisconnectedError,  # JetStream system temporarily unavailable
    10009: DisconnectedError,  # JetStream cluster has no leader
    10118: DisconnectedError,  # stream is offline
    10158: UncertainError,  # duplicate message id is in process
    10163: DisconnectedError,  # expected last sequence per subject temporarily unavailable
    10164: DisconnectedError,  # wrong last sequence, without saying which is right
    10167: DisconnectedError,  # too many requests
}
_STORE_FAILED = 10077
_LAST_SEQUENCE = re.compile(r"wrong last sequence: (\d+)")


class Refusal(msgspec.Struct, frozen=True):
    """What the server says instead of doing it."""

    code: int
    err_code: int = 0
    description: str = ""

    @property
    def last_sequence(self) -> int:
        """Return the sequence that a comparison met."""
        found = _LAST_SEQUENCE.search(self.description)
        return int(found[1]) if found else 0

    def error(self, what: str) -> Exception:
        """Return the error of ours that says so of `what` ("stream JOBS")."""
        told = f"{what}: {self.description} ({self.code}/{self.err_code})"
        if self.err_code == _STORE_FAILED and "maximum" not in self.description:
            # A store that was closed under the message, by a shutdown say: the other replicas may have kept it.
            return UncertainError(told)
        if found := _ERRORS.get(self.err_code):
            return found(told)
        if self.code == 400:
            return InvalidSettingError(what, f"was refused by the server: {self.description}", "correct the setting")
        return TransportError(told)


class Answer(msgspec.Struct, frozen=True):
    """What every answer may be."""

    error: Refusal | None = None


class PubAck(Answer, frozen=True):
    """The receipt of a message; `seq` is 0 in a refusal."""

    seq: int = 0
    duplicate: bool = False


class StreamState(msgspec.Struct, frozen=True):
    """What a stream holds."""

    messages: int = 0
    bytes: int = 0
    first_seq: int = 0
    last_seq: int = 0
    num_subjects: int = 0
    consumer_count: int = 0


class StreamAnswer(Answer, frozen=True):
    """A stream's configuration as the server has it, and its state."""

    config: dict[str, Any] = {}
    state: StreamState = StreamState()
    ts: str = ""


class Delivered(msgspec.Struct, frozen=True):
    """How far a consumer has come in its stream."""

    stream_seq: int = 0


class ConsumerAnswer(Answer, frozen=True):
    """A consumer's configuration as the server has it, and where it stands."""

    name: str = ""
    config: dict[str, Any] = {}
    num_ack_pending: int = 0
    num_redelivered: int = 0
    num_waiting: int = 0
    num_pending: int = 0
    delivered: Delivered = Delivered()


class ConsumerList(Answer, frozen=True):
    """A page of consumers, and how many there are in all."""

    total: int = 0
    consumers: list[ConsumerAnswer] = []


class Purged(Answer, frozen=True):
    """How many messages a purge removed."""

    purged: int = 0


class StoredMessage(msgspec.Struct, frozen=True):
    """A message as the leader reads it out."""

    subject: str
    seq: int
    time: str
    data: bytes = b""
    hdrs: bytes = b""


class MessageAnswer(Answer, frozen=True):
    """A stored message."""

    message: StoredMessage | None = None


A = TypeVar("A", bound=Answer)

_NOBODY = PubAck(error=Refusal(NO_RESPONDERS))

_encode = msgspec.json.Encoder().encode
_ack = msgspec.json.Decoder(PubAck).decode


class Api:
    """The API of one server, over a link; `offset` is how far its clock is ahead of ours, in seconds."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.offset = 0.0
        self._rtt = float("inf")

    async def read(self, subject: str, request: object, answer: type[A], what: str) -> A:
        """Ask for something, and again if nobody answers; `what` names it in errors.

        Raises:
            DisconnectedError, MissingError, UnsupportedBrokerError, TransportError

        """
        began = trio.current_time()
        timeout = self.link.timeout
        for until in (*(seconds for seconds in _AGAIN if seconds < timeout), timeout):
            with trio.move_on_at(began + until):
                return await self.ask(subject, request, answer, what)
        raise DisconnectedError(f"{what}: the server did not answer within {timeout:g} s")

    async def ask(self, subject: str, request: object, answer: type[A], what: str) -> A:
        """Ask for something once; raises as `read` does."""
        return await self._call(subject, request, answer, what, DisconnectedError)

    async def write(self, subject: str, request: object, answer: type[A], what: str) -> A:
        """Have something changed.

        Raises:
            UncertainError: the answer did not come; and all that `read` raises, and what the refusal means.

        """
        return await self._call(subject, request, answer, what, UncertainError)

    async def _call(self, subject: str, request: object, answer: type[A], what: str, lost: type[TransportError]) -> A:
        payload = b"" if request is None else _encode(request)
        self.link.check_size(what, payload, None)
        sent = time.time()
        told = await self.link.request(f"$JS.API.{subject}", payload, lost=lost)
        if told.status == NO_RESPONDERS:
            raise NoRespondersError(f"{what}: nobody answers for JetStream at this moment")
        found = msgspec.json.decode(told.payload, type=answer)
        if found.error is not None:
            raise found.error.error(what)
        if isinstance(found, StreamAnswer) and found.ts:
            self._set_clock(found.ts, sent, time.time())
        return found

    async def publish(self, subject: str, payload: bytes, headers: dict[str, str] | None, what: str) -> PubAck:
        """Store a message; the caller looks at `error` first.

        Raises:
            PayloadTooLargeError, DisconnectedError, UncertainError

        """
        self.link.check_size(what, payload, headers)
        until = 0.0
        pause = _FIRST_PAUSE
        while True:
            told = await self.link.request(subject, payload, headers, lost=UncertainError)
            ack = _ack(told.payload) if told.status != NO_RESPONDERS else _NOBODY
            if ack.error is None or ack.error.err_code not in _UNDECIDED:
                return ack
            until = until or trio.current_time() + self.link.timeout
            if trio.current_time() + pause > until:
                return ack
            await trio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def publish_many(
        self, messages: Sequence[tuple[str, bytes, dict[str, str] | None]]
    ) -> list[PubAck | OsapiError]:
        """Store messages on different subjects; their sizes were checked. The caller looks at each `error` first."""
        told = await self.link.request_many(messages, lost=UncertainError)
        return [
            answer
            if isinstance(answer, OsapiError)
            else _ack(answer.payload)
            if answer.status != NO_RESPONDERS
            else _NOBODY
            for answer in told
        ]

    async def refused(self, refusal: Refusal, stream: str, what: str) -> Exception:
        """Return the error for a message or a read that a stream did not take.

        Raises:
            MissingError: because there is no such stream.

        """
        if refusal.err_code or refusal.code != NO_RESPONDERS:
            return refusal.error(what)
        with trio.move_on_after(_AGAIN[0]):
            await self.ask(f"STREAM.INFO.{stream}", None, StreamAnswer, what)
        return DisconnectedError(f"{what} has no leader now: nothing was stored")

    def _set_clock(self, told: str, sent: float, received: float) -> None:
        # The shortest round trip tells most exactly, as in NTP: the error is at most half of it.
        rtt = received - sent
        if rtt <= self._rtt:
            self._rtt = rtt
            self.offset = unix(told) - (sent + received) / 2


def unix(stamp: str) -> float:
    """Return the Unix seconds of a time as the server writes it, to the microsecond."""
    return datetime.fromisoformat(stamp).timestamp()


def refusal_of(message: Incoming) -> Refusal:
    """Return what a direct read was answered with in place of a message."""
    return Refusal(message.status, 0, message.description)
