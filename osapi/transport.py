"""What osapi needs of a broker: buckets, streams, consumers. Implement these Protocols to add a backend.

The guarantees are numbered; `osapi.conformance` tests each of them under its number, on any backend.

Of every call
  T1  An async method may be cancelled, and a task that makes one call after another lets others run between them,
      though perhaps not at each. Cancelled before it took effect, it changed nothing; cancelled after, the
      change stands: a caller that must know reads again.
  T2  A refusal is one of the errors the method names, and then nothing was stored.
  T3  `DisconnectedError` means nothing was sent. `UncertainError` means that the outcome is unknown: repeating
      the call (same `msg_id`, same expected revision) resolves it.
  T4  A payload (with its headers) above `max_payload` is refused with `PayloadTooLargeError` before it is sent.
  T5  `broker` says where and what the broker is, and nothing of what lets anybody in. Nobody is asked for it.

Of buckets
  K1  Revisions belong to the bucket, not to the key: they grow by every write of any key, markers included. A
      refused write uses none.
  K2  `create` succeeds where the key has no value: never written, deleted, purged, or expired.
  K3  `update` succeeds only if `revision` is the newest of the key. Delete and purge markers count as newest;
      after an expiry that left no marker, the newest is 0.
  K4  Delete keeps the history and adds a marker; purge drops the history and leaves one marker. Both work on
      keys that never were.
  K5  A value whose TTL (its own, or the bucket's) has passed is gone. With a history, the value before it is
      back. With `marker_ttl` an `expire` marker takes its place and watchers see it; without, they see nothing.
  K6  `max_bytes` refuses new keys with `LimitReachedError`; overwriting and markers still fit.
  K7  A watch delivers the newest entry of each key in order of revision, then `caught_up` turns true, then every
      change in order, each once. A key that changes while the first set is being read may appear only as changed.
  K8  A watch survives a lost connection: it goes on after the last revision it gave; with a history of 1 it may
      then skip revisions that were overwritten meanwhile.
  K9  Writes that are made together stand each for itself: what one is refused for says nothing of the others.

Of streams
  S1  Sequences grow by one for each stored message.
  S2  A `msg_id` seen within `duplicate_window` is not stored again: the first sequence is returned and
      `duplicate` is true, whatever the subject, even after a purge.
  S3  `max_age` and a message's own TTL remove it everywhere, also from consumers that had it pending.
  S4  Beyond `max_msgs`, `max_bytes` or `max_msgs_per_subject`, "old" drops the oldest; "new" refuses with
      `LimitReachedError`.
  S5  A scheduled message appears on its target once its time has come (at once if it has passed), survives a
      restart as the stream does, is replaced by another on the same schedule subject and cancelled by purging it,
      or by any other message on that subject.
  S6  `delete` removes one message, also from consumers that had it pending, and tells if it was there.
  S7  A stream with `dead_letters_of` gets a message for each one that a consumer of that other stream gives up, from
      its own creation on: at each `term` (a repeated one too), and when the delivery after the last of `max_deliver`
      is due and somebody asks for messages (with a `max_deliver` of 1 at once). Its subject is the backend's affair,
      its payload a JSON object with `stream_seq`, `consumer`, `deliveries`, `timestamp` (ISO 8601), a `type` that ends
      in `.max_deliver` or `.terminated`, and the `reason` of a term, if it has one. Other fields may be there. A
      message that expires while it is unanswered is told of as terminated, with the reason
      `osapi.rules.dead_letters.DELETED`; one that is removed otherwise may be.
  S8  Messages that are published together stand each for itself: what one is refused for says nothing of the others.

Of consumers
  C1  A durable consumer is shared by all pulls that name it: each message goes to one of them at a time.
  C2  Waiting pulls are served in turn, message by message.
  C3  A message is delivered again when `ack_wait` (or `backoff[n]` for its n-th delivery) passes without an
      answer, at once after `nak()`, after the delay of `nak(delay)`. Redeliveries come first. `nak` ignores
      `backoff`; `in_progress` starts `ack_wait` anew; `term` and `ack` end it, also from an older delivery.
  C4  After `max_deliver` deliveries a message is not delivered any more.
  C5  At most `max_ack_pending` messages are unanswered at once; waiting for a delayed redelivery counts.
  C6  Delivering "new" starts at creation; from then on what arrives while nobody pulls is kept.
  C7  Creating a consumer that exists replaces its settings as a whole; `deliver` and `max_waiting` cannot change.
  C8  The filters of one consumer may not overlap; a message that matches is delivered once.
  C9  A pull receives at most as many messages as it requested. Closing it gives its requests back, and what has
      come and was not received: as `nak()` does. A message that is still on its way is delivered again after
      `ack_wait`.
  C10 `inactive_threshold` after its last open pull was closed, a consumer is removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from osapi.errors import OsapiError

Change = Literal["put", "delete", "purge", "expire"]
Storage = Literal["file", "memory"]


class BrokerInfo(Struct, frozen=True, kw_only=True):
    """The broker that a transport is connected to, or was last: its URL without a user, and its version."""

    url: str
    version: str


class BucketConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a bucket; durations in seconds, 0 for none; sizes in bytes, -1 for no limit.

    What is stored with a value counts in both sizes: a lifetime, a revision that was compared, what a marker says. That
    is up to 150 bytes; a bucket whose `max_value_size` is less may refuse to remove a key.
    """

    name: str
    history: int = 1
    ttl: float = 0.0
    marker_ttl: float = 0.0
    max_bytes: int = -1
    max_value_size: int = -1
    storage: Storage = "file"
    replicas: int = 1


class StreamConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a stream; durations in seconds, 0 for none; counts and sizes in bytes, -1 for no limit.

    With `dead_letters_of` it holds what consumers of that other stream gave up (S7), and has no `subjects`.
    """

    name: str
    subjects: tuple[str, ...] = ()
    dead_letters_of: str = ""
    max_age: float = 0.0
    max_msgs: int = -1
    max_bytes: int = -1
    max_msg_size: int = -1
    max_msgs_per_subject: int = -1
    discard: Literal["old", "new"] = "old"
    duplicate_window: float = 120.0
    max_consumers: int = -1
    storage: Storage = "file"
    replicas: int = 1


class ConsumerConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a durable consumer; seconds; -1 for no limit; no filters means every message.

    With a `backoff` its first wait takes the place of `ack_wait`, and the filters that are all subjects of the stream
    are none, also in what `Stream.consumers` tells.
    """

    name: str
    filters: tuple[str, ...] = ()
    deliver: Literal["all", "new"] = "all"
    ack_wait: float = 30.0
    backoff: tuple[float, ...] = ()
    max_deliver: int = -1
    max_ack_pending: int = 1000
    max_waiting: int = 512
    inactive_threshold: float = 0.0


class Entry(Struct, frozen=True, gc=False):
    """One revision of a key; `created` in Unix seconds by the broker's clock; markers have an empty value."""

    key: str
    value: bytes
    revision: int
    created: float
    change: Change = "put"


class Write(Struct, frozen=True, gc=False):
    """One of several writes: as `create` does where `revision` is 0, as `put` where it is None, else as `update`."""

    key: str
    value: bytes
    revision: int | None = 0
    ttl: int | None = None


class Outgoing(Struct, frozen=True, gc=False):
    """One of several messages to publish, with what `publish` takes."""

    subject: str
    payload: bytes
    headers: dict[str, str] | None = None
    msg_id: str | None = None
    ttl: int | None = None


class Published(Struct, frozen=True, gc=False):
    """The broker's receipt for a message."""

    sequence: int
    duplicate: bool = False


class Message(Struct, frozen=True, gc=False):
    """A message as a stream keeps it; `created` in Unix seconds."""

    subject: str
    payload: bytes
    sequence: int
    created: float
    headers: dict[str, str]


class BucketInfo(Struct, frozen=True):
    """What a bucket holds now; `values` counts history, `revision` is the newest one."""

    config: BucketConfig
    keys: int
    values: int
    bytes: int
    revision: int


class StreamInfo(Struct, frozen=True):
    """What a stream holds now."""

    config: StreamConfig
    messages: int
    bytes: int
    first_sequence: int
    last_sequence: int
    consumers: int


class ConsumerInfo(Struct, frozen=True):
    """Where a consumer stands: not yet delivered, unanswered, of these delivered before, waiting requests.

    What was stored or answered a moment ago may not be counted yet.
    `redelivered` may count those that were given up at `max_deliver`; a backend may need several requests for one.
    """

    config: ConsumerConfig
    pending: int
    ack_pending: int
    redelivered: int
    waiting: int


@runtime_checkable
class Watch(Protocol):
    """Changes of a bucket as they happen; open for the length of its block."""

    @property
    def caught_up(self) -> bool:
        """Tell whether `receive` has given all of the first set (true at once if that is empty)."""
        ...

    async def receive(self) -> Sequence[Entry]:
        """Wait for entries and return all that have come, at least one, in order of revision.

        A batch never mixes the first set with later changes. A cancelled call loses nothing.

        Raises:
            ClosedError: the watch, or the transport under it, has ended.

        """
        ...

    def receive_nowait(self) -> Sequence[Entry]:
        """Return what has already come, perhaps nothing, without waiting."""
        ...


