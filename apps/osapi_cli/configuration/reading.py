"""Nodes into the schema's types. What is wrong is collected, and the default stands in for it."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final

from msgspec import NODEFAULT, inspect

from osapi.rules.names import nearest
from osapi_cli.configuration.document import Items, Node, Table, Text
from osapi_cli.configuration.durations import parse_duration, print_duration
from osapi_cli.configuration.keys import KEYS, PATHS, default_of, is_unused, unwrapped
from osapi_cli.problems import ProblemError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

# More than any configuration has. With aliases a small file may stand for a huge one.
_MAX_VALUES: Final = 20_000

_TRUTHS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1", "t"), True),
    **dict.fromkeys(("false", "no", "off", "0", "f"), False),
}
_WHOLE: Final = re.compile(r"[+-]?(?:0|[1-9]\d{0,17})", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?\d{1,18}(?:\.\d{0,18})?(?:[eE][+-]?\d{1,3})?", re.ASCII)


class Reader:
    """Reads a document; afterwards it knows what was wrong, what is not used, and where each key was given."""

    def __init__(self) -> None:
        self.problems: list[ProblemError] = []
        self.warnings: list[str] = []
        self.given: dict[str, str] = {}
        self._values = 0

    def read(self, type_: inspect.Type, node: Node, path: str, default: Any) -> Any:
        """Return the node's value; the default if it is null, and if it is wrong."""
        inner, marks = unwrapped(type_)
        self._values += 1
        if self._values > _MAX_VALUES:
            if self._values == _MAX_VALUES + 1:
                self._refuse(node, path, f"is more than {_MAX_VALUES} values", "write less, or use fewer aliases")
            return default
        if isinstance(node, Text) and node.null and default is not NODEFAULT:
            return default
        match inner:
            case inspect.StructType():
                return self._struct(inner, node, path, default)
            case inspect.VarTupleType():
                return self._list(inner, node, path, default)
            case inspect.DictType():
                return self._map(inner, node, path, default)
            case _:
                return self._leaf(inner, marks, node, path, default)

    def _refuse(self, node: Node, path: str, problem: str, remedy: str) -> None:
        self.problems.append(ProblemError(node.where, path, problem, remedy))

    def _note(self, node: Node, path: str) -> None:
        if path in KEYS:  # and not an item of a list, nor a name in a map
            self.given[path] = node.where

    # --- What holds more ---------------------------------------------------------------------------------------

    def _struct(self, type_: inspect.StructType, node: Node, path: str, default: Any) -> Any:
        if not isinstance(node, Table):
            self._refuse(node, path, f"is {_kind(node)}", f"write the keys {_some(type_)} below it, indented")
            return default
        values = self._fields(type_, node, path, default)
        return default if NODEFAULT in values.values() else type_.cls(**values)

    def _fields(self, type_: inspect.StructType, node: Table, path: str, default: Any) -> dict[str, Any]:
        prefix = f"{path}." if path else ""
        known = {field.name for field in type_.fields}
        for name in node.entries:
            if name not in known:
                self._stranger(type_, node.places[name], prefix, name)
        values: dict[str, Any] = {}
        for field in type_.fields:
            mine = default_of(field) if default is NODEFAULT else getattr(default, field.name)
            if field.name in node.entries:
                values[field.name] = self.read(field.type, node.entries[field.name], f"{prefix}{field.name}", mine)
            else:
                values[field.name] = mine
                if mine is NODEFAULT:
                    self._refuse(node, path, f"has no {field.name}", "give it")
        return values

    def _stranger(self, type_: inspect.StructType, where: str, prefix: str, name: str) -> None:
        path = f"{prefix}{name}"
        if is_unused(path):
            self.warnings.append(f"{where}: {path} is not used; it may be removed")
            return
        near = [f"{prefix}{one}" for one in nearest(name, [field.name for field in type_.fields])]
        near = near or [known for known in PATHS if known.endswith(f".{name}")]
        remedy = f"did you mean {' or '.join(near[:3])}?" if near else f"known here are {_some(type_)}"
        self.problems.append(ProblemError(where, path, "is an unknown key", remedy))

    def _list(self, type_: inspect.VarTupleType, node: Node, path: str, default: Any) -> Any:
        if isinstance(node, Text) and not isinstance(type_.item_type, inspect.StructType):
            parts = [part.strip() for part in node.text.split(",")] if node.text else []
            node = Items(node.where, [Text(part, node.where) for part in parts])
        if not isinstance(node, Items):
            self._refuse(node, path, f"is {_kind(node)}", "write a list, one `- ` a line or in [ ]")
            return default
        self._note(node, path)
        read = [
            self.read(type_.item_type, item, f"{path}[{place}]", NODEFAULT) for place, item in enumerate(node.items)
        ]
        return default if NODEFAULT in read else tuple(read)

    def _map(self, type_: inspect.DictType, node: Node, path: str, default: Any) -> Any:
        if not isinstance(node, Table):
            self._refuse(node, path, f"is {_kind(node)}", "write `name: value` for each, indented or in { }")
            return default
        self._note(node, path)
        read = {
            name: self.read(type_.value_type, value, f"{path}.{name}", NODEFAULT)
            for name, value in node.entries.items()
        }
        return default if NODEFAULT in read.values() else read

    # --- What is a value ---------------------------------------------------------------------------------------

    def _leaf(self, type_: inspect.Type, marks: dict[str, Any], node: Node, path: str, default: Any) -> Any:
        if not isinstance(node, Text):
            self._refuse(node, path, f"is {_kind(node)}", "write one value")
            return default
        if "duration" in marks and not node.text and default is not NODEFAULT:
            return default  # as Go's files have it
        self._note(node, path)
        read = _duration if "duration" in marks else _READ[type(type_)]
        value, remedy = read(type_, node.text)
        if remedy:
            self._refuse(node, path, f"is {quoted(node.text, secret='secret' in marks)}", remedy)
            return default
        return value


