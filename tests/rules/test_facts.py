"""Facts: what may be told, how it is asked for, and what stands for it in the data of a job."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi.errors import InvalidPayloadError, InvalidSettingError
from osapi.rules.facts import flatten, normalise_facts, resolve_references

FACTS: dict[str, Any] = {
    "arch": "arm64",
    "cpu_count": 8,
    "virtual": True,
    "load": 0.5,
    "nothing": None,
    "empty": "",
    "interface": {"primary": "eth0"},
    "interfaces": [
        {"name": "eth0", "addresses": ["10.0.0.1", "::1"]},
        {"name": "lo", "addresses": []},
    ],
}
FLAT: dict[str, str | tuple[str, ...]] = {
    "arch": "arm64",
    "cpu_count": "8",
    "virtual": "true",
    "load": "0.5",
    "interface.primary": "eth0",
    "interfaces.name": ("eth0", "lo"),
    "interfaces.addresses": ("10.0.0.1", "::1"),
}


def test_facts_are_flat_under_dotted_names() -> None:
    assert flatten(normalise_facts(FACTS)) == FLAT
    assert flatten({}) == {}


class Rack(msgspec.Struct):
    row: int


def test_facts_may_be_anything_that_json_can_hold() -> None:
    assert normalise_facts({"rack": Rack(4), "ports": (1, 2)}) == {"rack": {"row": 4}, "ports": [1, 2]}


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        (None, "is of type NoneType, not a mapping of facts"),
        (["a"], "is of type list, not a mapping of facts"),
        ({"a": object()}, "cannot be written as JSON"),
        ({"a": "\ud800"}, "cannot be written as JSON"),
        ({"a b": 1}, "setting 'a b': is no name of a fact"),
        ({"a.b": 1}, "setting 'a.b': is no name of a fact"),
        ({"": 1}, "setting '': is no name of a fact"),
        ({"a": [{"b:c": 1}]}, "setting 'b:c': is no name of a fact"),
        ({1: {"\u00e9": 1}}, "is no name of a fact"),
        (nested(16), "is a fact nested more than 16 deep"),
        # How deep JSON may be before the encoder refuses it differs between Pythons.
        (nested(2000), "setting '"),
        ({"a": "x" * 65536}, "take 65544 bytes; use at most 65536"),
    ],
)
def test_refused_facts_say_what_is_wrong(facts: object, problem: str) -> None:
    with pytest.raises(InvalidSettingError) as caught:
        normalise_facts(facts)
    assert problem in str(caught.value)


def test_the_deepest_and_the_largest_facts_are_accepted() -> None:
    assert flatten(normalise_facts(nested(15))) == {".".join("a" * 15): "x"}
    assert normalise_facts({"a": "x" * 65528})


# --- References --------------------------------------------------------------------------------------------


def resolved(data: object) -> Any:
    return msgspec.json.decode(resolve_references("test.echo", msgspec.Raw(msgspec.json.encode(data)), FLAT))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("@fact.interface.primary", "eth0"),
        ("ip link show @fact.interface.primary.", "ip link show eth0."),
        ("@fact.arch/@fact.cpu_count", "arm64/8"),
        ("@fact.virtual", "true"),
        ("@@fact.arch", "@fact.arch"),
        ("@@@fact.arch", "@@fact.arch"),
        ("@fact", "@fact"),
        ("@fact. arch", "@fact. arch"),
        ("me@example.com", "me@example.com"),
        (["a", {"b": [{"c": "@fact.arch"}]}], ["a", {"b": [{"c": "arm64"}]}]),
        ({"@fact.arch": "@fact.arch"}, {"@fact.arch": "arm64"}),
        ({"@fact.nobody": 1}, {"@fact.nobody": 1}),
        ({'"@fact.nobody': '\\"@fact.arch"\\'}, {'"@fact.nobody': '\\"arm64"\\'}),
        (None, None),
        (5, 5),
    ],
)
def test_references_are_replaced_at_any_depth(data: object, told: object) -> None:
    assert resolved(data) == told


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ("@fact.interface.primari", "'interface.primari', which this host lacks; did you mean interface.primary"),
        ("@fact.zzz", "'zzz', which this host lacks; it has arch, cpu_count, interface.primary"),
        ("@fact.interface", "'interface', which is no single value; name a fact that is text"),
        ("@fact.interfaces.name", "'interfaces.name', which is no single value"),
        ("@fact.nothing", "'nothing', which this host lacks"),
        ("@@fact.arch @fact.x.arch", "'x.arch'"),
    ],
)
def test_an_unknown_fact_is_refused_by_name(data: object, problem: str) -> None:
    with pytest.raises(InvalidPayloadError) as caught:
        resolved(["secret", data])
    assert problem in str(caught.value)
    assert "payload of 'test.echo': refers to the fact" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_host_without_facts_says_so() -> None:
    with pytest.raises(InvalidPayloadError, match="which this host lacks; it has none"):
        resolve_references("test.echo", msgspec.Raw(b'"@fact.arch"'), {})


@pytest.mark.parametrize("raw", [b'"\\u0040fact.arch"', b'"@f\\u0061ct.arch"', b'"\\u0040\\u0066act.arch"'])
def test_a_reference_may_be_written_with_escapes(raw: bytes) -> None:
    assert resolve_references("test.echo", msgspec.Raw(raw), FLAT) == msgspec.Raw(b'"arm64"')


@pytest.mark.parametrize(
    "raw",
    [
        b'{"n": 0.10000000000000000055, "a@b": 123456789012345678901234567890, "c": "a@b"}',
        b'{ "@fact.arch" : 1 }',
        b'"@\\ud800"',
        b"[" * 5000 + b'"@"' + b"]" * 5000,
    ],
)
def test_what_is_no_reference_stays_byte_for_byte(raw: bytes) -> None:
    assert bytes(resolve_references("test.echo", msgspec.Raw(raw), FLAT)) == raw


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab@fct."\\\u00e9', max_size=12) | st.just("@fact.arch"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('@fact."\\', max_size=12), inner, max_size=3),
    max_leaves=8,
)


def oracle(value: Any) -> Any:
    match value:
        case str():
            return value.replace("@@fact", "\0").replace("@fact.arch", "arm64").replace("\0", "@fact")
        case [*items]:
            return [oracle(item) for item in items]
        case {**members}:
            return {key: oracle(member) for key, member in members.items()}
        case _:
            return value


@given(values)
def test_only_strings_that_are_values_change(value: Any) -> None:
    text = json.dumps(value, indent=1).encode()
    try:
        told = resolve_references("test.echo", msgspec.Raw(text), FLAT)
    except InvalidPayloadError:
        return
    assert json.loads(bytes(told)) == oracle(value)
