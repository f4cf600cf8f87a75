"""The fleet: all agents that are there, and those that are known and away, with what they tell of their hosts."""

from __future__ import annotations

import logging
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Literal

import trio
from msgspec import Struct, field

from osapi.errors import InvalidSettingError, RecordError
from osapi.flow.alert import Alerting
from osapi.flow.elect import serve
from osapi.flow.persist import insist
from osapi.index import MAX_LIMIT
from osapi.rules.cancellation import check_text
from osapi.rules.codec import FACTS
from osapi.rules.facts import flatten
from osapi.rules.keys import ALERTER_KEY, agent_key
from osapi.rules.names import normalise_hostname
from osapi.rules.records import VERSION, Drain, Known, Registration
from osapi.rules.targets import parse_target
from osapi.rules.timeline import Moment
from osapi.settings import facts_bucket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osapi.flow.alert import Teller
    from osapi.flow.state import States
    from osapi.flow.store import Store
    from osapi.roster import Roster
    from osapi.submitter import Submitter
    from osapi.transport import Entry, KeyValue

_log = logging.getLogger("osapi.client")

# Facts that are asked for at once.
_PAGE = 500


class AgentDetail(Struct, frozen=True, kw_only=True):
    """An agent with all that is known of it; at least one of `registration` and `known` is there.

    One that is away has no `registration`, and its `facts` only for as long as they live. `known` is what is remembered
    of it from when it last came, `timeline` what became of it, of one agent only and not of a list.
    """

    hostname: str
    registration: Registration | None = None
    known: Known | None = None
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    timeline: tuple[Moment, ...] = ()

    @property
    def status(self) -> Literal["Ready", "NotReady"]:
        """Return whether it is there, whatever its state."""
        return "NotReady" if self.registration is None else "Ready"