# Each returns the value, or what would be right.
_Read = tuple[Any, str]


def _bool(type_: Any, text: str) -> _Read:
    value = _TRUTHS.get(text.lower())
    return value, "" if value is not None else "write true or false"


def _int(type_: inspect.IntType, text: str) -> _Read:
    fits = _WHOLE.fullmatch(text) and _within(type_, int(text))
    return (int(text), "") if fits else (None, f"write a whole number, {_range(type_, str)}")


def _float(type_: inspect.FloatType, text: str) -> _Read:
    fits = _NUMBER.fullmatch(text) and _within(type_, float(text))
    return (float(text), "") if fits else (None, f"write a number, {_range(type_, str)}")


def _duration(type_: Any, text: str) -> _Read:
    seconds = parse_duration(text)
    if seconds is not None and _within(type_, seconds):
        return seconds, ""
    return None, f"write a duration such as 30s, 1h30m or 720h, {_range(type_, print_duration)}"


def _text(type_: inspect.StrType, text: str) -> _Read:
    return text, "" if len(text) >= (type_.min_length or 0) else "write at least one character"


def _choice(type_: inspect.LiteralType, text: str) -> _Read:
    return text, "" if text in type_.values else f"write {' or '.join(map(repr, type_.values))}"


_READ: Final[dict[type, Callable[[Any, str], _Read]]] = {
    inspect.BoolType: _bool,
    inspect.IntType: _int,
    inspect.FloatType: _float,
    inspect.StrType: _text,
    inspect.LiteralType: _choice,
}


def _within(type_: inspect.IntType | inspect.FloatType, value: float) -> bool:
    low = -math.inf if type_.ge is None else type_.ge
    above = type_.gt is None or value > type_.gt
    return above and low <= value <= (math.inf if type_.le is None else type_.le)


def _range(type_: inspect.IntType | inspect.FloatType, show: Callable[[Any], str]) -> str:
    low = f"more than {show(type_.gt)}" if type_.gt is not None else f"at least {show(type_.ge)}"
    return low if type_.le is None else f"{low} and at most {show(type_.le)}"


def _kind(node: Node) -> str:
    match node:
        case Text():
            return "a single value"  # which is not quoted: it may be a secret that stands in the wrong place
        case Items():
            return "a list"
        case Table():
            return "a mapping"


def _some(type_: inspect.StructType) -> str:
    return ", ".join(field.name for field in type_.fields)
