"""Sealing anew: what outlives a job is signed with the key that signs now, before the one before counts no more."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from msgspec.structs import replace

from osapi.errors import ConflictError, RecordError
from osapi.flow.enrol import read_decision, write_decision
from osapi.flow.persist import insist, write
from osapi.flow.ticks import schedule_bucket
from osapi.rules.codec import DRAIN, ROLLOUT, SCHEDULE, STORY
from osapi.settings import rollout_bucket, state_bucket, story_bucket

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi.flow.keyring import Keyring
    from osapi.flow.store import Store
    from osapi.transport import BucketConfig, Entry, KeyValue


async def seal_anew(store: Store, keyring: Keyring) -> None:
    """Sign decisions, drains, schedules, rollouts and the stories of dead letters with the key that signs now.

    What cannot be trusted stays as it is, and so does what changes meanwhile: whoever changes it signs it. Repeated, it
    does the same again.

    Raises:
        MismatchError, LimitReachedError, DisconnectedError, UncertainError: some of it is done.

    """

    def rest(value: bytes) -> int | None:
        rollout = ROLLOUT.decode(value)
        left = rollout.updated + store.settings.rollout_ttl - store.now()
        return max(1, ceil(left)) if rollout.is_over else None

    async def decide(entry: Entry) -> None:
        decision = read_decision(keyring, entry)
        if decision is not None:
            await write_decision(keyring, replace(decision, number=decision.number + 1), entry.revision)

    settings = store.settings
    await _each(await keyring.open(), "enrolment.*", decide, settings.persist)
    await _seal(store, state_bucket(settings), "drain.*", _kept_by(DRAIN.decode))
    await _seal(store, schedule_bucket(settings), ">", _kept_by(SCHEDULE.decode))
    await _seal(store, rollout_bucket(settings), ">", rest)
    await _seal(store, story_bucket(settings), ">", _kept_by(STORY.decode))


def _kept_by(decode: Callable[[bytes], object]) -> Callable[[bytes], int | None]:
    """Return the lifetime of what has none of its own, once it can be read."""

    def lifetime(value: bytes) -> None:
        decode(value)

    return lifetime


async def _seal(store: Store, config: BucketConfig, pattern: str, lifetime: Callable[[bytes], int | None]) -> None:
    patience = store.settings.persist
    bucket = await insist(partial(store.transport.bucket, config), patience)

    async def seal(entry: Entry) -> None:
        await write(bucket, entry.key, entry.value, entry.revision, ttl=lifetime(entry.value), patience=patience)

    await _each(bucket, pattern, seal, patience)


async def _each(bucket: KeyValue, pattern: str, seal: Callable[[Entry], Awaitable[None]], patience: float) -> None:
    for key in sorted(await insist(partial(bucket.keys, pattern), patience)):
        entry = await insist(partial(bucket.get, key), patience)
        try:
            if entry is not None:
                await seal(entry)
        except (RecordError, ConflictError):
            continue
