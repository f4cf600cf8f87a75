"""Variables into nodes, put over those of the file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import inspect

from osapi.rules.names import nearest
from osapi_cli.configuration.document import Items, Node, Table, Text, parse
from osapi_cli.configuration.keys import FILES, KEYS, VARIABLES, Key, is_unused_variable
from osapi_cli.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIX: Final = "OSAPI_"

# They begin like our keys and are none: one says where the file is, one where nats-server is.
_OTHERS: Final = frozenset({"OSAPI_CONFIG", "OSAPI_NATS_SERVER"})

# Kubernetes tells every container in the namespace of each service: one called osapi as OSAPI_SERVICE_HOST and
# OSAPI_PORT_8080_TCP, one called osapi-nats as OSAPI_NATS_SERVICE_HOST and so on.
_INJECTED: Final = re.compile(
    r"OSAPI_(?:SERVICE_.*|PORT(?:_.*)?|.*_SERVICE_(?:HOST|PORT(?:_.*)?)|.*_PORT_\d+_(?:TCP|UDP|SCTP)(?:_.*)?)"
)
_INJECTED_PORT: Final = re.compile(r"(?:tcp|udp|sctp)://.*")

_MAX_SECRET: Final = 64 * 1024


class Overlay:
    """Puts variables over a document, and keeps what was wrong with them."""

    def __init__(self, root: Table) -> None:
        self.root = root
        self.problems: list[ProblemError] = []
        self.warnings: list[str] = []

    def add(self, environ: Mapping[str, str]) -> None:
        """Put every variable that is not empty over the document."""
        for name in sorted(name for name, value in environ.items() if name.startswith(_PREFIX) and value):
            try:
                self._add(name, environ)
            except ProblemError as problem:
                self.problems.append(problem)

    def add_flags(self, flags: Mapping[str, tuple[str, str]]) -> None:
        """Put what the command line says over that: for a key its flag and the text."""
        for path, (flag, text) in flags.items():
            self._put(KEYS[path], Text(text, flag))

    def _add(self, name: str, environ: Mapping[str, str]) -> None:
        if name in _OTHERS or _is_injected(name, environ[name]):
            return
        if key := VARIABLES.get(name):
            self._put(key, self._node(key, environ[name], f"${name}"))
        elif key := FILES.get(name):
            if environ.get(name.removesuffix("_FILE")):
                raise ProblemError(f"${name}", key.path, "is given by the variable without _FILE too", "unset one")
            self._put(key, Text(_secret(key, name, environ[name]), f"${name}"))
        elif is_unused_variable(name):
            self.warnings.append(f"${name} is not used; unset it")
        else:
            raise ProblemError(f"${name}", "", "names no key of the configuration", _remedy(name))

    def _node(self, key: Key, value: str, where: str) -> Node:
        is_list = isinstance(key.type, inspect.VarTupleType) and value.lstrip().startswith("[")
        if is_list or isinstance(key.type, inspect.DictType):
            node, problems = parse(value, where, lines=False)
            self.problems.extend(problems)
            # What is no YAML has been told; that it is not the right YAML either need not be.
            return Text("", where, null=True) if problems else node
        return Text(value, where)

    def _put(self, key: Key, node: Node) -> None:
        *sections, last = key.path.split(".")
        table = self.root
        for section in sections:
            inner = table.entries.get(section)
            if isinstance(inner, Items) or (isinstance(inner, Text) and not inner.null):
                return  # it is no section, which reading it will tell
            # A copy: the same table may stand elsewhere too, by an alias.
            copy = Table(inner.where, {**inner.entries}, {**inner.places}) if isinstance(inner, Table) else None
            table.entries[section] = table = copy or Table(node.where, {}, {})
        table.entries[last] = node
        table.places[last] = node.where


def _is_injected(name: str, value: str) -> bool:
    return bool(_INJECTED.fullmatch(name)) or (name.endswith("_PORT") and bool(_INJECTED_PORT.fullmatch(value)))


def _secret(key: Key, name: str, file: str) -> str:
    """Return what a file holds, without the line end that editors leave."""
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(_MAX_SECRET + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ProblemError(
            f"${name}", key.path, f"{file!r} cannot be read: {reason}", "give a readable file"
        ) from error
    if len(content) > _MAX_SECRET:
        raise ProblemError(f"${name}", key.path, f"{file!r} is too large for a secret", f"at most {_MAX_SECRET} bytes")
    try:
        return content.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise ProblemError(f"${name}", key.path, f"{file!r} is not UTF-8", "write the secret as text") from error


def _remedy(name: str) -> str:
    # Without what all of them begin with, which would make every name look like every other.
    known = [other.removeprefix(_PREFIX) for other in (*VARIABLES, *FILES)]
    bare = name.removeprefix(_PREFIX)
    near = nearest(bare, known) or [other for other in known if bare.startswith(f"{other}_")]
    if not near:
        return "unset it; `osapi config show` lists the keys"
    return f"did you mean {' or '.join(f'${_PREFIX}{other}' for other in near)}?"
