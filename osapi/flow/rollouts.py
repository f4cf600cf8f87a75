"""Rollouts as they are stored: one record each, changed by compare-and-set."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from osapi.errors import ConflictError, UnknownRolloutError, shown
from osapi.flow.persist import insist, write
from osapi.rules.codec import ROLLOUT
from osapi.rules.keys import ROLLOUT_PATTERN, rollout_key
from osapi.settings import rollout_bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from osapi.flow.store import Store
    from osapi.rules.rollout_records import Rollout
    from osapi.transport import KeyValue


class RolloutStore:
    """The rollouts of a store; their bucket is opened when it is first needed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._opened: KeyValue | None = None

    async def bucket(self) -> KeyValue:
        """Return the bucket.

        Raises:
            MismatchError, DisconnectedError, UncertainError

        """
        if self._opened is None:
            settings = self._store.settings
            opening = partial(self._store.transport.bucket, rollout_bucket(settings))
            self._opened = await insist(opening, settings.persist)
        return self._opened

    async def write(self, rollout: Rollout, revision: int) -> int:
        """Create a rollout (revision 0) or replace that revision of it, and return the new revision.

        What is over lives for `rollout_ttl` from here on, all else until it is over.

        Raises:
            ConflictError: somebody else changed it.
            PayloadTooLargeError, LimitReachedError, DisconnectedError, UncertainError

        """
        settings = self._store.settings
        ttl = max(1, round(settings.rollout_ttl)) if rollout.is_over else None
        return await write(
            await self.bucket(),
            rollout_key(rollout.id),
            ROLLOUT.encode(rollout),
            revision,
            ttl=ttl,
            patience=settings.persist,
        )

    async def read(self, rollout_id: str) -> tuple[Rollout, int]:
        """Return a rollout and its revision.

        Raises:
            UnknownRolloutError, InvalidKeyError: the id; RecordError, DisconnectedError

        """
        bucket = await self.bucket()
        entry = await insist(partial(bucket.get, rollout_key(rollout_id)), self._store.settings.persist)
        if entry is None:
            raise UnknownRolloutError(
                f"there is no rollout {shown(rollout_id)}: it never was, or is over and has outlived its lifetime"
            )
        return ROLLOUT.decode(entry.value), entry.revision

    async def newest(self, limit: int) -> Sequence[Rollout]:
        """Return the newest rollouts, newest first.

        Raises:
            RecordError, DisconnectedError

        """
        bucket, patience = await self.bucket(), self._store.settings.persist
        keys = sorted(await insist(partial(bucket.keys, ROLLOUT_PATTERN), patience), reverse=True)[:limit]
        entries = await insist(partial(bucket.get_many, keys), patience) if keys else []
        return [ROLLOUT.decode(entry.value) for entry in entries if entry is not None]

    async def change(self, rollout_id: str, move: Callable[[Rollout], Rollout]) -> Rollout:
        """Make a move on what is stored, and return what it became.

        Raises:
            UnknownRolloutError, and what the move raises.
            RecordError, LimitReachedError, DisconnectedError, UncertainError

        """
        while True:
            before, revision = await self.read(rollout_id)
            after = move(before)
            try:
                await self.write(after, revision)
            except ConflictError:
                continue
            return after
