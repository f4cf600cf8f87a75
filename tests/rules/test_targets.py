from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi.errors import InvalidTargetError
from osapi.rules.fleet_index import FleetIndex
from osapi.rules.labels import parse_label
from osapi.rules.selectors import parse_selector
from osapi.rules.targets import ALL, ANY, Target, asked_of, parse_target, resolve
from tests.rules.strategies import anything, hosts, label_sets, label_texts

FORMS = "`_any`, `_all`, a hostname or `key:value`"
fleets = st.dictionaries(hosts, label_sets)


def index_of(fleet: dict[str, dict[str, str]]) -> FleetIndex:
    index = FleetIndex()
    for host, labels in fleet.items():
        index.set(host, labels)
    return index


@pytest.mark.parametrize(
    ("text", "target", "address"),
    [
        ("_any", ANY, ""),
        ("_all", ALL, ""),
        ("web-01.example.com", Target("host", host="web-01.example.com"), "web-01.example.com"),
        ("WEB-01", Target("host", host="web-01"), "web-01"),
        ("group:Web.dev", Target("label", label=parse_label("group:Web.dev")), "group:Web.dev"),
        ("_any@g:a.b", Target("any-label", label=parse_label("g:a.b")), "g:a.b"),
        ("g:a,!host:DB-*", Target("selector", selector=parse_selector("g:a,!host:db-*")), ""),
        ("host:web-1", Target("selector", selector=parse_selector("host:web-1")), ""),
    ],
)
def test_targets(text: str, target: Target, address: str) -> None:
    assert parse_target(text) == target
    assert target.address == address
    assert str(target) == (text if target.route in {"any-label", "label"} else address or text.lower())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("a b", "holds ' '"),
        (" _any", "holds ' '"),
        ("_some", "names that start with `_` are reserved"),
        ("_ANY", "names that start with `_` are reserved"),
        ("_", "names that start with `_` are reserved"),
        ("_key:web", "names that start with `_` are reserved"),
        ("group:", "has no value after the colon"),
        ("group:web..dev", "has an empty segment"),
        (":web", "has no key before the colon"),
        ("gr.oup:web", "has a key with a dot"),
        ("h" * 300, "is 300 characters long"),
        ("_any@", "has no colon"),
        ("_any@group:", "has no value after the colon"),
        ("_any@web-01", "has no colon"),
        ("_all@group:web", "names that start with `_` are reserved"),
        ("fact:x", "has the key `fact`, by which selectors ask for facts"),
        ("web@group:web", "holds '@'"),
        ("db-*", "holds '*'"),
        (None, "is of type NoneType, not text"),
        (5, "is of type int, not text"),
        ([], "is of type list, not text"),
        (b"web-01", "is of type bytes, not text"),
    ],
)
def test_a_refused_target_says_what_is_wrong_and_what_is_right(text: Any, problem: str) -> None:
    with pytest.raises(InvalidTargetError) as caught:
        parse_target(text)
    assert caught.value.value == text
    assert problem in str(caught.value)
    assert FORMS in str(caught.value)
    assert len(str(caught.value)) < 400


@given(anything | hosts | label_texts | label_texts.map("_any@".__add__) | st.sampled_from(["_any", "_all"]))
def test_any_text_is_a_target_or_an_invalid_target(text: str) -> None:
    try:
        target = parse_target(text)
    except InvalidTargetError:
        return
    assert parse_target(str(target)) == target
    # Only hostnames are folded, and with them the globs of a selector, which has a test of its own.
    assert target.selector or str(target) == (text.lower() if target.route == "host" else text)
    assert bool(target.address) == (target.route in {"host", "label", "any-label"})
    assert (target.route == "host") == bool(target.host)
    assert (target.route in {"label", "any-label"}) == (target.label is not None)
    assert (target.route == "selector") == (target.selector is not None)
    assert asked_of(str(target)) == (target.address if target.route == "any-label" else "")


@given(fleets, label_texts)
def test_a_label_is_resolved_to_the_sorted_hosts_that_match(fleet: dict[str, dict[str, str]], text: str) -> None:
    target = parse_target(text)
    index = index_of(fleet)
    assert target.label is not None
    assert resolve(target, index) == tuple(sorted(index.labels.match(target.label)))


@given(fleets)
def test_all_is_resolved_to_every_host(fleet: dict[str, dict[str, str]]) -> None:
    assert resolve(ALL, index_of(fleet)) == tuple(sorted(fleet))


@pytest.mark.parametrize("text", ["_any@g:a,g:b", "_any@!g:a", "_any@host:a"])
def test_one_of_those_that_meet_a_selector_cannot_be_asked(text: str) -> None:
    with pytest.raises(InvalidTargetError, match="asks for one of those that meet a selector; write _any@ and one"):
        parse_target(text)


def test_a_selector_is_resolved_to_the_sorted_hosts_that_meet_it() -> None:
    index = index_of({"b": {"g": "a"}, "a": {"g": "a.b"}, "c": {"g": "a"}, "d": {}})
    assert resolve(parse_target("g:a,!host:c"), index) == ("a", "b")
    assert resolve(parse_target("!g:a"), index) == ("d",)


def test_a_host_is_resolved_to_itself_and_any_to_nobody_yet() -> None:
    assert resolve(parse_target("_any@g:a"), index_of({"a": {"g": "a"}})) is None
    assert resolve(parse_target("Web-01"), FleetIndex()) == ("web-01",)
    assert resolve(ANY, FleetIndex()) is None


def test_what_was_resolved_stays_when_the_fleet_changes() -> None:
    index = index_of({"a": {"g": "a"}})
    frozen = resolve(parse_target("g:a"), index)
    index.set("b", {"g": "a"})
    index.discard("a")
    assert frozen == ("a",)
