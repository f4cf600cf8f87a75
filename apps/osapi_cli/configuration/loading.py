"""Which file, what is in it, and the variables over it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from osapi_cli.configuration.checks import check, reconcile
from osapi_cli.configuration.document import MAX_BYTES, Node, Table, Text, parse
from osapi_cli.configuration.environment import Overlay
from osapi_cli.configuration.idle import advise, value_of
from osapi_cli.configuration.keys import KEYS, ROOT, variable
from osapi_cli.configuration.reading import Reader
from osapi_cli.configuration.schema import Configuration
from osapi_cli.problems import ProblemError, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping

_SYSTEM: Final = Path("/etc/osapi/osapi.yaml")


class Loaded(Struct, frozen=True):
    """A configuration, the file it is from, what to warn of, and where each key that was given stands."""

    configuration: Configuration
    file: Path | None
    warnings: list[str]
    given: dict[str, str]


def load(file: str | None, environ: Mapping[str, str], flags: Mapping[str, tuple[str, str]] | None = None) -> Loaded:
    """Return the configuration of this file, or of the one that is found, with the variables over it.

    Over both go the `flags` of the command line: for a key the flag's name, which begins with --, and its text.

    Raises:
        ConfigurationError: tells everything that is wrong with it.

    """
    path = find(file, environ)
    root, problems = _document(path) if path else (_nothing(), [])
    table = root if isinstance(root, Table) else _nothing()
    if not problems and root is not table and not (isinstance(root, Text) and root.null):
        problems.append(
            ProblemError(root.where, "", "holds no keys", "begin lines with `controller:`, `nats:` and so on")
        )
    overlay = Overlay(table)
    overlay.add(environ)
    overlay.add_flags(flags or {})
    reader = Reader()
    configuration: Configuration = reader.read(ROOT, table, "", Configuration())
    problems += overlay.problems + reader.problems
    problems += check(configuration, reader.given) if not problems else []
    if problems:
        raise refuse(problems)
    advice = [*advise(configuration, reader.given)]
    configuration, shortened = reconcile(configuration, reader.given)
    return Loaded(configuration, path, overlay.warnings + reader.warnings + advice + shortened, reader.given)


def find(file: str | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to read: the one that is named, else the user's or the system's if it is there."""
    named = file or environ.get("OSAPI_CONFIG")
    if named:
        return Path(named)
    folder = environ.get("XDG_CONFIG_HOME", "")
    if not folder.startswith("/"):  # the specification says to ignore a relative one
        folder = f"{environ.get('HOME', '')}/.config"
    return next((path for path in (Path(folder, "osapi", "osapi.yaml"), _SYSTEM) if _is_there(path)), None)


def require(loaded: Loaded, *keys: str) -> None:
    """Refuse to go on without a value for these keys, which have no default.

    Raises:
        ConfigurationError

    """
    where = str(loaded.file) if loaded.file else "no file"
    missing = [
        ProblemError(where, key, "is required and not given", f"set it there, or {_variables(key)}")
        for key in keys
        if not value_of(loaded.configuration, key)
    ]
    if missing:
        raise refuse(missing)


def _variables(key: str) -> str:
    name = variable(key)
    return f"${name}, or ${name}_FILE" if KEYS[key].secret else f"${name}"


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return True  # there, but not for us: reading it will tell


def _document(path: Path) -> tuple[Node, list[ProblemError]]:
    try:
        with path.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            return _nothing(), [ProblemError(str(path), "", "is too large", f"write at most {MAX_BYTES} bytes")]
        text = content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        return _nothing(), [ProblemError(str(path), "", f"cannot be read: {reason}", "name a readable YAML file")]
    return parse(text, str(path))


def _nothing() -> Table:
    return Table("", {}, {})
