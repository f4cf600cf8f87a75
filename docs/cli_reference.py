"""Writes the commands into the page on the command line: `python docs/cli_reference.py`.

A test compares the page with what is written here, so that it cannot tell anything but what `--help` tells.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from osapi_cli.program import program

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parent / "reference" / "cli.md"
MARK = "<!-- From here on, docs/cli_reference.py writes what `--help` tells. -->\n"

# Every command has them; the page tells of them once.
_EVERYWHERE = {"debug", "file", "json", "help"}


def write() -> None:
    """Bring the page up to date."""
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(head + MARK + render(), encoding="utf-8")


def render() -> str:
    """Return the part of the page that is about the commands."""
    return "".join(f"\n{line}\n" if line else "" for line in _group(program, click.Context(program, info_name="osapi")))


def _group(group: click.Group, ctx: click.Context) -> Iterator[str]:
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        below = click.Context(command, parent=ctx, info_name=name)
        alone = not isinstance(command, click.Group) or command.invoke_without_command
        if alone:
            yield from _command(command, below)
        if isinstance(command, click.Group):
            yield from _group(command, below)


def _command(command: click.Command, ctx: click.Context) -> Iterator[str]:
    arguments = "".join(f" {param.make_metavar(ctx)}" for param in command.params if isinstance(param, click.Argument))
    yield f"### {ctx.command_path}{arguments}"
    yield _text(command.help)
    yield "\n".join(_options(command, ctx))
    epilog = (command.epilog or "").removeprefix("\b\n")
    if epilog.startswith("Examples:\n"):
        lines = "\n".join(line.strip() for line in epilog.splitlines()[1:])
        yield f"```console\n{lines}\n```"


def _text(told: str | None) -> str:
    return " ".join((told or "").split()).replace("<", "&lt;").replace("*", "\\*")


def _options(command: click.Command, ctx: click.Context) -> Iterator[str]:
    shown = [param for param in command.params if isinstance(param, click.Option) and param.name not in _EVERYWHERE]
    if shown:
        yield "| Flag | |\n| --- | --- |"
    for option in shown:
        record = option.get_help_record(ctx)
        assert record is not None
        flag, told = (part.replace("|", "\\|") for part in record)
        yield f"| `{flag}` | {_text(told)} |"


if __name__ == "__main__":
    write()
