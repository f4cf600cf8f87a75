"""YAML into nodes that know where they stand.

Only what a configuration needs is taken: one document of mappings, lists and text. Whether text is a number is for
the schema to say, so `version: 1.10` and `namespace: no` lose nothing. Tags are refused, and with them everything that
would execute. Nodes are made of the parser's events, one by one: no recursion, whatever is nested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import yaml
from msgspec import Struct

from osapi.errors import shown
from osapi_cli.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES: Final = 1024 * 1024
_MAX_DEPTH: Final = 20  # twice the schema's; beyond some thousand, libyaml takes minutes
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_LOADER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader


class Text(Struct, frozen=True):
    """A scalar as it was written; `null` if nothing was given."""

    text: str
    where: str
    null: bool = False


class Items(Struct):
    """A list."""

    where: str
    items: list[Node]


class Table(Struct):
    """A mapping; `places` says where each key stands."""

    where: str
    entries: dict[str, Node]
    places: dict[str, str]


Node: TypeAlias = Text | Items | Table


def parse(text: str, source: str, *, lines: bool = True) -> tuple[Node, list[ProblemError]]:
    """Return the document of a text, and what is wrong with it; a place is the source with the line, if it has any."""
    builder = _Builder(source, lines=lines)
    try:
        for event in _events(text):
            builder.take(event)
    except ProblemError as problem:
        builder.problems.append(problem)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = builder.where(mark.line) if mark else source
        told = error.problem or error.context or ""
        deep = "nesting depth" in told  # newer libyaml stops by itself, a long way down
        builder.problems.append(_too_deep(where) if deep else ProblemError(where, "", f"is not YAML: {told}", _FORM))
    except (yaml.YAMLError, UnicodeError) as error:
        told = " ".join(str(error).split())
        builder.problems.append(ProblemError(source, "", f"is not YAML: {told}", "write text in UTF-8"))
    return builder.root, builder.problems


_FORM: Final = "write `key: value`, with deeper keys indented by two spaces"


def _too_deep(where: str) -> ProblemError:
    return ProblemError(where, "", "is nested too deeply", f"nest at most {_MAX_DEPTH} levels")


def _events(text: str) -> Iterator[yaml.Event]:
    # What the generator of PyYAML does, which would leave its parser to the garbage collector.
    yield from yaml.parse(text, Loader=_LOADER)


class _Builder:
    """Takes events and leaves the document in `root`."""

    def __init__(self, source: str, *, lines: bool) -> None:
        self.problems: list[ProblemError] = []
        self.root: Node = Text("", source, null=True)
        self._source = source
        self._lines = lines
        self._anchors: dict[str, Node] = {}
        self._open: list[Items | Table] = []
        self._names: list[str | None] = []  # of the anchors of what is open
        self._keys: list[tuple[str, str] | None] = []  # for each open table, the key that waits for its value
        self._documents = 0

    def where(self, line: int) -> str:
        """Return how a place is told; lines count from 0 here, as PyYAML does."""
        return f"{self._source}:{line + 1}" if self._lines else self._source

    def take(self, event: yaml.Event) -> None:
        """Add one event.

        Raises:
            ProblemError: reading on makes no sense.

        """
        where = self.where(event.start_mark.line if event.start_mark else 0)
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise ProblemError(where, "", "a second document begins", "write one document, without ---")
            case yaml.AliasEvent():
                self._alias(event.anchor or "", where)
            case yaml.ScalarEvent() | yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._begin(event, where)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._end()
            case _:
                pass

    def _begin(self, event: yaml.ScalarEvent | yaml.SequenceStartEvent | yaml.MappingStartEvent, where: str) -> None:
        if event.tag is not None:
            raise ProblemError(where, "", f"has the tag {shown(event.tag)}", "write the value without a tag")
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style is None or event.style == ""
            self._add(Text(event.value, where, plain and event.value in _NULLS), where, event.anchor)
            return
        node = Items(where, []) if isinstance(event, yaml.SequenceStartEvent) else Table(where, {}, {})
        if len(self._open) >= _MAX_DEPTH:
            raise _too_deep(where)
        self._refuse_as_key(where)
        self._open.append(node)
        self._names.append(event.anchor)
        self._keys.append(None)

    def _end(self) -> None:
        node = self._open.pop()
        self._keys.pop()
        self._add(node, node.where, self._names.pop())

    def _alias(self, anchor: str, where: str) -> None:
        if anchor not in self._anchors:
            raise ProblemError(where, "", f"*{anchor} stands for nothing", f"mark its value with &{anchor} before")
        self._add(self._anchors[anchor], where, None)

    def _add(self, node: Node, where: str, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
        elif isinstance(inner := self._open[-1], Items):
            inner.items.append(node)
        elif (key := self._keys[-1]) is None:
            self._refuse_as_key(where, node)
            assert isinstance(node, Text)  # noqa: S101 - else it was refused
            self._keys[-1] = (node.text, where)
        else:
            self._keys[-1] = None
            self._put(inner, *key, node)

    def _refuse_as_key(self, where: str, node: Node | None = None) -> None:
        waits = bool(self._open) and isinstance(self._open[-1], Table) and self._keys[-1] is None
        if waits and not isinstance(node, Text):
            raise ProblemError(where, "", "a list or a mapping is no key", _FORM)

    def _put(self, table: Table, key: str, where: str, node: Node) -> None:
        if key in table.entries:
            first = table.places[key]
            self.problems.append(ProblemError(where, key, f"is already given at {first}", "remove one of them"))
            return
        table.entries[key] = node
        table.places[key] = where
