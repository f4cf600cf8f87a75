"""What all commands share: their flags, and what was probably meant by a mistyped name."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from osapi_cli.configuration import Loaded

_DEBUG = "Show tracebacks and the log on stderr."
_JSON = "Print JSON, for programs."
_FILE = "The configuration file; else $OSAPI_CONFIG, ~/.config/osapi/osapi.yaml or /etc/osapi/osapi.yaml."

_SENTENCE = 1000

AnyCommand = TypeVar("AnyCommand", bound="Callable[..., object]")


@dataclass
class Flags:
    """The flags that every command knows."""

    json: bool = False
    debug: bool = False
    file: str = ""

    def configuration(self, flags: Mapping[str, tuple[str, str]] | None = None) -> Loaded:
        """Return the configuration with a command's own flags over it, and tell on stderr what to warn of.

        Raises:
            ConfigurationError

        """
        import os  # noqa: PLC0415

        from osapi_cli import exits  # noqa: PLC0415
        from osapi_cli.configuration import load  # noqa: PLC0415 - only for commands that need it

        loaded = load(self.file, os.environ, flags)
        for warning in loaded.warnings:
            exits.tell(f"warning: {warning}")
        return loaded


class Program(click.Group):
    """A group that says what was probably meant by a mistyped command, and that one is missing if it is.

    `lazy` names commands that are imported when they are asked for, as `module:attribute`.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, str] | None = None, **settings: Any) -> None:
        # Else click answers with the whole help, and its versions differ in where and with which status.
        super().__init__(*args, **{"no_args_is_help": False, **settings})
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, those that were not imported yet included."""
        return sorted({*self.commands, *self.lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now if it was not before."""
        if cmd_name not in self.commands and cmd_name in self.lazy:
            module, _, attribute = self.lazy[cmd_name].partition(":")
            self.add_command(getattr(import_module(module), attribute), cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names."""
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            raise click.UsageError(f"there is no command {name!r}{self._hint(ctx, name)}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run what was asked for; some errors of click do not know of which command they are, and are told here."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            name = ctx.invoked_subcommand
            command = self.get_command(ctx, name) if error.ctx is None and name else None
            if command is not None:
                error.ctx = click.Context(command, info_name=name, parent=ctx)
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, each with its whole first sentence: click would cut it to one line."""
        named = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, command.get_short_help_str(limit=_SENTENCE)) for name, command in named if command is not None]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def _hint(self, ctx: click.Context, name: str) -> str:
        from difflib import get_close_matches  # noqa: PLC0415 - only for those who mistype

        near = get_close_matches(name, self.list_commands(ctx))
        return f"; did you mean {' or '.join(near)}?" if near else ""


def _set(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value and param.name:
        setattr(ctx.ensure_object(Flags), param.name, value)


def global_flags(command: AnyCommand) -> AnyCommand:
    """Give a command the flags of every command; they mean the same before and after its name."""
    for option in (
        click.option("-d", "--debug", is_flag=True, expose_value=False, callback=_set, help=_DEBUG),
        click.option("-f", "--osapi-file", "file", metavar="PATH", expose_value=False, callback=_set, help=_FILE),
        click.option("-j", "--json", is_flag=True, expose_value=False, callback=_set, help=_JSON),
    ):
        command = option(command)
    return command
