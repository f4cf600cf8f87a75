"""Which agents match a selector, at the cost of the smallest thing it requires and not of the fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osapi.rules.fact_index import FactIndex
from osapi.rules.host_index import HostIndex
from osapi.rules.label_index import LabelIndex
from osapi.rules.names import nearest
from osapi.rules.selectors import FactIs, HostLike, LabelIs, Selector

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from osapi.rules.facts import FlatFacts
    from osapi.rules.selectors import Requirement

_NOBODY: dict[str, None] = {}

# Whose facts are looked at for the names that a message suggests.
_ASKED = 100


class FleetIndex:
    """Know the agents with their labels, and the facts of hosts, whether or not there is an agent yet."""

    __slots__ = ("_hosts", "facts", "labels")

    def __init__(self) -> None:
        self.labels = LabelIndex()
        self.facts = FactIndex()
        self._hosts = HostIndex(self.labels.hosts)

    def set(self, host: str, labels: Mapping[str, str]) -> None:
        """Add an agent, or move it to other labels; as `LabelIndex.set`."""
        new = host not in self.labels
        self.labels.set(host, labels)
        if new:
            self._hosts.add(host)

    def discard(self, host: str) -> None:
        """Remove an agent, if it is there; its facts stay until they are discarded themselves."""
        if host in self.labels:
            self.labels.discard(host)
            self._hosts.discard(host)

    def set_facts(self, host: str, facts: FlatFacts) -> None:
        """Take in what a host tells of itself now."""
        self.facts.set(host, facts)

    def discard_facts(self, host: str) -> None:
        """Forget what a host told of itself."""
        self.facts.discard(host)

    def match(self, selector: Selector) -> AbstractSet[str]:
        """Return the agents that meet every requirement.

        It starts from the smallest set that a positive requirement leads to, and looks only at who is in it. Without a
        positive one that is the whole fleet. A glob leads to the names with its beginning or its end.
        """
        wanted: list[AbstractSet[str]] = []
        unwanted: list[AbstractSet[str]] = []
        globs: list[HostLike] = []
        # A fact may be that of a host without an agent; then who is there is one more thing wanted.
        registered = False
        for requirement in selector.requirements:
            if isinstance(requirement, HostLike) and not requirement.exact:
                globs.append(requirement)
            else:
                (unwanted if requirement.negated else wanted).append(self._view(requirement))
                registered = registered or not (requirement.negated or isinstance(requirement, FactIs))
        if not registered:
            wanted.append(self.labels.hosts)
        found = self._common(wanted, globs)
        for view in unwanted:
            found = {host for host in found if host not in view}
        for glob in globs:
            matches, negated = glob.pattern.match, glob.negated
            found = {host for host in found if (matches(host) is None) is negated}
        return found

    def _common(self, wanted: list[AbstractSet[str]], globs: list[HostLike]) -> AbstractSet[str]:
        views = sorted(wanted, key=len)
        spans = [self._hosts.near(glob) for glob in globs if not glob.negated]
        narrowest = min(spans, key=lambda span: span.size, default=None)
        found = views[0]
        if narrowest is not None and narrowest.size < len(found):
            found = set(narrowest)
        for view in views:
            if view is not found:
                found = found & view
        return found

    def _view(self, requirement: Requirement) -> AbstractSet[str]:
        if isinstance(requirement, LabelIs):
            return self.labels.match(requirement.label)
        if isinstance(requirement, FactIs):
            return self.facts.match(requirement.name, requirement.value)
        return {requirement.glob: None}.keys() if requirement.glob in self.labels else _NOBODY.keys()

    def near(self, requirement: Requirement) -> str | None:
        """Return what was probably meant by a requirement that nobody meets: a hint, perhaps empty.

        None says that somebody meets it.
        """
        if requirement.negated or self.match(Selector((requirement,))):
            return None
        if isinstance(requirement, LabelIs):
            return _hint(str(requirement), self.labels.texts)
        if isinstance(requirement, HostLike):
            return _hint(requirement.glob, self.labels.hosts)
        values = self.facts.values(requirement.name)
        if values:
            return _hint(requirement.value, values)
        return _hint(requirement.name, self.facts.names(_ASKED))


def _hint(text: str, known: AbstractSet[str] | list[str]) -> str:
    near = nearest(text, known)
    return f", did you mean {' or '.join(near)}?" if near else ""