@runtime_checkable
class KeyValue(Protocol):
    """A bucket. Keys are dotted tokens of `A-Z a-z 0-9 - _ / =`; patterns may use `*` and a final `>`."""

    @property
    def config(self) -> BucketConfig:
        """Return the settings that the bucket was opened with."""
        ...

    async def get(self, key: str) -> Entry | None:
        """Return the newest entry of a key, None when there is no value (never written, removed, expired).

        Raises:
            InvalidKeyError, DisconnectedError

        """
        ...

    async def get_many(self, keys: Sequence[str]) -> list[Entry | None]:
        """Return the newest entries of several keys, in their order, in as few requests as the backend can.

        Raises:
            InvalidKeyError, DisconnectedError

        """
        ...

    async def put(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        """Store a value and return its revision; `ttl` in whole seconds, at least 1.

        Raises:
            InvalidKeyError, InvalidSettingError (ttl), PayloadTooLargeError, LimitReachedError (K6),
            DisconnectedError, UncertainError

        """
        ...

    async def create(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        """Store a value where there is none (K2) and return its revision.

        Raises:
            ConflictError: there is a value; and all that `put` raises.

        """
        ...

    async def update(self, key: str, value: bytes, revision: int, *, ttl: int | None = None) -> int:
        """Store a value if `revision` is the key's newest (K3) and return the new revision.

        Raises:
            ConflictError: it is not; and all that `put` raises.

        """
        ...

    async def write_many(self, writes: Sequence[Write]) -> list[int | OsapiError]:
        """Make several writes of different keys at once (K9); return for each its revision, or what it is refused for.

        That is what `create`, `put` or `update` would raise. Cancelled, each of them took effect or not.
        """
        ...

    async def delete(self, key: str, *, revision: int | None = None) -> int:
        """Add a delete marker (K4), only if `revision` is the newest where it is given; return the marker's.

        Raises:
            ConflictError, InvalidKeyError, DisconnectedError, UncertainError

        """
        ...

    async def purge(self, key: str, *, revision: int | None = None, ttl: int | None = None) -> int:
        """Replace the key and its history by one marker (K4), which lives `ttl` seconds; return its revision.

        Raises:
            ConflictError, InvalidKeyError, InvalidSettingError (ttl), DisconnectedError, UncertainError

        """
        ...

    async def history(self, key: str) -> list[Entry]:
        """Return the kept revisions of a key, oldest first, markers included.

        Raises:
            InvalidKeyError, DisconnectedError

        """
        ...

    async def keys(self, pattern: str = ">") -> list[str]:
        """Return the keys that have a value and match, in no particular order.

        Raises:
            InvalidKeyError, DisconnectedError

        """
        ...

    def watch(self, *patterns: str, start: Literal["all", "new"] | int = "all") -> AbstractAsyncContextManager[Watch]:
        """Watch the keys that match any of the patterns (all keys without one; they may not overlap).

        `start` "all" begins with the newest entry of each key, "new" with what comes next, a number with what
        is newer than that revision. Leaving the block ends the watch at the broker too.

        Raises:
            InvalidKeyError, DisconnectedError: when the block is entered.

        """
        ...

    async def info(self) -> BucketInfo:
        """Return the bucket's figures.

        Raises:
            MissingError, DisconnectedError

        """
        ...


@runtime_checkable
class Delivery(Protocol):
    """A message handed to one pull.

    The answers are posted, not awaited, and so cannot be cancelled halfway. A lost answer means that the
    message is delivered again. The first `ack` or `term` ends it; whatever comes later is ignored.
    """

    @property
    def subject(self) -> str:
        """Return the subject that it was published on."""
        ...

    @property
    def payload(self) -> bytes:
        """Return the body."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers."""
        ...

    @property
    def sequence(self) -> int:
        """Return its sequence in the stream."""
        ...

    @property
    def deliveries(self) -> int:
        """Return how often it has been delivered, this time included."""
        ...

    def ack(self) -> None:
        """Answer that it is done."""
        ...

    def nak(self, delay: float = 0.0) -> None:
        """Ask for another delivery, `delay` seconds from now."""
        ...

    def in_progress(self) -> None:
        """Start `ack_wait` anew."""
        ...

    def term(self, reason: str = "") -> None:
        """Answer that it shall never be delivered again."""
        ...


@runtime_checkable
class Pull(Protocol):
    """One receiver of a consumer; open for the length of its block."""

    def request(self, count: int) -> None:
        """Ask for `count` messages more; requests add up and wait until they are served."""
        ...

    async def receive(self) -> Sequence[Delivery]:
        """Wait for messages and return all that have come, at least one, never more than were requested.

        A cancelled call loses nothing.

        Raises:
            ClosedError: the pull, its consumer or the transport has ended.

        """
        ...


@runtime_checkable
class Consumer(Protocol):
    """A durable consumer of a stream."""

    @property
    def config(self) -> ConsumerConfig:
        """Return the settings that it was opened with."""
        ...

    def pull(self) -> AbstractAsyncContextManager[Pull]:
        """Open a receiver.

        Raises:
            MissingError, LimitReachedError (max_waiting), DisconnectedError: when the block is entered.

        """
        ...

    async def info(self) -> ConsumerInfo:
        """Return where it stands.

        Raises:
            MissingError, DisconnectedError

        """
        ...


@runtime_checkable
class Stream(Protocol):
    """An append-only log of messages by subject."""

    @property
    def config(self) -> StreamConfig:
        """Return the settings that the stream was opened with."""
        ...

    async def publish(
        self,
        subject: str,
        payload: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        msg_id: str | None = None,
        ttl: int | None = None,
    ) -> Published:
        """Store a message and return its receipt; `ttl` in whole seconds, at least 1.

        Raises:
            InvalidSubjectError: malformed, has a wildcard, or is outside the stream's subjects.
            InvalidSettingError: the ttl.
            PayloadTooLargeError, LimitReachedError (S4), DisconnectedError, UncertainError

        """
        ...

    async def publish_many(self, messages: Sequence[Outgoing]) -> list[Published | OsapiError]:
        """Store several messages at once (S8); return for each its receipt, or what it is refused for.

        That is what `publish` would raise. Cancelled, each of them was stored or not.
        """
        ...

    async def schedule(
        self,
        subject: str,
        payload: bytes,
        *,
        target: str,
        at: float,
        headers: Mapping[str, str] | None = None,
        ttl: int | None = None,
    ) -> Published:
        """Keep a message on `subject` until `at` (Unix seconds), then publish it on `target` (S5).

        Both subjects belong to the stream and differ; `ttl` is that of the message on the target. The receipt
        is that of the schedule.

        Raises:
            the same as `publish`.

        """
        ...

    async def get(self, sequence: int) -> Message | None:
        """Return a kept message by its sequence.

        Raises:
            DisconnectedError

        """
        ...

    async def last(self, subject: str) -> Message | None:
        """Return the newest kept message on a subject (wildcards allowed).

        Raises:
            InvalidSubjectError, DisconnectedError

        """
        ...

    async def delete(self, sequence: int) -> bool:
        """Remove a kept message by its sequence and say whether it was there (S6).

        Raises:
            DisconnectedError, UncertainError

        """
        ...

    async def purge(self, subject: str = ">") -> int:
        """Remove every message that matches, pending schedules included, and return how many.

        A consumer may count one that was unanswered as such until it would be due again.

        Raises:
            InvalidSubjectError, DisconnectedError, UncertainError

        """
        ...

    async def consumer(self, config: ConsumerConfig) -> Consumer:
        """Create a durable consumer, or open it and replace its settings (C7).

        Raises:
            InvalidSettingError, InvalidSubjectError: among them filters that overlap (C8).
            MismatchError: something that cannot change would.
            LimitReachedError: max_consumers.
            DisconnectedError, UncertainError

        """
        ...

    async def consumers(self) -> list[ConsumerInfo]:
        """Return all consumers, by name.

        Raises:
            MissingError, DisconnectedError

        """
        ...

    async def delete_consumer(self, name: str) -> bool:
        """Remove a consumer and say whether it was there; its open pulls end with `ClosedError`.

        Raises:
            DisconnectedError, UncertainError

        """
        ...

    async def info(self) -> StreamInfo:
        """Return the stream's figures.

        Raises:
            MissingError, DisconnectedError

        """
        ...


@runtime_checkable
class Transport(Protocol):
    """A connection to a broker; `osapi.connect` opens one for the length of a block."""

    @property
    def max_payload(self) -> int:
        """Return the largest payload with its headers, in bytes, that the broker takes."""
        ...

    @property
    def broker(self) -> BrokerInfo:
        """Return where the broker is, as `scheme://...`, and which version it is."""
        ...

    def now(self) -> float:
        """Return the time in Unix seconds, as the broker sees it; virtual under Trio's MockClock."""
        ...

    async def bucket(self, config: BucketConfig) -> KeyValue:
        """Open a bucket, creating it where it is missing.

        Raises:
            MismatchError: it exists with other settings.
            InvalidSettingError, LimitReachedError, DisconnectedError, UncertainError

        """
        ...

    async def stream(self, config: StreamConfig) -> Stream:
        """Open a stream, creating it where it is missing.

        Raises:
            MismatchError: it exists with other settings, or another stream has one of its subjects.
            InvalidSettingError, InvalidSubjectError, LimitReachedError, DisconnectedError, UncertainError

        """
        ...

    async def delete_bucket(self, name: str) -> bool:
        """Remove a bucket with all it holds and say whether it was there.

        Raises:
            DisconnectedError, UncertainError

        """
        ...

    async def delete_stream(self, name: str) -> bool:
        """Remove a stream with its messages and consumers and say whether it was there.

        Raises:
            DisconnectedError, UncertainError

        """
        ...
