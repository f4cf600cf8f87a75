"""The structures that `label_matching` compares: what osapi uses, and what it might have used instead."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass
from typing import Any, Protocol

from paho.mqtt.matcher import MQTTMatcher

from osapi.rules.label_index import LabelIndex
from osapi.rules.labels import Label, label_matches, label_prefixes

Labels = dict[str, str]
Fleet = dict[str, Labels]


class Hosts(Sized, Iterable[Any], Protocol):
    """An answer: its size is known, and it need not be a copy."""


@dataclass(frozen=True, slots=True)
class Rival:
    """A structure that holds a fleet.

    A query is prepared beforehand, in the form that suits the structure. A move is told the host, its old labels and
    the new ones; LabelIndex alone remembers the old ones itself, and pays for that in bytes and in its build.
    """

    prepare: Callable[[Label], Any]
    match: Callable[[Any], Hosts]
    move: Callable[[str, Labels, Labels], None]
    listed: Callable[[Any], list[str]] = list


def label_index(fleet: Fleet) -> Rival:
    index = LabelIndex()
    for host, labels in fleet.items():
        index.set(host, labels)
    return Rival(lambda label: label, index.match, lambda host, _old, new: index.set(host, new))


class Node:
    """One segment of the trie: the hosts at it or below it."""

    __slots__ = ("children", "hosts")

    def __init__(self) -> None:
        self.children: dict[str, Node] = {}
        self.hosts: set[str] = set()

    def insert(self, host: str, path: list[str]) -> None:
        """Add the host to each node of the path, which is made where it is missing."""
        node = self
        for segment in path:
            child = node.children.get(segment)
            if child is None:
                child = node.children[segment] = Node()
            node = child
            node.hosts.add(host)

    def remove(self, host: str, path: list[str]) -> None:
        """Remove the host from each node of the path, and the nodes that become empty."""
        node = self
        for segment in path:
            child = node.children[segment]
            child.hosts.remove(host)
            if not child.hosts:
                del node.children[segment]
            node = child

    def match(self, path: list[str]) -> Hosts:
        """Walk down."""
        node = self
        for segment in path:
            child = node.children.get(segment)
            if child is None:
                return ()
            node = child
        return node.hosts


def trie(fleet: Fleet) -> Rival:
    root = Node()

    def move(host: str, old: Labels, new: Labels) -> None:
        root.remove(host, old["group"].split("."))
        root.insert(host, new["group"].split("."))

    for host, labels in fleet.items():
        root.insert(host, labels["group"].split("."))
    return Rival(lambda label: list(label.segments), root.match, move)


def sorted_list(fleet: Fleet) -> Rival:
    # Each label is closed with a dot, so that only whole segments are prefixes; what matches is a slice. It is built
    # by one sort, for inserting one by one is quadratic, and answered with the slice's bounds, which copies nothing.
    entries = sorted((f"group:{labels['group']}.", host) for host, labels in fleet.items())

    def match(bounds: tuple[tuple[str], tuple[str]]) -> range:
        low = bisect_left(entries, bounds[0])
        return range(low, bisect_left(entries, bounds[1], low))

    def move(host: str, old: Labels, new: Labels) -> None:
        del entries[bisect_left(entries, (f"group:{old['group']}.", host))]
        insort(entries, (f"group:{new['group']}.", host))

    def listed(found: range) -> list[str]:
        return [host for _, host in entries[found.start : found.stop]]

    # The slash is the character after the dot.
    return Rival(lambda label: ((f"{label.text}.",), (f"{label.text}/",)), match, move, listed)


def mqtt_matcher(fleet: Fleet) -> Rival:
    # As an MQTT broker would do it: a job for `group:web.dev` is published on `group/web/dev`. What is published has
    # no wildcards, and a subscription to `group/web/#` would also take what is for `group/web/prod`; so an agent
    # subscribes to each prefix of its label by its exact name, and a filter leads to the set of its subscribers.
    matcher: Any = MQTTMatcher()  # type: ignore[no-untyped-call]

    def topic(text: str) -> str:
        return text.replace(":", "/").replace(".", "/")

    def subscribe(host: str, labels: Labels) -> None:
        for prefix in label_prefixes(f"group:{labels['group']}"):
            try:
                matcher[topic(prefix)].add(host)
            except KeyError:
                matcher[topic(prefix)] = {host}

    def move(host: str, old: Labels, new: Labels) -> None:
        for prefix in label_prefixes(f"group:{old['group']}"):
            subscribers = matcher[topic(prefix)]
            subscribers.remove(host)
            if not subscribers:
                del matcher[topic(prefix)]
        subscribe(host, new)

    for host, labels in fleet.items():
        subscribe(host, labels)
    return Rival(lambda label: topic(label.text), lambda name: next(matcher.iter_match(name), ()), move)


def naive_scan(fleet: Fleet) -> Rival:
    agents = dict(fleet)

    def match(wanted: Label) -> list[str]:
        return [host for host, labels in agents.items() if label_matches(wanted, labels)]

    return Rival(lambda label: label, match, lambda host, _old, new: agents.update({host: new}))


RIVALS: dict[str, Callable[[Fleet], Rival]] = {
    "LabelIndex": label_index,
    "trie with sets": trie,
    "sorted list, bisect": sorted_list,
    "paho MQTTMatcher": mqtt_matcher,
    "naive scan": naive_scan,
}
