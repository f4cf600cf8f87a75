"""Facts: what an agent tells of its host, how it is asked for, and how a job refers to it.

Facts are a mapping by name whose values are JSON: text, numbers, booleans, mappings and lists of these. Each is asked
for by the names on the way to it, joined by dots: `interface.primary`. A list has all the values of its items. Values
are compared as text: `8`, `true`, `eth0`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import msgspec

from osapi.errors import InvalidPayloadError, InvalidSettingError, shown
from osapi.rules.names import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FACTS_BYTES = 64 * 1024
MAX_DEPTH = 16

# A value under each name: text, or a tuple where a list is on the way.
FlatFacts: TypeAlias = Mapping[str, "str | tuple[str, ...]"]

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_REFERENCE = re.compile(r"@@fact|@fact\.([A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)")
# A string of a JSON text that is known to be well formed, and the colon behind it if it is a key.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"(\s*:)?', re.DOTALL)
_FORM = "give names of letters, digits, `-` and `_` and values that JSON can hold"


def normalise_facts(facts: object) -> dict[str, Any]:
    """Return facts as plain JSON values, as those read who look at them from elsewhere.

    Raises:
        InvalidSettingError: they are no mapping, no JSON, have a name that cannot be asked for, are nested deeper
            than 16, or take more than 64 KiB.

    """
    if not isinstance(facts, Mapping):
        raise InvalidSettingError(facts, f"is of type {type(facts).__name__}, not a mapping of facts", _FORM)
    try:
        raw = msgspec.json.encode(facts)
        plain: dict[str, Any] = msgspec.json.decode(raw, type=dict[str, Any])
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise InvalidSettingError("facts", f"cannot be written as JSON ({error})", _FORM) from error
    if len(raw) > MAX_FACTS_BYTES:
        raise InvalidSettingError("facts", f"take {len(raw)} bytes", f"use at most {MAX_FACTS_BYTES}")
    flatten(plain)
    return plain


def flatten(facts: Mapping[str, Any]) -> dict[str, str | tuple[str, ...]]:
    """Return each value under its dotted name; takes JSON that was read. Null and empty text are no values.

    Raises:
        InvalidSettingError: a name that cannot be asked for, or more than 16 levels.

    """
    single: dict[str, str] = {}
    several: dict[str, list[str]] = {}
    for name, value, listed in _leaves((), facts, listed=False, levels=MAX_DEPTH):
        if listed:
            several.setdefault(name, []).append(value)
        else:
            single[name] = value
    return {**single, **{name: tuple(values) for name, values in several.items()}}


def _leaves(path: tuple[str, ...], value: object, *, listed: bool, levels: int) -> Iterator[tuple[str, str, bool]]:
    if not levels:
        raise InvalidSettingError(".".join(path), f"is a fact nested more than {MAX_DEPTH} deep", "make it flatter")
    if isinstance(value, Mapping):
        for name, inner in cast("Mapping[str, object]", value).items():
            if not _NAME.fullmatch(name):
                raise InvalidSettingError(name, "is no name of a fact", _FORM)
            yield from _leaves((*path, name), inner, listed=listed, levels=levels - 1)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _leaves(path, inner, listed=True, levels=levels - 1)
    elif value not in (None, ""):
        yield ".".join(path), value if isinstance(value, str) else msgspec.json.encode(value).decode(), listed


# --- References in the data of a job -----------------------------------------------------------------------


def resolve_references(operation: str, raw: msgspec.Raw, facts: FlatFacts) -> msgspec.Raw:
    """Return a payload with every `@fact.NAME` in its text replaced by that fact's value, at any depth.

    `@@fact` stands for `@fact` itself. Keys of objects stay as they are, and text stays text: a number that replaces
    a whole string is still a string.

    Raises:
        InvalidPayloadError: there is no such fact, or it is a list or a mapping

    """
    text = bytes(raw)
    # Almost no payload has one, and then it is not read here. A stranger may have written the sign as an escape.
    if b"@" not in text and b"\\u" not in text:
        return raw
    # Only the strings are touched: numbers keep every digit, and no depth is too deep.
    return msgspec.Raw(_STRING.sub(lambda literal: _literal(operation, literal, facts), text))


def _literal(operation: str, literal: re.Match[bytes], facts: FlatFacts) -> bytes:
    if literal[1]:
        return literal[0]
    try:
        text = msgspec.json.decode(literal[0], type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return literal[0]  # whoever reads the payload as the operation's type says what is wrong with it
    told = _REFERENCE.sub(lambda found: _replacement(operation, found, facts), text)
    return literal[0] if told == text else msgspec.json.encode(told)


def _replacement(operation: str, found: re.Match[str], facts: FlatFacts) -> str:
    name = found[1]
    if name is None:
        return "@fact"
    value = facts.get(name)
    if isinstance(value, str):
        return value
    if value is not None or any(known.startswith(f"{name}.") for known in facts):
        raise InvalidPayloadError(operation, f"refers to the fact {shown(name)}, which is no single value", _REMEDY)
    raise InvalidPayloadError(operation, f"refers to the fact {shown(name)}, which this host lacks", _near(name, facts))


_REMEDY = "name a fact that is text, a number or a boolean; write @@fact for `@fact` itself"


def _near(name: str, facts: FlatFacts) -> str:
    near = nearest(name, facts)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"it has {', '.join(sorted(facts)[:10])}" if facts else "it has none"
