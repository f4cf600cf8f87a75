"""The roster: which agents are there now, what they offer and tell of their hosts, and who matches a target."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from osapi.errors import (
    InvalidKeyError,
    InvalidSettingError,
    NoAgentsError,
    RecordError,
    UnknownHostError,
    UntrustedError,
    shown,
)
from osapi.rules import targets
from osapi.rules.changes import AgentChange
from osapi.rules.codec import FACTS, REGISTRATION
from osapi.rules.facts import flatten
from osapi.rules.fleet_index import FleetIndex
from osapi.rules.keys import POSTS, decode_token
from osapi.rules.names import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import trio

    from osapi.rules.records import Kind, Registration
    from osapi.rules.selectors import Selector
    from osapi.transport import Entry, KeyValue, Watch

_log = logging.getLogger("osapi.roster")


class Roster:
    """The agents that are registered, as one watch tells them; their facts from a second one, once it is needed."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._facts_watch: Watch | None = None
        self._agents: dict[str, Registration] = {}
        self._pending: dict[str, Registration] = {}
        self.on_change: Callable[[AgentChange], None] | None = None
        self._fleet = FleetIndex()

    async def load(self) -> None:
        """Read all who are there when the watch opens."""
        while not self._watch.caught_up:
            self._apply(await self._watch.receive())

    async def follow(self) -> None:
        """Keep up for as long as the task runs.

        Raises:
            ClosedError: the transport has ended.

        """
        while True:
            self._apply(await self._watch.receive())

    @property
    def knows_facts(self) -> bool:
        """Tell whether the facts are being followed."""
        return self._facts_watch is not None

    async def follow_facts(self, bucket: KeyValue, *, task_status: trio.TaskStatus[None]) -> None:
        """Read all facts that are there, report that, and keep up for as long as the task runs.

        Raises:
            ClosedError: the transport has ended.
            DisconnectedError: before they were read.

        """
        async with bucket.watch() as watch:
            while not watch.caught_up:
                self._apply(await watch.receive(), self._apply_facts)
            self._facts_watch = watch
            task_status.started()
            while True:
                self._apply(await watch.receive(), self._apply_facts)

    def refresh(self) -> None:
        """Take in what has arrived and not been read yet."""
        self._apply(self._watch.receive_nowait())
        if self._facts_watch is not None:
            self._apply(self._facts_watch.receive_nowait(), self._apply_facts)

    def fact_names(self, asked: int) -> list[str]:
        """Return the names of the facts that so many of the hosts tell, in order."""
        self.refresh()
        return sorted(self._fleet.facts.names(asked))

    @property
    def agents(self) -> dict[str, Registration]:
        """Return the registered agents by hostname; not to be changed."""
        self.refresh()
        return self._agents

    @property
    def pending(self) -> dict[str, Registration]:
        """Return by hostname those that say they wait to be accepted: no job is for them; not to be changed."""
        self.refresh()
        return self._pending

    def offered(self) -> dict[str, Kind]:
        """Return every operation that some agent offers, with its kind."""
        self.refresh()
        return {name: kind for agent in self._agents.values() for name, kind in agent.operations.items()}

    def kind_of(self, operation: str) -> Kind | None:
        """Return the kind of an operation, None if no agent offers it."""
        return next((a.operations[operation] for a in self.agents.values() if operation in a.operations), None)

    def freeze(self, target: targets.Target) -> tuple[str, ...] | None:
        """Return the hosts that a job is for, sorted; None when it is for any one agent, of a group or of all.

        A selector that asks for facts matches only if they are followed.

        Raises:
            UnknownHostError: the target is a host that is not registered.
            NoAgentsError: nobody matches.

        """
        if target.one:
            return None
        self.refresh()
        if target.host and target.host not in self._fleet.labels:
            raise self.unknown_host(target.host)
        hosts = targets.resolve(target, self._fleet)
        if hosts is not None and not hosts:
            raise NoAgentsError(self._nobody(target))
        return hosts

    def unknown_host(self, host: str, away: Iterable[str] = ()) -> UnknownHostError:
        """Return the error for a host that there is not, with the nearest names, those included that are `away`."""
        near = nearest(host, {*self._agents, *away})
        hint = f"did you mean {' or '.join(near)}?" if near else f"there {_count(len(self._agents))}"
        return UnknownHostError(f"no agent is registered as {shown(host)}; {hint}")

    def _nobody(self, target: targets.Target) -> str:
        if not self._agents:
            return f"no agent matches {target}: none is registered"
        if target.selector:
            return f"no agent matches {target}: {self._unmet(target.selector)}"
        labels = sorted({f"{key}:{value}" for agent in self._agents.values() for key, value in agent.labels.items()})
        if not labels:
            return f"no agent matches {target}; none has any label"
        known = ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "")
        return f"no agent matches {target}; the labels in use are {known}"

    def _unmet(self, selector: Selector) -> str:
        for requirement in selector.requirements:
            hint = self._fleet.near(requirement)
            if hint is not None:
                return f"none has {requirement}{hint}"
        return "none meets all of its requirements at once"

    def _apply(self, entries: Iterable[Entry], take: Callable[[Entry], None] | None = None) -> None:
        for entry in entries:
            try:
                (take or self._apply_one)(entry)
            except UntrustedError as error:
                # An agent that is not accepted writes this with every heartbeat.
                _log.debug("an entry of the registry is ignored: %s", error)
            except (RecordError, InvalidKeyError, InvalidSettingError) as error:
                _log.warning("an entry of the registry is ignored: %s", error)

    def _apply_one(self, entry: Entry) -> None:
        if entry.key in POSTS:
            return
        if entry.change != "put":
            self._pending.pop(decode_token(entry.key), None)
            self._forget(decode_token(entry.key))
            return
        try:
            agent = REGISTRATION.decode(entry.value)
        except UntrustedError:
            # The key that it is signed with counts no more, or never did; the keyring has told why.
            self._forget(decode_token(entry.key))
            return
        if agent.state == "Pending":
            # It has been accepted just now, and does not know: it hears of no job yet.
            self._forget(agent.hostname)
            self._pending[agent.hostname] = agent
            return
        self._pending.pop(agent.hostname, None)
        before = self._agents.get(agent.hostname)
        self._agents[agent.hostname] = agent
        if before is None or before.state != agent.state:
            self._tell(AgentChange(hostname=agent.hostname, state=agent.state, status="Ready"))
        self._fleet.set(agent.hostname, agent.labels)

    def _forget(self, hostname: str) -> None:
        gone = self._agents.pop(hostname, None)
        self._fleet.discard(hostname)
        if gone is not None:
            self._tell(AgentChange(hostname=hostname, state=gone.state, status="NotReady"))

    def _tell(self, change: AgentChange) -> None:
        if self.on_change is not None:
            self.on_change(change)

    def _apply_facts(self, entry: Entry) -> None:
        if entry.change != "put":
            self._fleet.discard_facts(decode_token(entry.key))
            return
        told = FACTS.decode(entry.value)
        self._fleet.set_facts(told.hostname, flatten(told.facts))


def _count(number: int) -> str:
    return "is 1 agent" if number == 1 else f"are {number} agents"
