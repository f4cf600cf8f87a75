from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi.errors import InvalidLabelError
from osapi.rules.labels import MAX_LABELS, Label, label_matches, normalise_labels, parse_label
from tests.rules.strategies import anything, label_keys, label_sets, label_texts, values

ALLOWED = set(string.ascii_letters + string.digits + "-_")


def is_label(text: str) -> bool:
    """Say what the regular expression says, in other words."""
    key, colon, value = text.partition(":")
    segments = value.split(".")
    return (
        bool(colon and key)
        and not key.startswith("_")
        and key != "fact"
        and key != "host"
        and all(part and set(part) <= ALLOWED for part in (key, *segments))
        and len(segments) <= 16
        and len(text) <= 200
    )


def test_a_label_has_a_key_and_segments() -> None:
    label = parse_label("group:web.dev.us-east")
    assert label.key == "group"
    assert label.segments == ("web", "dev", "us-east")
    assert label.prefixes() == ("group:web", "group:web.dev", "group:web.dev.us-east")
    assert str(label) == "group:web.dev.us-east"


@given(label_texts)
def test_printing_a_label_and_reading_it_again_changes_nothing(text: str) -> None:
    label = parse_label(text)
    assert str(label) == text
    assert parse_label(str(label)) == label
    assert f"{label.key}:{'.'.join(label.segments)}" == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no colon"),
        ("group", "has no colon"),
        (":web", "has no key before the colon"),
        ("group:", "has no value after the colon"),
        ("group:web..dev", "has an empty segment"),
        ("group:.web", "has an empty segment"),
        ("group:web.", "has an empty segment"),
        ("_group:web", "has a key that starts with `_`, which is reserved"),
        ("gr.oup:web", "has a key with a dot"),
        ("host:web", "has the key `host`, by which selectors ask for hostnames"),
        ("fact:web", "has the key `fact`, by which selectors ask for facts"),
        ("gr oup:web", "holds ' '"),
        ("group:we b", "holds ' '"),
        ("group:web\n", "holds '\\n'"),
        ("group:web:dev", "holds ':'"),
        ("group:w\u00e9b", "holds '\u00e9'"),
        (f"group:{'.'.join('a' * 17)}", "has more than 16 segments"),
        (f"group:{'a' * 195}", "is 201 characters long"),
        (None, "is of type NoneType, not text"),
        (b"group:web", "is of type bytes, not text"),
    ],
)
def test_a_refused_label_says_what_is_wrong_and_what_is_right(text: Any, problem: str) -> None:
    with pytest.raises(InvalidLabelError) as caught:
        parse_label(text)
    assert problem in str(caught.value)
    assert "such as group:web.dev" in str(caught.value)


@given(anything | st.text("a_.:", max_size=8).map("k:".__add__))
def test_any_text_is_a_label_or_an_invalid_label(text: str) -> None:
    try:
        label = parse_label(text)
    except InvalidLabelError:
        assert not is_label(text)
    else:
        assert is_label(text)
        assert str(label) == text


@pytest.mark.parametrize(
    ("wanted", "matched"),
    [
        ("group:web", True),
        ("group:web.dev", True),
        ("group:web.de", False),
        ("group:we", False),
        ("group:web.dev.us", False),
        ("group:Web", False),
        ("role:web", False),
    ],
)
def test_labels_match_by_whole_segments_and_by_case(*, wanted: str, matched: bool) -> None:
    assert label_matches(parse_label(wanted), {"group": "web.dev", "site": "x"}) is matched


@given(label_texts, label_sets)
def test_matching_is_being_a_prefix_of_the_segments(wanted: str, declared: dict[str, str]) -> None:
    label = parse_label(wanted)
    own = tuple(declared.get(label.key, "").split("."))
    assert label_matches(label, declared) == (own[: len(label.segments)] == label.segments)


@given(label_keys, values)
def test_exactly_the_prefixes_of_a_label_match_it(key: str, value: str) -> None:
    label = Label(f"{key}:{value}")
    matching = {prefix for prefix in label.prefixes() if label_matches(Label(prefix), {key: value})}
    assert matching == set(label.prefixes())
    assert len(matching) == len(label.segments)


@given(label_sets)
def test_declared_labels_come_back_in_the_order_of_their_keys(declared: dict[str, str]) -> None:
    normal = normalise_labels(declared)
    assert normal == declared
    assert list(normal) == sorted(declared)
    assert normalise_labels(normal) == normal


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (None, "is of type NoneType, not a mapping"),
        (["group:web"], "is of type list, not a mapping"),
        ({"group": 5}, "is of type int, not text"),
        ({5: "web"}, "is of type int, not text"),
        ({"group": ""}, "has no value after the colon"),
        ({"gr.oup": "web"}, "has a key with a dot"),
        ({"_group": "web"}, "is reserved"),
        ({"host": "web"}, "has the key `host`"),
        ({"fact": "web"}, "has the key `fact`"),
        ({"": "web"}, "has no key before the colon"),
        ({"a:b": "c"}, "is a key with a colon"),
        ({f"k{i}": "v" for i in range(MAX_LABELS + 1)}, "holds 65 labels"),
    ],
)
def test_refused_declarations_say_what_is_wrong(labels: Any, problem: str) -> None:
    with pytest.raises(InvalidLabelError) as caught:
        normalise_labels(labels)
    assert problem in str(caught.value)


@given(st.dictionaries(anything, anything, max_size=3))
def test_any_mapping_is_normal_or_an_invalid_label(labels: dict[str, str]) -> None:
    # A key with a colon would read as another key's label.
    valid = all(":" not in key and is_label(f"{key}:{value}") for key, value in labels.items())
    try:
        assert normalise_labels(labels) == labels
    except InvalidLabelError:
        assert not valid
    else:
        assert valid
