"""State: what is remembered of agents that may be away, and what they are told to do."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from osapi.errors import RecordError
from osapi.flow.persist import insist
from osapi.rules.codec import ALERTS, DRAIN, KNOWN, TIMELINE
from osapi.rules.keys import alerts_key, decode_token, drain_key, known_key, timeline_key
from osapi.rules.records import VERSION, Known
from osapi.settings import state_bucket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osapi.flow.store import Store
    from osapi.rules.alerts import Alerts
    from osapi.rules.records import Drain, Registration
    from osapi.rules.timeline import Timeline
    from osapi.transport import Entry, KeyValue

_log = logging.getLogger("osapi.client")

# Entries that are read at once.
_PAGE = 500


class States:
    """The states of agents; the bucket is opened when it is first needed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._opened: KeyValue | None = None

    async def remember(self, agent: Registration) -> None:
        """Remember an agent that has come, and go on from what was remembered of it.

        Raises:
            LimitReachedError, DisconnectedError, UncertainError

        """
        now = self._store.now()
        try:
            before = await self.known(agent.hostname)
        except RecordError as error:
            _log.warning("what was remembered of %s is lost: %s", agent.hostname, error)
            before = None
        known = Known(
            v=VERSION,
            hostname=agent.hostname,
            labels=agent.labels,
            operations=agent.operations,
            seen=now,
            first=now if before is None else before.first or before.seen,
            machine_id=agent.machine_id,
            fingerprint=agent.fingerprint,
        )
        await self._put(known_key(known.hostname), KNOWN.encode(known))

    async def known(self, hostname: str) -> Known | None:
        """Return what is remembered of an agent, None if it never came, or was forgotten.

        Raises:
            RecordError, DisconnectedError

        """
        bucket = await self._bucket()
        entry = await insist(partial(bucket.get, known_key(hostname)), self._store.settings.persist)
        return None if entry is None else KNOWN.decode(entry.value)

    async def all_known(self) -> list[Known]:
        """Return what is remembered of all agents, by hostname; what cannot be read is passed over, the log names it.

        Raises:
            DisconnectedError

        """
        bucket, patience = await self._bucket(), self._store.settings.persist
        keys = await insist(partial(bucket.keys, "known.*"), patience)
        found: list[Known] = []
        for start in range(0, len(keys), _PAGE):
            entries = await insist(partial(bucket.get_many, keys[start : start + _PAGE]), patience)
            for entry in entries:
                if entry is not None:
                    found.extend(_known(entry))
        return sorted(found, key=lambda known: known.hostname)

    async def hosts(self) -> set[str]:
        """Return the hostnames of all agents that are remembered, without looking at who wrote that.

        Raises:
            DisconnectedError

        """
        bucket = await self._bucket()
        keys = await insist(partial(bucket.keys, "known.*"), self._store.settings.persist)
        return {decode_token(key.partition(".")[2]) for key in keys}

    async def all_alerts(self) -> dict[str, Alerts]:
        """Return what somebody was told of all agents, by hostname; what cannot be read was not told.

        Raises:
            DisconnectedError

        """
        bucket, patience = await self._bucket(), self._store.settings.persist
        keys = await insist(partial(bucket.keys, "alerts.*"), patience)
        found: dict[str, Alerts] = {}
        for start in range(0, len(keys), _PAGE):
            entries = await insist(partial(bucket.get_many, keys[start : start + _PAGE]), patience)
            for entry in entries:
                if entry is not None:
                    found.update(_alerts(entry))
        return found

    async def keep_alerts(self, alerts: Alerts) -> None:
        """Store what somebody was told of an agent.

        Raises:
            LimitReachedError, DisconnectedError, UncertainError

        """
        await self._put(alerts_key(alerts.hostname), ALERTS.encode(alerts))

    async def keep_timeline(self, timeline: Timeline) -> None:
        """Store the timeline of an agent.

        Raises:
            LimitReachedError, DisconnectedError, UncertainError

        """
        await self._put(timeline_key(timeline.hostname), TIMELINE.encode(timeline))

    async def timeline(self, hostname: str) -> Timeline | None:
        """Return what became of an agent, None if nothing is stored.

        Raises:
            RecordError, DisconnectedError

        """
        return (await self.timelines([hostname])).get(hostname)

    async def timelines(self, hosts: Sequence[str]) -> dict[str, Timeline]:
        """Return what became of several agents, by hostname.

        Raises:
            RecordError, DisconnectedError

        """
        bucket, patience = await self._bucket(), self._store.settings.persist
        found: dict[str, Timeline] = {}
        for start in range(0, len(hosts), _PAGE):
            page = [timeline_key(host) for host in hosts[start : start + _PAGE]]
            entries = await insist(partial(bucket.get_many, page), patience)
            told = [TIMELINE.decode(entry.value) for entry in entries if entry is not None]
            found.update({timeline.hostname: timeline for timeline in told})
        return found

    async def forget(self, hostname: str) -> None:
        """Forget an agent, and what it was told; if it comes again, it is remembered again.

        Raises:
            DisconnectedError, UncertainError

        """
        for key in (known_key(hostname), drain_key(hostname), timeline_key(hostname), alerts_key(hostname)):
            await self._purge(key)

    async def drain(self, hostname: str, order: Drain) -> bool:
        """Tell an agent to take no jobs, and say whether that is new.

        Raises:
            LimitReachedError, DisconnectedError, UncertainError

        """
        if await self.drained(hostname) is not None:
            return False
        await self._put(drain_key(hostname), DRAIN.encode(order))
        return True

    async def undrain(self, hostname: str) -> bool:
        """Take that back, and say whether there was something to take back.

        Raises:
            DisconnectedError, UncertainError

        """
        if await self.drained(hostname) is None:
            return False
        await self._purge(drain_key(hostname))
        return True

    async def drained(self, hostname: str) -> Drain | None:
        """Return the order by which an agent takes no jobs, None if there is none.

        Raises:
            RecordError, DisconnectedError

        """
        bucket = await self._bucket()
        entry = await insist(partial(bucket.get, drain_key(hostname)), self._store.settings.persist)
        return None if entry is None else DRAIN.decode(entry.value)

    async def _put(self, key: str, value: bytes) -> None:
        await insist(partial((await self._bucket()).put, key, value), self._store.settings.persist)

    async def _purge(self, key: str) -> None:
        await insist(partial((await self._bucket()).purge, key, ttl=1), self._store.settings.persist)

    async def _bucket(self) -> KeyValue:
        if self._opened is None:
            settings = self._store.settings
            self._opened = await insist(partial(self._store.transport.bucket, state_bucket(settings)), settings.persist)
        return self._opened


def _known(entry: Entry) -> list[Known]:
    try:
        return [KNOWN.decode(entry.value)]
    except RecordError as error:
        _log.warning("what is remembered under %s is passed over: %s", entry.key, error)
        return []


def _alerts(entry: Entry) -> dict[str, Alerts]:
    try:
        alerts = ALERTS.decode(entry.value)
    except RecordError as error:
        _log.warning("what was told of %s is passed over: %s", entry.key, error)
        return {}
    return {alerts.hostname: alerts}