class Fleet:
    """The agents, as `client.fleet` has them."""

    def __init__(self, store: Store, roster: Roster, states: States, submitter: Submitter) -> None:
        self._store = store
        self._roster = roster
        self._states = states
        self._submitter = submitter
        self._facts: KeyValue | None = None

    async def list(self) -> Sequence[AgentDetail]:
        """Return all agents by hostname, those included that are away; reads what is remembered and all facts.

        What cannot be read of one is missing, and the log names it.

        Raises:
            DisconnectedError

        """
        known = {each.hostname: each for each in await self._states.all_known()}
        present = self._roster.pending | self._roster.agents
        hosts = sorted({*known, *present})
        facts = await self._facts_of(hosts)
        return [
            AgentDetail(hostname=host, registration=present.get(host), known=known.get(host), facts=facts.get(host, {}))
            for host in hosts
        ]

    async def get(self, hostname: str) -> AgentDetail:
        """Return one agent, also one that is away.

        Raises:
            UnknownHostError: it never came, or was forgotten.
            InvalidNameError, DisconnectedError

        """
        host = normalise_hostname(hostname)
        known = await self._remembered(host)
        registration = self._roster.agents.get(host) or self._roster.pending.get(host)
        if known is None and registration is None:
            raise self._roster.unknown_host(host, [each.hostname for each in await self._states.all_known()])
        facts = await self._facts_of([host])
        return AgentDetail(
            hostname=host,
            registration=registration,
            known=known,
            facts=facts.get(host, {}),
            timeline=await self._timeline(host),
        )

    def registered(self) -> Sequence[Registration]:
        """Return the registrations of the agents that are there now, by hostname; asks nobody."""
        return [agent for _, agent in sorted(self._roster.agents.items())]

    def registration(self, hostname: str) -> Registration:
        """Return the registration of one agent; asks nobody.

        Raises:
            UnknownHostError: it is not there now.
            InvalidNameError

        """
        host = normalise_hostname(hostname)
        self._roster.freeze(parse_target(host))
        return self._roster.agents[host]

    async def known(self) -> Sequence[Known]:
        """Return what is remembered of all agents that ever came, those that are away included, by hostname.

        What cannot be read is passed over, and the log names it.

        Raises:
            DisconnectedError

        """
        return await self._states.all_known()

    async def forget(self, hostname: str) -> None:
        """Forget an agent that will not come again, so that no job waits for it.

        Raises:
            InvalidNameError, DisconnectedError, UncertainError

        """
        await self._states.forget(normalise_hostname(hostname))

    async def drain(self, hostname: str, *, by: str = "", reason: str = "") -> bool:
        """Tell an agent to take no jobs until `undrain`, also after a restart, and say whether that is new.

        It hears of it with its next heartbeat. What it runs then ends as it would have, jobs for it alone wait, and
        those for one of many go to others.

        Raises:
            InvalidNameError, InvalidSettingError
            UnknownHostError: it never came, or was forgotten.
            LimitReachedError, DisconnectedError, UncertainError

        """
        host = await self._known_host(hostname)
        order = Drain(v=VERSION, at=self._store.now(), by=check_text("by", by), reason=check_text("reason", reason))
        return await self._states.drain(host, order)

    async def undrain(self, hostname: str) -> bool:
        """Let an agent take jobs again, and say whether it had been told not to.

        Raises:
            InvalidNameError, UnknownHostError, DisconnectedError, UncertainError

        """
        return await self._states.undrain(await self._known_host(hostname))

    async def fact_names(self) -> Sequence[str]:
        """Return the names of the facts that hosts tell of themselves, in order, as selectors have them.

        The first call waits until the facts have been read; of a large fleet some thousand hosts are looked at.

        Raises:
            MismatchError, DisconnectedError

        """
        await self._submitter.learn_facts()
        return self._roster.fact_names(MAX_LIMIT)

    async def alert(
        self, tell: Teller, *, renotify: float = 0.0, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Tell of changed conditions, for as long as the task runs: `nursery.start_soon(client.fleet.alert, tell)`.

        Any number of processes may, and one of them does. `tell` is given at most 100 notices at a time: that a
        condition is true, that it is still so every `renotify` seconds (0 for never), and that it has cleared. An agent
        whose heartbeat stopped has the condition `NotReady`, and keeps the others; one that left in order has not.
        What `tell` does not take, because it raises or has not returned within ten seconds, is told with the next
        heartbeat, as far as it is so then. A process that dies between telling and taking note has the next one tell
        again. It stands for the post once the task has started.

        Raises:
            InvalidSettingError: `renotify`
            ClosedError: the transport has ended.

        """
        if not 0 <= renotify < inf:
            raise InvalidSettingError(renotify, "is no time after which to tell again", "use seconds, or 0 for never")
        alerting = partial(Alerting, self._store, self._roster, self._states, tell, renotify)
        await serve(self._store, ALERTER_KEY, lambda: alerting().act(), task_status=task_status)

    async def _known_host(self, hostname: str) -> str:
        host = normalise_hostname(hostname)
        if host not in self._roster.agents and await self._states.known(host) is None:
            raise self._roster.unknown_host(host, [known.hostname for known in await self._states.all_known()])
        return host

    async def _remembered(self, host: str) -> Known | None:
        try:
            return await self._states.known(host)
        except RecordError as error:
            _log.warning("what is remembered of %s is passed over: %s", host, error)
            return None

    async def _timeline(self, host: str) -> tuple[Moment, ...]:
        try:
            timeline = await self._states.timeline(host)
        except RecordError as error:
            _log.warning("the timeline of %s is passed over: %s", host, error)
            return ()
        return () if timeline is None else timeline.moments

    async def _facts_of(self, hosts: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Read the facts of hosts; what nobody should have written is as if it were not there, and the log says so."""
        patience = self._store.settings.persist
        found: dict[str, dict[str, Any]] = {}
        if self._facts is None:
            config = facts_bucket(self._store.settings)
            self._facts = await insist(partial(self._store.transport.bucket, config), patience)
        for start in range(0, len(hosts), _PAGE):
            page = hosts[start : start + _PAGE]
            entries = await insist(partial(self._facts.get_many, [agent_key(host) for host in page]), patience)
            found.update({host: _told(entry) for host, entry in zip(page, entries, strict=True) if entry is not None})
        return found


def _told(entry: Entry) -> dict[str, Any]:
    try:
        facts = FACTS.decode(entry.value).facts
        flatten(facts)
    except (RecordError, InvalidSettingError) as error:
        _log.warning("the facts under %s are passed over: %s", entry.key, error)
        return {}
    return facts
