from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi.errors import InvalidNameError
from osapi.rules.names import MAX_HOSTNAME_PARTS, MAX_NAME_BYTES, check_operation_name, nearest, normalise_hostname
from tests.rules.strategies import anything

LETTERS_AND_DIGITS = set(string.ascii_letters + string.digits)


def is_hostname(text: str) -> bool:
    """Say what the regular expression says, in other words."""
    parts = text.split(".")
    return (
        len(text) <= MAX_NAME_BYTES
        and len(parts) <= MAX_HOSTNAME_PARTS
        and all(part and set(part) <= LETTERS_AND_DIGITS | {"-"} for part in parts)
        and all("-" not in (part[0], part[-1]) for part in parts)
    )


def is_operation(text: str) -> bool:
    tokens = text.split(".")
    allowed = set(string.ascii_lowercase + string.digits + "-")
    return 2 <= len(tokens) <= 6 and len(text) <= MAX_NAME_BYTES and all(t and set(t) <= allowed for t in tokens)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("web-01.example.com", "web-01.example.com"),
        ("WEB-01.Example.com", "web-01.example.com"),
        ("4f2c", "4f2c"),
        ("a" * 200, "a" * 200),
        (".".join("a" * 25), ".".join("a" * 25)),
    ],
)
def test_a_hostname_is_put_in_lower_case(text: str, normal: str) -> None:
    assert normalise_hostname(text) == normal


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("_web", "starts with `_`, which is reserved"),
        ("we b", "holds ' '"),
        ("we_b", "holds '_'"),
        ("web\n", "holds '\\n'"),
        ("\u212aelvin", "holds '\u212a'"),
        ("a..b", "has two in a row"),
        ("web.", "ends with a dot"),
        ("-web", "has a part that starts or ends with `-`"),
        ("web.a-", "has a part that starts or ends with `-`"),
        ("a" * 201, "is 201 characters long"),
        (".".join("a" * 26), "has more than 25 parts"),
        (None, "is of type NoneType, not text"),
        (["web"], "is of type list, not text"),
    ],
)
def test_a_refused_hostname_says_what_is_wrong_and_what_is_right(text: Any, problem: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        normalise_hostname(text)
    assert problem in str(caught.value)
    assert "letters, digits and `-`" in str(caught.value)


@given(anything)
def test_any_text_is_a_hostname_or_an_invalid_name(text: str) -> None:
    try:
        name = normalise_hostname(text)
    except InvalidNameError:
        assert not is_hostname(text)
    else:
        assert is_hostname(text)
        assert name == text.lower() == normalise_hostname(name)


@pytest.mark.parametrize("name", ["a.b", "node.hostname.get", "a.b.c.d.e.f", "network.dns-2.get", f"a.{'b' * 198}"])
def test_operation_names(name: str) -> None:
    check_operation_name(name)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "is empty"),
        ("node", "has 1 token;"),
        ("a.b.c.d.e.f.g", "has 7 tokens;"),
        ("node.Hostname", "holds 'H'"),
        ("node..get", "has two in a row"),
        (f"a.{'b' * 199}", "is 201 characters long"),
        (7, "is of type int, not text"),
    ],
)
def test_a_refused_operation_name_says_what_is_wrong_and_what_is_right(name: Any, problem: str) -> None:
    with pytest.raises(InvalidNameError) as caught:
        check_operation_name(name)
    assert problem in str(caught.value)
    assert "such as node.hostname.get" in str(caught.value)


@given(anything | st.text("ab.", max_size=16))
def test_any_text_is_an_operation_name_or_an_invalid_name(text: str) -> None:
    try:
        check_operation_name(text)
    except InvalidNameError:
        assert not is_operation(text)
    else:
        assert is_operation(text)


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(InvalidNameError) as caught:
        normalise_hostname("a" * 10_000)
    assert len(str(caught.value)) < 300


def test_nearest_suggests_the_likest_three_first() -> None:
    known = ["node.hostname.get", "node.hostname.set", "node.disk.get", "node.hostnames.get", "docker.pull"]
    assert nearest("node.hostnme.get", known) == ["node.hostname.get", "node.hostnames.get", "node.hostname.set"]
    assert nearest("zzz", known) == []


def test_nearest_looks_at_a_bounded_part_of_a_large_fleet() -> None:
    fleet = [*("0123456789" for _ in range(1_000)), "web-01"]
    assert nearest("web-1", fleet) == []
    assert nearest("web-1", reversed(fleet)) == ["web-01"]
