"""Ticks: where schedules lie, and the messages that tell when one is due.

For each schedule the broker keeps one scheduled message, of a name of its own, and publishes it when the time has come.
It says no more than that somebody should look at the schedule: what is to be done is decided by what is stored, so that
one tick too many does nothing, and a tick is always there before the record that relies on it.
"""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from msgspec.structs import replace

from osapi.errors import ConflictError, InvalidKeyError, RecordError, UnknownScheduleError, shown
from osapi.flow.persist import insist, write
from osapi.ids import Ids
from osapi.rules.codec import SCHEDULE
from osapi.rules.keys import decode_token, encode_token
from osapi.rules.names import nearest
from osapi.rules.schedules import check_name
from osapi.transport import BucketConfig, ConsumerConfig, StreamConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from osapi.flow.store import Store
    from osapi.rules.schedule_records import Schedule
    from osapi.settings import Settings
    from osapi.transport import Entry, KeyValue, Stream

# Schedules that are read at once.
_PAGE = 100

_DUE = "schedules.due."


def schedule_bucket(settings: Settings) -> BucketConfig:
    """Return the bucket of schedules; nothing there expires."""
    return BucketConfig(
        name=settings.schedule_bucket,
        max_bytes=settings.max_bytes,
        storage=settings.storage,
        replicas=settings.replicas,
    )


def schedule_stream(settings: Settings) -> StreamConfig:
    """Return the stream of ticks; of one schedule it holds the newest that nobody has looked at."""
    return StreamConfig(
        name=settings.schedule_stream,
        subjects=("schedules.>",),
        max_msgs_per_subject=1,
        storage=settings.storage,
        replicas=settings.replicas,
    )


def schedule_consumer(settings: Settings) -> ConsumerConfig:
    """Return the consumer that all schedulers share."""
    return ConsumerConfig(
        name="schedulers",
        filters=(f"{_DUE}*",),
        # What a scheduler does takes as long as its writes are repeated; of one that died another takes over then.
        ack_wait=max(5.0, 2 * settings.persist),
        max_ack_pending=100_000,
        max_waiting=10_000,
    )


def due_name(subject: str) -> str:
    """Return the name of the schedule that a tick is about.

    Raises:
        InvalidKeyError: it is no tick.

    """
    return decode_token(subject.removeprefix(_DUE))


