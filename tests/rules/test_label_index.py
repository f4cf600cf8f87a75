from __future__ import annotations

from collections.abc import MutableSet

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from osapi.rules.label_index import LabelIndex
from osapi.rules.labels import Label, label_matches, parse_label
from tests.rules.strategies import hosts, label_sets, label_texts


def contents(index: LabelIndex) -> dict[str, set[object]]:
    """Look inside: what each of the index's own dictionaries has entries for."""
    return {slot: set(getattr(index, slot)) for slot in LabelIndex.__slots__}


class Fleet(RuleBasedStateMachine):
    """An index and the naive oracle: every agent's labels, looked through one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.index = LabelIndex()
        self.labels: dict[str, dict[str, str]] = {}

    @rule(host=hosts, labels=label_sets)
    def set(self, host: str, labels: dict[str, str]) -> None:
        self.index.set(host, labels)
        self.labels[host] = labels

    @rule(host=hosts)
    def discard(self, host: str) -> None:
        self.index.discard(host)
        self.labels.pop(host, None)

    @rule(wanted=label_texts)
    def match(self, wanted: str) -> None:
        label = parse_label(wanted)
        assert self.index.match(label) == {h for h, own in self.labels.items() if label_matches(label, own)}

    @precondition(lambda self: self.labels)
    @rule()
    def match_what_is_there(self) -> None:
        for host, own in self.labels.items():
            for key, value in own.items():
                assert host in self.index.match(Label(f"{key}:{value}"))

    @invariant()
    def knows_every_host_once(self) -> None:
        assert self.index.hosts == set(self.labels)
        assert len(self.index) == len(self.labels)
        assert all(host in self.index for host in self.labels)

    @invariant()
    def is_as_if_built_from_scratch(self) -> None:
        fresh = LabelIndex()
        for host, labels in self.labels.items():
            fresh.set(host, labels)
        assert contents(self.index) == contents(fresh)

    def teardown(self) -> None:
        for host in list(self.labels):
            self.index.discard(host)
        assert not any(contents(self.index).values())


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=60, stateful_step_count=30)


def test_matches_agents_that_declare_the_label_or_one_below_it() -> None:
    index = LabelIndex()
    index.set("a", {"group": "web.dev"})
    index.set("b", {"group": "web.prod", "site": "x"})
    index.set("c", {})
    assert index.match(parse_label("group:web")) == {"a", "b"}
    assert index.match(parse_label("group:web.dev")) == {"a"}
    assert index.match(parse_label("group:we")) == set()
    assert index.match(parse_label("site:x")) == {"b"}
    assert index.hosts == {"a", "b", "c"}


def test_the_answer_is_a_live_view_that_cannot_be_written() -> None:
    index = LabelIndex()
    index.set("b", {"group": "web"})
    found = index.match(parse_label("group:web"))
    index.set("a", {"group": "web.dev"})
    assert list(found) == ["b", "a"]
    assert not isinstance(found, MutableSet)
    assert not isinstance(index.hosts, MutableSet)


def test_an_answer_without_hosts_does_not_leak_into_the_next() -> None:
    index = LabelIndex()
    nobody = index.match(parse_label("group:web"))
    index.set("a", {"group": "web"})
    assert nobody == set()
    assert contents(index)["_members"] == {"group:web"}


def test_asking_for_what_is_not_there_leaves_nothing_behind() -> None:
    index = LabelIndex()
    index.match(parse_label("group:web"))
    index.discard("a")
    assert not any(contents(index).values())


def test_the_same_labels_again_keep_an_agents_place() -> None:
    index = LabelIndex()
    for host in ("b", "a", "b"):
        index.set(host, {"group": "web"})
    assert list(index.match(parse_label("group:web"))) == ["b", "a"]
