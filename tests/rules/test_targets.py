from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi.errors import InvalidTargetError
from osapi.rules.label_index import LabelIndex
from osapi.rules.labels import parse_label
from osapi.rules.targets import ALL, ANY, Target, parse_target, resolve
from tests.rules.strategies import anything, hosts, label_sets, label_texts

FORMS = "`_any`, `_all`, a hostname or `key:value`"
fleets = st.dictionaries(hosts, label_sets)


def index_of(fleet: dict[str, dict[str, str]]) -> LabelIndex:
    index = LabelIndex()
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
    ],
)
def test_targets(text: str, target: Target, address: str) -> None:
    assert parse_target(text) == target
    assert target.address == address
    assert str(target) == (address or text)


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
        ("_any@group:web", "one agent of a group cannot be asked for in this version"),
        ("group:web,!host:db-1", "selectors, with `,` and `!`, cannot be used in this version"),
        ("!web-01", "selectors, with `,` and `!`, cannot be used in this version"),
        ("web-01,web-02", "selectors, with `,` and `!`, cannot be used in this version"),
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


@given(anything | hosts | label_texts | st.sampled_from(["_any", "_all"]))
def test_any_text_is_a_target_or_an_invalid_target(text: str) -> None:
    try:
        target = parse_target(text)
    except InvalidTargetError:
        return
    assert parse_target(str(target)) == target
    assert str(target) == (text.lower() if target.route == "host" else text)
    assert bool(target.address) == (target.route in {"host", "label"})
    assert (target.route == "host", target.route == "label") == (bool(target.host), target.label is not None)


@given(fleets, label_texts)
def test_a_label_is_resolved_to_the_sorted_hosts_that_match(fleet: dict[str, dict[str, str]], text: str) -> None:
    target = parse_target(text)
    index = index_of(fleet)
    assert target.label is not None
    assert resolve(target, index) == tuple(sorted(index.match(target.label)))


@given(fleets)
def test_all_is_resolved_to_every_host(fleet: dict[str, dict[str, str]]) -> None:
    assert resolve(ALL, index_of(fleet)) == tuple(sorted(fleet))


def test_a_host_is_resolved_to_itself_and_any_to_nobody_yet() -> None:
    assert resolve(parse_target("Web-01"), LabelIndex()) == ("web-01",)
    assert resolve(ANY, LabelIndex()) is None


def test_what_was_resolved_stays_when_the_fleet_changes() -> None:
    index = index_of({"a": {"g": "a"}})
    frozen = resolve(parse_target("g:a"), index)
    index.set("b", {"g": "a"})
    index.discard("a")
    assert frozen == ("a",)
