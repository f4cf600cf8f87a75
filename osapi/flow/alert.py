"""Alerting: whoever has the post compares what is true of all hosts with what was told, and tells the difference."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeAlias

import trio

from osapi.errors import RecordError, TransportError
from osapi.rules.alerts import Alerts, Notice, review, seen
from osapi.rules.records import VERSION

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from osapi.flow.state import States
    from osapi.flow.store import Store
    from osapi.roster import Roster
    from osapi.rules.timeline import Timeline

    Teller: TypeAlias = Callable[[Sequence[Notice]], Awaitable[None]]

_log = logging.getLogger("osapi.alerts")

# Notices that are told at once.
_BATCH = 100

# Whoever takes longer for a batch has not been told.
_PATIENCE = 10.0

# One that restarts, or lost its broker, is back by then: in heartbeats.
_ABSENCE = 2.0


class Alerting:
    """One term of a process that has the post."""

    def __init__(self, store: Store, roster: Roster, states: States, tell: Teller, renotify: float) -> None:
        self._store = store
        self._roster = roster
        self._states = states
        self._tell = tell
        self._renotify = renotify
        self._alerts: dict[str, Alerts] = {}
        self._unsaved: dict[str, Alerts] = {}
        self._away: dict[str, float] = {}
        self._gone: dict[str, Timeline | None] = {}

    async def act(self) -> None:
        """Look at every heartbeat, for as long as the task runs."""
        _log.info("this process tells of conditions from now on")
        loaded = False
        while True:
            try:
                if not loaded:
                    self._alerts = await self._states.all_alerts()
                    loaded = True
                await self._look()
            except TransportError as error:
                _log.warning("conditions cannot be looked at now: %s", error)
            await trio.sleep(self._store.settings.heartbeat)

    async def _look(self) -> None:
        present = self._roster.pending | self._roster.agents
        await self._miss(present.keys())
        now, notices = self._store.now(), list[Notice]()
        changed: dict[str, tuple[Alerts, int]] = {}
        for host in sorted({*present, *self._gone}):
            before = self._alerts.get(host) or Alerts(v=VERSION, hostname=host)
            found = seen(present.get(host), self._gone.get(host), now)
            told, after = review(host, before.alerts, found, now, self._renotify)
            if told:
                notices.extend(told)
                changed[host] = Alerts(v=VERSION, hostname=host, alerts=after), len(notices)
        reached = await self._tell_all(notices)
        took = {host: alerts for host, (alerts, end) in changed.items() if end <= reached}
        self._alerts |= took
        # Whoever comes next reads it; until it is stored, this process knows.
        self._unsaved |= took
        for host in sorted(self._unsaved):
            await self._states.keep_alerts(self._unsaved[host])
            del self._unsaved[host]

    async def _miss(self, present: Collection[str]) -> None:
        """Find out who is gone: known, and away for two heartbeats. What they said last is read once."""
        known = await self._states.hosts()
        now = trio.current_time()
        for host in (self._alerts.keys() | self._unsaved.keys()) - known - set(present):
            self._alerts.pop(host, None)  # forgotten
            self._unsaved.pop(host, None)
        self._away = {host: self._away.get(host, now) for host in known.difference(present)}
        self._gone = {host: last for host, last in self._gone.items() if host in self._away}
        long = self._store.settings.heartbeat * _ABSENCE
        for host in sorted(host for host, since in self._away.items() if now - since >= long):
            if host not in self._gone:
                await self._read(host)

    async def _read(self, host: str) -> None:
        try:
            # With keys, what a stranger put there is no agent.
            if await self._states.known(host) is not None:
                self._gone[host] = await self._states.timeline(host)
        except RecordError as error:
            _log.warning("what is remembered of %s is passed over: %s", host, error)

    async def _tell_all(self, notices: Sequence[Notice]) -> int:
        """Tell them in batches, and return how many got through; what did not is told the next time."""
        for start in range(0, len(notices), _BATCH):
            batch = notices[start : start + _BATCH]
            try:
                with trio.fail_after(_PATIENCE):
                    await self._tell(batch)
            except trio.TooSlowError:
                _log.warning("%d notices were not taken within %g s", len(batch), _PATIENCE)
                return start
            except Exception as error:  # noqa: BLE001 - whatever a teller raises, the next look tries again
                _log.warning("%d notices could not be told: %s: %s", len(batch), type(error).__name__, error)
                return start
        return len(notices)


async def log(notices: Sequence[Notice]) -> None:
    """Tell the log: the simplest teller."""
    for notice in notices:
        if notice.status:
            still = "still " if notice.still else ""
            _log.warning("%s: %s is %strue: %s", notice.hostname, notice.condition, still, notice.reason or "no reason")
        else:
            _log.info("%s: %s has cleared", notice.hostname, notice.condition)
