"""The index of a fleet against a look at every agent, and what it leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from osapi.rules.fact_index import FactIndex
from osapi.rules.fleet_index import FleetIndex
from osapi.rules.selectors import Selector, parse_selector, selector_matches
from tests.rules.strategies import fact_sets, hosts, label_sets, selectors

if TYPE_CHECKING:
    from osapi.rules.facts import FlatFacts


class Fleet(RuleBasedStateMachine):
    """An index and the naive oracle: every agent looked at, one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.index = FleetIndex()
        self.labels: dict[str, dict[str, str]] = {}
        self.facts: dict[str, FlatFacts] = {}
        self.asked = set[str]()

    @rule(host=hosts, labels=label_sets)
    def put(self, host: str, labels: dict[str, str]) -> None:
        self.index.set(host, labels)
        self.labels[host] = labels

    @rule(host=hosts)
    def discard(self, host: str) -> None:
        self.index.discard(host)
        self.labels.pop(host, None)

    @rule(host=hosts, facts=fact_sets)
    def set_facts(self, host: str, facts: FlatFacts) -> None:
        self.index.set_facts(host, facts)
        self.facts[host] = facts

    @rule(host=hosts)
    def discard_facts(self, host: str) -> None:
        self.index.discard_facts(host)
        self.facts.pop(host, None)

    @rule(text=selectors)
    def match(self, text: str) -> None:
        self.asked.add(text)

    @invariant()
    def answers_as_the_oracle_does(self) -> None:
        for selector in map(parse_selector, self.asked):
            assert self.index.match(selector) == self.expected(selector)

    def expected(self, selector: Selector) -> set[str]:
        return {
            host
            for host, labels in self.labels.items()
            if selector_matches(selector, host, labels, self.facts.get(host, {}))
        }

    @invariant()
    def says_of_each_requirement_whether_somebody_meets_it(self) -> None:
        for selector in map(parse_selector, self.asked):
            for requirement in selector.requirements:
                met = requirement.negated or bool(self.expected(Selector((requirement,))))
                assert (self.index.near(requirement) is None) == met


TestFleet = Fleet.TestCase
TestFleet.settings = settings(max_examples=60, stateful_step_count=30)


def contents(index: FactIndex) -> dict[str, set[str]]:
    """Look inside: what each of the index's own dictionaries has entries for."""
    return {slot: set(getattr(index, slot)) for slot in FactIndex.__slots__}


@pytest.fixture
def fleet() -> FleetIndex:
    index = FleetIndex()
    for host, group, arch in [
        ("web-01.eu", "web.dev", "arm64"),
        ("web-02.eu", "web.prod", "amd64"),
        ("db-01.us", "db.prod", "amd64"),
    ]:
        index.set(host, {"group": group})
        index.set_facts(host, {"arch": arch, "nic.name": ("eth0", "eth1")})
    return index


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("group:web,!host:web-02*", {"web-01.eu"}),
        ("host:*.eu", {"web-01.eu", "web-02.eu"}),
        ("host:*b*.us", {"db-01.us"}),
        ("host:*-0?.*", {"web-01.eu", "web-02.eu", "db-01.us"}),
        ("host:db-01.us", {"db-01.us"}),
        ("host:db-01.us,host:web*", set[str]()),
        ("!host:db-01.us", {"web-01.eu", "web-02.eu"}),
        ("fact.arch:amd64,group:web", {"web-02.eu"}),
        ("fact.nic.name:eth1,!fact.arch:arm64", {"web-02.eu", "db-01.us"}),
        ("group:web,!group:web", set[str]()),
    ],
)
def test_who_matches(fleet: FleetIndex, text: str, hosts: set[str]) -> None:
    assert fleet.match(parse_selector(text)) == hosts


def test_facts_of_a_host_without_an_agent_match_nobody(fleet: FleetIndex) -> None:
    fleet.discard("db-01.us")
    fleet.set_facts("late", {"arch": "amd64"})
    assert fleet.match(parse_selector("fact.arch:amd64")) == {"web-02.eu"}
    fleet.set("late", {})
    assert fleet.match(parse_selector("fact.arch:amd64")) == {"web-02.eu", "late"}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("group:wep", ", did you mean group:web?"),
        ("host:db-1.us", ", did you mean db-01.us?"),
        ("fact.arch:arm46", ", did you mean arm64?"),
        ("fact.arhc:arm64", ", did you mean arch?"),
        ("fact.nobody:arm64", ""),
        ("!group:web", None),
        ("host:web*", None),
    ],
)
def test_what_was_meant(fleet: FleetIndex, text: str, hint: str | None) -> None:
    (requirement,) = parse_selector(text).requirements
    found = fleet.near(requirement)
    assert found == hint if hint is None else found is not None and found.startswith(hint[:-1])


def test_an_answer_is_a_view_or_a_copy_that_changes_nothing(fleet: FleetIndex) -> None:
    before = set(fleet.match(parse_selector("group:web")))
    fleet.match(parse_selector("group:web,fact.arch:arm64"))
    fleet.match(parse_selector("group:web,!host:*-01*"))
    assert fleet.match(parse_selector("group:web")) == before


def test_names_that_nobody_has_leave_nothing_behind(fleet: FleetIndex) -> None:
    fleet.match(parse_selector("fact.nobody:x,!fact.nothing:y"))
    assert not fleet.facts.values("nobody")
    assert not any(inner for slot, inner in contents(fleet.facts).items() if slot != "_facts")
    assert fleet.facts.names(10) == ["arch", "nic.name"]
    fleet.match(parse_selector("fact.nic.name:x,host:*,host:*x"))
    for host in ("web-01.eu", "web-02.eu", "db-01.us"):
        fleet.discard_facts(host)
        fleet.discard(host)
    assert not fleet.facts.values("arch")
    assert fleet.facts.names(10) == []
