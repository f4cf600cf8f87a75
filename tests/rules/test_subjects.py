from __future__ import annotations

import re
import string
from itertools import product
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi.errors import InvalidInputError, InvalidKeyError, InvalidSubjectError
from osapi.rules import subjects
from tests.rules.strategies import anything

if TYPE_CHECKING:
    from collections.abc import Callable

# Every filter of up to three tokens, and every subject of up to four: `c` is in no filter, so it stands for all
# other tokens, and a fourth token tells a final `>` from a `*`.
FILTERS = [
    ".".join((*head, last))
    for size in range(3)
    for head in product("ab*", repeat=size)
    for last in ("a", "b", "*", ">")
]
SUBJECTS = [".".join(tokens) for size in range(1, 5) for tokens in product("abc", repeat=size)]


def as_regex(pattern: str) -> re.Pattern[str]:
    parts = {"*": r"[^.]+", ">": r".+"}
    return re.compile(r"\.".join(parts.get(token, re.escape(token)) for token in pattern.split(".")))


MATCHED = {pattern: {s for s in SUBJECTS if as_regex(pattern).fullmatch(s)} for pattern in FILTERS}


@pytest.mark.parametrize("pattern", FILTERS)
def test_a_filter_matches_what_its_regular_expression_does(pattern: str) -> None:
    assert {s for s in SUBJECTS if subjects.matches(pattern, s)} == MATCHED[pattern]


@pytest.mark.parametrize("one", FILTERS)
def test_filters_overlap_when_a_subject_matches_both(one: str) -> None:
    overlapping = {other for other in FILTERS if subjects.overlaps(one, other)}
    assert overlapping == {other for other in FILTERS if MATCHED[one] & MATCHED[other]}


@pytest.mark.parametrize("wide", FILTERS)
def test_a_filter_covers_another_when_it_matches_all_that_the_other_does(wide: str) -> None:
    covered = {narrow for narrow in FILTERS if subjects.covers(wide, narrow)}
    assert covered == {narrow for narrow in FILTERS if MATCHED[narrow] <= MATCHED[wide]}


@given(st.lists(st.sampled_from(["aa", "b", "c-1"]), min_size=1, max_size=6), st.data())
def test_hiding_tokens_of_a_subject_behind_wildcards_gives_a_filter_that_matches(
    tokens: list[str], data: st.DataObject
) -> None:
    hidden = [token if data.draw(st.booleans()) else "*" for token in tokens]
    cut = data.draw(st.integers(0, len(tokens)))
    pattern = ".".join(hidden if cut == len(tokens) else [*hidden[:cut], ">"])
    subjects.check_filter(pattern)
    assert subjects.matches(pattern, ".".join(tokens))
    assert subjects.covers(pattern, ".".join(tokens))


def sendable(text: str) -> bool:
    return len(text.encode(errors="surrogatepass")) <= 1024 and not re.search("[\ud800-\udfff]", text)


def is_subject_token(token: str) -> bool:
    return bool(token) and not any(c.isspace() or c in "*>\x7f" or c < " " for c in token)


def is_key_token(token: str) -> bool:
    return bool(token) and set(token) <= set(string.ascii_letters + string.digits + "-/_=")


def is_pattern(text: str, is_token: Callable[[str], bool]) -> bool:
    *head, last = text.split(".")
    return all(token == "*" or is_token(token) for token in head) and (last in {"*", ">"} or is_token(last))


CHECKERS: list[tuple[Callable[[str], None], type[InvalidInputError], Callable[[str], bool]]] = [
    (subjects.check_subject, InvalidSubjectError, lambda text: all(map(is_subject_token, text.split(".")))),
    (subjects.check_filter, InvalidSubjectError, lambda text: is_pattern(text, is_subject_token)),
    (subjects.check_key, InvalidKeyError, lambda text: all(map(is_key_token, text.split(".")))),
    (subjects.check_key_pattern, InvalidKeyError, lambda text: is_pattern(text, is_key_token)),
]


@given(
    st.sampled_from(CHECKERS),
    anything | st.text("aZ0-_/=.*>", max_size=8) | st.integers(1020, 1030).map("a".__mul__),
)
def test_a_checker_takes_exactly_what_is_well_formed_and_raises_its_own_error(
    checker: tuple[Callable[[str], None], type[InvalidInputError], Callable[[str], bool]], text: str
) -> None:
    check, error, is_well_formed = checker
    try:
        check(text)
    except error:
        assert not (sendable(text) and is_well_formed(text))
    else:
        assert sendable(text)
        assert is_well_formed(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("a..b", "has two in a row"),
        ("a b", "has a character or a wildcard"),
        ("a" * 1025, "is longer than 1024 bytes"),
        ("\u00e9" * 513, "is longer than 1024 bytes"),
        ("a.\ud800", "is longer than 1024 bytes"),
    ],
)
@pytest.mark.parametrize("checker", CHECKERS)
def test_a_refusal_says_what_is_wrong(
    checker: tuple[Callable[[str], None], type[InvalidInputError], Callable[[str], bool]], text: str, problem: str
) -> None:
    check, error, _ = checker
    with pytest.raises(error, match=problem):
        check(text)
