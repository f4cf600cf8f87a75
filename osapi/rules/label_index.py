"""Which agents match a label, at the cost of one look-up whatever their number.

Every prefix of every label that is in use leads to the hosts that it matches. Measured against a trie, a sorted
list and others by `benchmarks/label_matching.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from osapi.rules.labels import label_prefixes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from osapi.rules.labels import Label

_NOBODY: dict[str, None] = {}


class _Declaration:
    """What some agents declare alike, kept once for all of them: in a fleet, labels are few and agents many."""

    __slots__ = ("agents", "labels", "members")

    def __init__(self, labels: tuple[str, ...], members: tuple[dict[str, None], ...]) -> None:
        self.labels = labels
        self.members = members
        self.agents = 0


class LabelIndex:
    """Know the agents and their labels; not to be changed while one of its views is being iterated.

    The views it returns are live and read-only sets in the order of arrival, never copies: use one at once, and
    copy what has to last. About 150 bytes an agent with four segments.
    """

    __slots__ = ("_agents", "_declarations", "_members")

    def __init__(self) -> None:
        self._agents: dict[str, _Declaration] = {}
        self._declarations: dict[tuple[str, ...], _Declaration] = {}
        # A dict, not a set: smaller for text (16 bytes an entry from Python 3.11), ordered, and its keys are a
        # read-only view for nothing.
        self._members: dict[str, dict[str, None]] = {}

    def set(self, host: str, labels: Mapping[str, str]) -> None:
        """Add an agent, or move it to other labels; takes names as `normalise_hostname` and `normalise_labels` do.

        Costs one step a prefix; the same labels again, as every heartbeat brings them, cost one comparison.
        """
        texts = tuple([f"{key}:{value}" for key, value in labels.items()])
        known = self._agents.get(host)
        if known is not None and known.labels == texts:
            return
        self.discard(host)
        declaration = self._declarations.get(texts) or self._declare(texts)
        declaration.agents += 1
        self._agents[host] = declaration
        for members in declaration.members:
            members[host] = None

    def discard(self, host: str) -> None:
        """Remove an agent, if it is there, and everything that only it needed."""
        declaration = self._agents.pop(host, None)
        if declaration is None:
            return
        for members in declaration.members:
            del members[host]
        declaration.agents -= 1
        if not declaration.agents:
            self._retract(declaration)

    def _declare(self, texts: tuple[str, ...]) -> _Declaration:
        prefixes = [prefix for text in texts for prefix in label_prefixes(text)]
        members = tuple([self._members.setdefault(prefix, {}) for prefix in prefixes])
        return self._declarations.setdefault(texts, _Declaration(texts, members))

    def _retract(self, declaration: _Declaration) -> None:
        # While anybody declares a label, each of its prefixes has a member; so only now can one be empty.
        del self._declarations[declaration.labels]
        for text in declaration.labels:
            for prefix in label_prefixes(text):
                if not self._members[prefix]:
                    del self._members[prefix]

    def match(self, label: Label) -> AbstractSet[str]:
        """Return the hosts that declare the label or one below it: one look-up, nothing copied."""
        return self._members.get(label.text, _NOBODY).keys()

    @property
    def texts(self) -> AbstractSet[str]:
        """Every label that matches somebody."""
        return self._members.keys()

    @property
    def hosts(self) -> AbstractSet[str]:
        """Every host, with labels or without."""
        return self._agents.keys()

    def __len__(self) -> int:
        return len(self._agents)

    def __contains__(self, host: object) -> bool:
        return host in self._agents