class Ticks:
    """The schedules of a store; bucket and stream are opened when they are first needed."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._ids = Ids()
        self._opened: tuple[KeyValue, Stream] | None = None

    def token(self) -> str:
        """Return what no other schedule or tick is called."""
        return self._ids.token()

    async def open(self, *, anew: bool = False) -> tuple[KeyValue, Stream]:
        """Return the bucket of schedules and the stream of ticks, made where they are missing.

        Raises:
            MismatchError, DisconnectedError, UncertainError

        """
        if self._opened is None or anew:
            transport, settings = self.store.transport, self.store.settings
            bucket = await insist(partial(transport.bucket, schedule_bucket(settings)), settings.persist)
            stream = await insist(partial(transport.stream, schedule_stream(settings)), settings.persist)
            self._opened = bucket, stream
        return self._opened

    async def names(self) -> list[str]:
        """Return the names of all schedules, in order.

        Raises:
            DisconnectedError

        """
        bucket, _ = await self.open()
        keys = await insist(bucket.keys, self.store.settings.persist)
        names: list[str] = []
        for key in keys:
            try:
                names.append(check_name(decode_token(key)))
            except InvalidKeyError:
                continue
        return sorted(names)

    async def read(self, names: list[str]) -> list[Schedule]:
        """Return schedules, without those that are gone.

        Raises:
            RecordError, DisconnectedError

        """
        bucket, _ = await self.open()
        found: list[Schedule] = []
        for start in range(0, len(names), _PAGE):
            keys = [encode_token(name) for name in names[start : start + _PAGE]]
            entries = await insist(partial(bucket.get_many, keys), self.store.settings.persist)
            found.extend(SCHEDULE.decode(entry.value) for entry in entries if entry is not None)
        return found

    async def entry(self, name: str) -> Entry | None:
        """Return what is stored of a schedule, None if there is none.

        Raises:
            DisconnectedError

        """
        bucket, _ = await self.open()
        return await insist(partial(bucket.get, encode_token(name)), self.store.settings.persist)

    async def put(self, name: str, make: Callable[[Schedule | None], Schedule]) -> Schedule:
        """Make a schedule, or replace it by what is made of it, and return that.

        Raises:
            what `make` raises; RecordError, PayloadTooLargeError, LimitReachedError, DisconnectedError, UncertainError

        """
        while True:
            entry = await self.entry(name)
            before = None if entry is None else SCHEDULE.decode(entry.value)
            try:
                return await self.write(entry, before, make(before))
            except ConflictError:
                continue

    async def change(self, name: str, make: Callable[[Schedule], Schedule]) -> Schedule:
        """Replace a schedule that is there by what is made of it, and return that.

        Raises:
            UnknownScheduleError, and what `put` raises.

        """
        while True:
            entry = await self.entry(name)
            if entry is None:
                raise await self.unknown(name)
            before = SCHEDULE.decode(entry.value)
            after = make(before)
            try:
                return before if after is before else await self.write(entry, before, after)
            except ConflictError:
                continue

    async def write(
        self, entry: Entry | None, before: Schedule | None, after: Schedule, *, arm: bool = False
    ) -> Schedule:
        """Replace a schedule, and return it with its tick: a new one if it is due at another time, or with `arm`.

        Cancelled, or failing, there may be a tick that tells of nothing.

        Raises:
            ConflictError: somebody else wrote first.
            PayloadTooLargeError, LimitReachedError, DisconnectedError, UncertainError

        """
        bucket, _ = await self.open()
        due = after.next
        if due is None:
            after = replace(after, tick="")
        elif arm or before is None or due != before.next:
            after = replace(after, tick=self.token())
            await self._arm(after.name, after.tick, due)
        armed = after.tick if before is None or after.tick != before.tick else ""
        revision = 0 if entry is None else entry.revision
        patience = self.store.settings.persist
        try:
            await write(bucket, encode_token(after.name), SCHEDULE.encode(after), revision, ttl=None, patience=patience)
        except ConflictError:
            # A write in doubt may have been stored, and built upon since: then its tick is relied on.
            newest = await self.entry(after.name)
            if newest is None or _tick_of(newest) != armed:
                await self._disarm(after.name, armed)
            raise
        if before is not None and before.tick != after.tick:
            await self._disarm(before.name, before.tick)
        return after

    async def remove(self, name: str) -> None:
        """Remove a schedule and its tick, also one that cannot be read.

        Raises:
            UnknownScheduleError, DisconnectedError, UncertainError

        """
        bucket, _ = await self.open()
        patience = self.store.settings.persist
        tick, tried = "", False
        while True:
            entry = await self.entry(name)
            if entry is None and not tried:
                raise await self.unknown(name)
            # Gone at the second look, it was removed by a call whose answer was lost, or by somebody else.
            if entry is None:
                break
            tick, tried = _tick_of(entry), True
            try:
                await insist(partial(bucket.purge, encode_token(name), revision=entry.revision, ttl=1), patience)
            except ConflictError:
                continue
            break
        await self._disarm(name, tick)

    async def unknown(self, name: str) -> UnknownScheduleError:
        """Return the error for a name that no schedule has, with the nearest that there are."""
        near = nearest(name, await self.names())
        hint = f"did you mean {' or '.join(near)}?" if near else "list those that there are"
        return UnknownScheduleError(f"there is no schedule {shown(name)}; {hint}")

    async def is_armed(self, schedule: Schedule) -> bool:
        """Tell whether the broker still keeps the message that will tell of a schedule.

        Raises:
            DisconnectedError

        """
        _, stream = await self.open()
        subject = _waiting_subject(schedule.name, schedule.tick)
        return await insist(partial(stream.last, subject), self.store.settings.persist) is not None

    async def _arm(self, name: str, tick: str, at: float) -> None:
        _, stream = await self.open()
        # A tick that nobody took in is not needed any more: who schedules again looks at every schedule first.
        lifetime = ceil(self.store.settings.job_ttl)
        schedule = partial(
            stream.schedule, _waiting_subject(name, tick), b"", target=_DUE + encode_token(name), at=at, ttl=lifetime
        )
        await insist(schedule, self.store.settings.persist)

    async def _disarm(self, name: str, tick: str) -> None:
        if tick:
            _, stream = await self.open()
            await insist(partial(stream.purge, _waiting_subject(name, tick)), self.store.settings.persist)


def _tick_of(entry: Entry) -> str:
    try:
        return SCHEDULE.decode(entry.value).tick
    except RecordError:
        return ""


def _waiting_subject(name: str, tick: str) -> str:
    # Below five tokens and not under `due`, so that no scheduler takes it early.
    return f"schedules.next.{encode_token(name)}.{tick}"
