"""Groups: agents with a label take turns at the jobs for one of them, once there are such jobs.

A group has a consumer that its agents share. They open it when they hear that it is needed: from a notice that reaches
each through its own consumer, or, when they start, from what the stream still holds. No agent therefore waits at a
consumer that nobody uses, and none needs another watch.
"""

from __future__ import annotations

import logging
from functools import partial
from math import inf
from typing import TYPE_CHECKING

import trio

from osapi.errors import TransportError
from osapi.flow.inlet import Inlet
from osapi.flow.persist import insist
from osapi.rules.keys import (
    ANY_GROUP_FILTER,
    GROUP_NOTICES,
    group_consumer_name,
    group_filter,
    group_notice_subject,
)
from osapi.settings import group_consumer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from osapi.flow.store import Store
    from osapi.transport import ConsumerConfig, Delivery

_log = logging.getLogger("osapi.agent")

# A notice lives as long as a job. It is given anew after half of that, for agents that were away for all of it.
_GIVEN_ANEW = 0.5

_REMEMBERED = 10_000


async def announce(store: Store, label: str, *, due: float = 0.0) -> None:
    """Make sure that the agents with a label listen for jobs to one of them, also for one that is `due` later.

    Costs a request or two the first time and after each half of `job_ttl`, nothing in between. Agents that come later
    find the notice, or the job itself, on the stream.

    Raises:
        LimitReachedError, DisconnectedError, UncertainError

    """
    if is_announced(store, label, due=due):
        return
    now = store.now()
    patience, lasts = store.settings.persist, store.settings.job_ttl * _GIVEN_ANEW
    needed = _needed(store, due)
    subject = group_notice_subject(label)
    newest = await insist(partial(store.stream.last, subject), patience)
    if newest is None or newest.created + lasts <= needed:
        # Without an id: as a duplicate of one that is gone already, it would not be stored.
        await insist(partial(store.stream.publish, subject, b""), patience)
    else:
        now = newest.created
    if len(store.announced) >= _REMEMBERED:
        store.announced.clear()
    store.announced[label] = now + lasts


def is_announced(store: Store, label: str, *, due: float = 0.0) -> bool:
    """Tell whether this client knows that `announce` has nothing to do."""
    return store.announced.get(label, 0.0) > _needed(store, due)


def _needed(store: Store, due: float) -> float:
    # An agent that comes between the end of the notice and that moment would find neither it nor the job.
    return max(store.now(), due - store.settings.job_ttl * _GIVEN_ANEW)


class Groups:
    """The groups that one agent belongs to by its labels: one for each label that matches it.

    `take_in` admits what a consumer delivers to an inlet, for as long as it is let.
    """

    def __init__(
        self, labels: Iterable[str], take_in: Callable[[Inlet, ConsumerConfig, None], Awaitable[None]]
    ) -> None:
        self._notices = {group_notice_subject(label): label for label in labels}
        self._take_in = take_in
        self._joined: dict[str, Inlet] = {}
        self._closed = False

    @property
    def labels(self) -> frozenset[str]:
        """Return the labels, those in use and the others."""
        return frozenset(self._notices.values())

    @property
    def inlets(self) -> Collection[Inlet]:
        """Return the ways into those groups that are in use."""
        return self._joined.values()

    def open(self, store: Store, nursery: trio.Nursery) -> None:
        """Say where the groups are, and whose tasks serve them."""
        self._store = store
        self._nursery = nursery

    def close(self) -> None:
        """Take part in nothing any more."""
        self._closed = True
        for inlet in self.inlets:
            inlet.scope.cancel()

    def hear(self, delivery: Delivery) -> bool:
        """Tell whether a delivery is a notice that a group is in use; then it is answered, and the group joined."""
        label = self._notices.get(delivery.subject)
        if label is None:
            return False
        delivery.ack()
        self._join(label)
        return True

    async def find(self) -> None:
        """Join the groups for which there are notices or jobs on the stream, as when no notice could be heard.

        Costs two requests where no group at all is in use, else at most two more for each label.
        """
        try:
            if await self._kept(GROUP_NOTICES, ANY_GROUP_FILTER):
                for subject, label in self._notices.items():
                    if await self._kept(subject, group_filter(label)):
                        self._join(label)
        except TransportError as error:
            _log.warning("groups that are in use could not be looked for: %s", error)

    async def _kept(self, *patterns: str) -> bool:
        for pattern in patterns:
            if await insist(partial(self._store.stream.last, pattern), inf) is not None:
                return True
        return False

    def _join(self, label: str) -> None:
        if not self._closed and label not in self._joined:
            self._joined[label] = Inlet()
            self._nursery.start_soon(self._serve, label, self._joined[label])

    async def _serve(self, label: str, inlet: Inlet) -> None:
        """Take part in a group; whatever keeps this agent from it keeps it from nothing else."""
        settings = self._store.settings
        config = group_consumer(settings, group_consumer_name(label), group_filter(label))
        try:
            with inlet.scope:
                while True:
                    try:
                        await self._take_in(inlet, config, None)
                    except TransportError as error:
                        _log.warning("jobs for one of %s cannot be received yet: %s", label, error)
                    await trio.sleep(settings.heartbeat)
        finally:
            inlet.closed.set()
