"""Electing one of several processes: by compare-and-set on a key that expires unless its holder renews it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio

from osapi.errors import ConflictError, DisconnectedError, LimitReachedError, TransportError, UncertainError
from osapi.flow.persist import write
from osapi.ids import Ids
from osapi.nursery import background

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi.flow.store import Store
    from osapi.transport import Watch

_log = logging.getLogger("osapi.sweeper")

_RESIGN_SECONDS = 1.0


async def serve(
    store: Store,
    post: str,
    act: Callable[[], Awaitable[None]],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Act whenever this process holds a post, for as long as the task runs; report once it stands for it.

    Raises:
        ClosedError: the transport has ended; and what `act` raises.

    """
    async with store.registry.watch(post) as watch:
        candidate = Candidate(store, post, Ids().token(), watch)
        task_status.started()
        try:
            while True:
                until = await candidate.elected()
                with trio.CancelScope(deadline=until) as term:
                    async with background() as nursery:
                        nursery.start_soon(candidate.hold, term)
                        await act()
        finally:
            await candidate.resign()


class Candidate:
    """One process that would take a post, a key of the registry; `name` is its own, and unique.

    `watch` is of that key, and open as long as the candidate stands.
    """

    def __init__(self, store: Store, post: str, name: str, watch: Watch) -> None:
        self._store = store
        self._post = post
        self._name = name.encode()
        self._watch = watch
        self._writes = 0
        self._revision = 0

    async def elected(self) -> float:
        """Wait until the post is ours, and return until when, by Trio's clock, unless it is renewed.

        Raises:
            ClosedError: the transport has ended.

        """
        while True:
            begun = trio.current_time()
            try:
                await self._write(0)
            except ConflictError:
                pass
            except (DisconnectedError, UncertainError, LimitReachedError) as error:
                _log.warning("nobody can be elected now: %s", error)
            else:
                return begun + self._store.settings.registry_ttl
            await self._vacancy()

    async def hold(self, term: trio.CancelScope) -> None:
        """Renew the post for as long as the task runs; cancel `term` when it is lost.

        While the broker is away the term runs on to its end: by then somebody else may hold the post.
        """
        while True:
            await trio.sleep(self._store.settings.heartbeat)
            # What the watch tells meanwhile are our own renewals.
            self._watch.receive_nowait()
            # Counted from before the write: the broker counts from when it arrives.
            begun = trio.current_time()
            try:
                await self._write(self._revision)
            except ConflictError:
                _log.warning("the post %s was lost", self._post)
                term.cancel()
                return
            except (DisconnectedError, UncertainError, LimitReachedError) as error:
                _log.warning("the post %s could not be renewed: %s", self._post, error)
            else:
                term.deadline = begun + self._store.settings.registry_ttl

    async def resign(self) -> None:
        """Give the post back if it is ours, within a second, whatever else is cancelled."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _RESIGN_SECONDS):
            try:
                # Asked anew: a renewal may have been cancelled after it was stored.
                entry = await self._store.registry.get(self._post)
                if entry is not None and entry.value.startswith(self._name):
                    await self._store.registry.delete(self._post, revision=entry.revision)
            except TransportError as error:
                _log.info("the post %s could not be given back, it will expire: %s", self._post, error)

    async def _vacancy(self) -> None:
        """Wait until the post may be free: it was given back, it expired, or its holder has been silent too long.

        A watch that was cut off for a while may never hear of an expiry.
        """
        while True:
            with trio.move_on_after(self._store.settings.registry_ttl) as silence:
                newest = (await self._watch.receive())[-1]
                if newest.change != "put":
                    return
            if silence.cancelled_caught:
                return

    async def _write(self, revision: int) -> None:
        self._writes += 1
        self._revision = await write(
            self._store.registry,
            self._post,
            b"%b %d" % (self._name, self._writes),
            revision,
            ttl=None,
            patience=self._store.settings.persist,
        )
