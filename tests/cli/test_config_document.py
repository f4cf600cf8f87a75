"""YAML into nodes: what is taken, what is refused, and that junk of any kind is only refused."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from osapi_cli.configuration.document import Items, Node, Table, Text, parse


def plain(node: Node) -> object:
    match node:
        case Text():
            return None if node.null else node.text
        case Items():
            return [plain(item) for item in node.items]
        case Table():
            return {key: plain(value) for key, value in node.entries.items()}


def parsed(text: str) -> object:
    node, problems = parse(text, "f")
    assert problems == []
    return plain(node)


def refused(text: str) -> str:
    _, problems = parse(text, "f")
    assert problems
    return str(problems[0])


def test_values_stay_as_they_were_written() -> None:
    assert parsed("a: no\nb: 1.10\nc: 0777\nd: 2001-01-01\ne: '~'\nf: 1_000") == {
        "a": "no",
        "b": "1.10",
        "c": "0777",
        "d": "2001-01-01",
        "e": "~",
        "f": "1_000",
    }


@pytest.mark.parametrize("null", ["", "~", "null", "Null", "NULL", "# nothing"])
def test_nothing_is_null(null: str) -> None:
    assert parsed(f"a: {null}") == {"a": None}


def test_an_alias_stands_for_its_value() -> None:
    assert parsed("a: &x {b: c}\nd: *x\ne: [*x]") == {"a": {"b": "c"}, "d": {"b": "c"}, "e": [{"b": "c"}]}


def test_each_key_knows_its_line() -> None:
    root, _ = parse("a: 1\n\nb:\n  c: 2\n", "f")
    assert isinstance(root, Table)
    assert root.places == {"a": "f:1", "b": "f:3"}
    assert isinstance(inner := root.entries["b"], Table)
    assert inner.places == {"c": "f:4"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1\nb: 2\na: 3", "f:3: a: is already given at f:1; remove one of them"),
        ("a:\n  b: 1\n  b: 1", "f:3: b: is already given at f:2; remove one of them"),
        ("[a]: b", "f:1: a list or a mapping is no key; "),
        ("{a: b}: c", "f:1: a list or a mapping is no key; "),
        ("a: &x {}\n*x : b", "f:2: a list or a mapping is no key; "),
        ("a: !!int 3", "f:1: has the tag 'tag:yaml.org,2002:int'; "),
        (
            "a: !!python/object/apply:os.system [x]",
            "f:1: has the tag 'tag:yaml.org,2002:python/object/apply:os.system'; ",
        ),
        ("a: !mine 3", "f:1: has the tag '!mine'; "),
        ("a: *x", "f:1: *x stands for nothing; "),
        ("a: &x [*x]", "f:1: *x stands for nothing; "),
        ("a: 1\n---\nb: 2", "f:2: a second document begins; "),
        ("a: b: c", "f:1: is not YAML: mapping values are not allowed"),
        ("a:\n\t- b", "f:2: is not YAML: "),
        ("a: 'b", "f:1: is not YAML: "),
        ("\x01", "f: is not YAML: "),
        ("\ud800", "f: is not YAML: "),
    ],
)
def test_what_is_refused_says_where_and_why(text: str, told: str) -> None:
    assert refused(text).startswith(told)


@pytest.mark.parametrize("text", ["[" * 500_000, "- " * 100_000, "{a: " * 100_000, "[[" + "{a: [" * 30])
def test_what_is_nested_too_deeply_is_refused_at_once(text: str) -> None:
    # Left to itself, libyaml takes minutes for the first of them.
    assert refused(text) == "f:1: is nested too deeply; nest at most 20 levels"


_WORDS = st.sampled_from(
    [
        "a",
        "b: ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "\n",
        "  ",
        "&x ",
        "*x",
        "? ",
        ": ",
        "!t ",
        "'",
        '"',
        "|",
        ">",
        "#",
        "---",
        "<<",
        "%",
        "@",
        "\t",
        "~",
    ]
)


@given(st.one_of(st.text(), st.lists(_WORDS).map("".join)))
@example("&x a: *x")
@example("%YAML 9.9\n---\na")
def test_junk_is_parsed_or_refused(text: str) -> None:
    node, problems = parse(text, "f")

    assert problems or plain(node) is not Ellipsis
    assert all(str(problem).startswith("f") for problem in problems)


_TREES = st.recursive(
    st.text(), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=10
)


@given(_TREES)
def test_what_pyyaml_writes_of_text_is_read(tree: object) -> None:
    # In quotes everywhere, so that text like `null` stays text.
    assert parsed(yaml.safe_dump(tree, default_style='"', allow_unicode=True)) == tree
