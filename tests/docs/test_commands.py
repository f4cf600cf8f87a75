"""Every command in the documentation is one that there is, with flags that it has."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from osapi_cli.group import Flags
from osapi_cli.program import program

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`osapi ([^`,]+)`")
_COMMAND = r"(?:export )?(?:\w+=(?:'[^']*'|\S*) +)*(?:\.venv/bin/)?osapi (.*)$"
_TYPED = {
    "console": re.compile(rf"^\$ {_COMMAND}", re.MULTILINE),
    "text": re.compile(rf"^\$ {_COMMAND}", re.MULTILINE),
    "sh": re.compile(rf"^{_COMMAND}", re.MULTILINE),
    "indented": re.compile(rf"^ {{4}}{_COMMAND}", re.MULTILINE),
}
_ENDS = ("|", "&&", ">", "#")


def _pages() -> Iterator[tuple[str, str]]:
    generated = _ROOT / "docs" / "reference" / "cli.md"
    for page in [_ROOT / "README.md", *sorted((_ROOT / "docs").rglob("*.md"))]:
        if "_build" not in page.parts and page != generated:
            yield str(page.relative_to(_ROOT)), page.read_text(encoding="utf-8")


def _typed() -> Iterator[tuple[str, str]]:
    """Yield each command line that the reader is to type."""
    for name, text in _pages():
        blocks = [*_FENCE.findall(text), ("indented", _FENCE.sub("", text))]
        yield from ((name, line) for kind, block in blocks if kind in _TYPED for line in _TYPED[kind].findall(block))


def _said() -> Iterator[tuple[str, str]]:
    """Yield each command that is spoken of; it may be without what it needs."""
    for name, text in _pages():
        for line in _INLINE.findall(_FENCE.sub("", text)):
            yield name, line


def _words(line: str) -> list[str]:
    words = shlex.split(line.rstrip('\\"'), comments=True)
    return words[: min((words.index(end) for end in _ENDS if end in words), default=len(words))]


def _parse(words: list[str], *, complete: bool) -> None:
    """Refuse words that the program would refuse; only the commands if they are not said to be complete."""
    command: click.Command = program
    context = click.Context(program, info_name="osapi", obj=Flags())
    while isinstance(command, click.Group):
        if words and words[0] in {"--help", "-h", "--version"}:
            return
        if not words:
            assert not complete or command.invoke_without_command, "a command is missing"
            return
        if words[0].startswith("-") and command.invoke_without_command:
            break
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
        context = click.Context(command, info_name=command.name, parent=context, obj=context.obj)
    if complete:
        command.make_context(command.name, words, parent=context.parent)


@pytest.mark.parametrize(("page", "line"), sorted(set(_typed())))
def test_what_is_to_be_typed_can_be(page: str, line: str) -> None:
    _parse(_words(line), complete=True)


@pytest.mark.parametrize(("page", "line"), sorted(set(_said())))
def test_what_is_spoken_of_is_there(page: str, line: str) -> None:
    _parse([word for word in line.split() if re.fullmatch(r"-{0,2}[a-z][a-z-]*", word)], complete=False)


def test_there_are_commands_and_wrong_ones_are_found() -> None:
    assert len(set(_typed())) > 40
    for line in ("client job watc --job-id x", "client job watch", "client job watch --job x --no"):
        with pytest.raises(click.UsageError):
            _parse(_words(line), complete=True)
    with pytest.raises(click.UsageError):
        _parse(["clint"], complete=False)
