"""The roster: which agents are there now, what they offer, and who matches a target."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from osapi.errors import InvalidKeyError, NoAgentsError, RecordError, UnknownHostError, shown
from osapi.rules import targets
from osapi.rules.codec import REGISTRATION
from osapi.rules.keys import decode_token
from osapi.rules.label_index import LabelIndex
from osapi.rules.names import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from osapi.rules.records import Kind, Registration
    from osapi.transport import Entry, Watch

_log = logging.getLogger("osapi.roster")


class Roster:
    """The agents that are registered, as one watch tells them."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._agents: dict[str, Registration] = {}
        self._index = LabelIndex()

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

    def refresh(self) -> None:
        """Take in what has arrived and not been read yet."""
        self._apply(self._watch.receive_nowait())

    @property
    def agents(self) -> dict[str, Registration]:
        """Return the registered agents by hostname; not to be changed."""
        self.refresh()
        return self._agents

    def offered(self) -> dict[str, Kind]:
        """Return every operation that some agent offers, with its kind."""
        self.refresh()
        return {name: kind for agent in self._agents.values() for name, kind in agent.operations.items()}

    def kind_of(self, operation: str) -> Kind | None:
        """Return the kind of an operation, None if no agent offers it."""
        return next((a.operations[operation] for a in self.agents.values() if operation in a.operations), None)

    def freeze(self, target: targets.Target) -> tuple[str, ...] | None:
        """Return the hosts that a job is for, sorted; None when it is for any one agent.

        Raises:
            UnknownHostError: the target is a host that is not registered.
            NoAgentsError: nobody matches.

        """
        self.refresh()
        if target.host and target.host not in self._index:
            raise UnknownHostError(self._unknown_host(target.host))
        hosts = targets.resolve(target, self._index)
        if hosts is not None and not hosts:
            raise NoAgentsError(self._nobody(target))
        return hosts

    def _unknown_host(self, host: str) -> str:
        near = nearest(host, self._agents)
        if near:
            return f"no agent is registered as {shown(host)}; did you mean {' or '.join(near)}?"
        return f"no agent is registered as {shown(host)}; there {_count(len(self._agents))}"

    def _nobody(self, target: targets.Target) -> str:
        if not self._agents:
            return f"no agent matches {target}: none is registered"
        labels = sorted({f"{key}:{value}" for agent in self._agents.values() for key, value in agent.labels.items()})
        known = ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "") if labels else "none at all"
        return f"no agent matches {target}; the labels in use are {known}"

    def _apply(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            try:
                self._apply_one(entry)
            except (RecordError, InvalidKeyError) as error:
                _log.warning("an entry of the registry is ignored: %s", error)

    def _apply_one(self, entry: Entry) -> None:
        if entry.change != "put":
            self._forget(decode_token(entry.key))
            return
        agent = REGISTRATION.decode(entry.value)
        self._agents[agent.hostname] = agent
        self._index.set(agent.hostname, agent.labels)

    def _forget(self, hostname: str) -> None:
        self._agents.pop(hostname, None)
        self._index.discard(hostname)


def _count(number: int) -> str:
    return "is 1 agent" if number == 1 else f"are {number} agents"
