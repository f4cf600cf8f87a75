from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi.errors import InvalidTargetError
from osapi.rules.labels import parse_label
from osapi.rules.selectors import (
    FactIs,
    HostLike,
    LabelIs,
    Selector,
    is_selector,
    parse_selector,
    selector_matches,
)
from tests.rules.strategies import anything, selectors

if TYPE_CHECKING:
    from osapi.rules.facts import FlatFacts

LABELS = {"group": "web.dev", "site": "x"}
FACTS: FlatFacts = {"arch": "arm64", "os.name": "Debian GNU/Linux", "cpu_count": "8", "nic.name": ("eth0", "eth1")}


def test_a_selector_is_read_requirement_by_requirement() -> None:
    selector = parse_selector("group:web.dev,!host:DB-*,fact.arch:arm64,!fact.nic.mac:aa:bb")
    assert selector == Selector(
        (
            LabelIs(parse_label("group:web.dev")),
            HostLike("db-*", negated=True),
            FactIs("arch", "arm64"),
            FactIs("nic.mac", "aa:bb", negated=True),
        )
    )
    assert str(selector) == "group:web.dev,!host:db-*,fact.arch:arm64,!fact.nic.mac:aa:bb"
    assert selector.uses_facts
    assert not parse_selector("group:web,host:a").uses_facts


@pytest.mark.parametrize(
    ("text", "matched"),
    [
        ("group:web,site:x", True),
        ("group:web,site:y", False),
        ("group:we,site:x", False),
        ("group:web,!site:x", False),
        ("!site:y", True),
        ("host:web-*", True),
        ("host:WEB-0?", True),
        ("host:web-?", False),
        ("host:*.com", True),
        ("host:*-01.ex*", True),
        ("host:web-01.example.com", True),
        ("host:web-01", False),
        ("!host:*", False),
        ("host:web-01?example.com", True),
        ("fact.arch:arm64", True),
        ("fact.arch:ARM64", False),
        ("fact.arch:arm", False),
        ("!fact.arch:amd64", True),
        ("fact.os.name:Debian GNU/Linux", True),
        ("fact.cpu_count:8", True),
        ("fact.nic.name:eth1", True),
        ("fact.nic.name:eth", False),
        ("fact.nobody:x", False),
        ("!fact.nobody:x", True),
        ("group:web,!group:web", False),
        ("group:web,group:web", True),
    ],
)
def test_what_a_selector_means(text: str, matched: bool) -> None:
    wanted = "web-01.example.com" if text != "host:WEB-0?" else "web-01"
    assert selector_matches(parse_selector(text), wanted, LABELS, FACTS) is matched


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("group:web,", "has an empty requirement"),
        (",group:web", "has an empty requirement"),
        ("group:web,,site:x", "has an empty requirement"),
        (",", "has an empty requirement"),
        ("!", "has a `!` with nothing after it"),
        ("!!a:b", "has a requirement with more than one `!`"),
        ("web-01,web-02", "'web-01' has no colon, a hostname is written host:NAME"),
        ("!web-01", "'web-01' has no colon, a hostname is written host:NAME"),
        ("group:web, site:x", "' site:x' holds ' '"),
        ("group:web,site:", "'site:' has no value after the colon"),
        ("group:web,fact:x", "has the key `fact`"),
        ("host:", "has no hostname after `host:`"),
        ("!host:", "has no hostname after `host:`"),
        ("host:db_1", "holds '_' in a hostname"),
        ("host:db-[12]", "holds '[' in a hostname"),
        ("host:\u212a", "holds '\u212a' in a hostname"),
        (f"host:{'a' * 201}", "has a hostname of 201 characters"),
        ("fact.:x", "has no name after `fact.`"),
        ("fact.a..b:x", "'a..b' is no name of a fact"),
        ("fact.a b:x", "'a b' is no name of a fact"),
        ("fact.arch:", "has no value for the fact 'arch'"),
        ("fact.arch,a:b", "has no value for the fact 'arch'"),
        ("fact.arch:a\n", "holds '\\n' in the value of a fact"),
        ("fact.arch:\ud800", "holds '\\ud800' in the value of a fact"),
        (",".join(["a:b"] * 33), "has 33 requirements; a selector has at most 32"),
        ("fact.a:" + "\u00e9" * 509 + ",", "is 1026 bytes long; a selector has at most 1024"),
    ],
)
def test_a_refused_selector_says_what_is_wrong(text: str, problem: str) -> None:
    assert is_selector(text)
    with pytest.raises(InvalidTargetError) as caught:
        parse_selector(text)
    assert caught.value.value == text
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 400


def test_the_largest_selector_is_accepted() -> None:
    text = ",".join(["a:b"] * 31) + ",fact.a:"
    text += "x" * (1024 - len(text))
    assert str(parse_selector(text)) == text


@given(selectors)
def test_printing_a_selector_and_reading_it_again_changes_nothing(text: str) -> None:
    selector = parse_selector(text)
    assert str(selector) == text
    assert parse_selector(str(selector)) == selector


@given(anything | st.text("ab:,!.*?hostfc", max_size=16) | st.text("ab:,!", max_size=8).map("host:a,fact.a:".__add__))
def test_any_text_is_a_selector_or_an_invalid_target(text: str) -> None:
    try:
        selector = parse_selector(text)
    except InvalidTargetError:
        return
    assert parse_selector(str(selector)) == selector
    assert len(selector.requirements) == text.count(",") + 1


@pytest.mark.parametrize("text", ["web-01", "group:web", "fact.example.com", "_any", "host", "facts:x", "a:b!"])
def test_other_targets_are_no_selectors(text: str) -> None:
    assert not is_selector(text)


def test_no_glob_takes_long() -> None:
    # Tried at every place for every wildcard, this test would never end.
    assert not HostLike("*a" * 99 + "*b").pattern.match("a" * 200)
    assert HostLike("*a" * 99 + "*b").pattern.match("a" * 199 + "b")
