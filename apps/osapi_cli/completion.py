"""The command `osapi completion`."""

from __future__ import annotations

import os

import click

from osapi_cli import exits
from osapi_cli.group import global_flags

VARIABLE = "_OSAPI_COMPLETE"

_EPILOG = """\b
Examples:
  bash, in ~/.bashrc:  eval "$(osapi completion bash)"
  zsh, in ~/.zshrc:    eval "$(osapi completion zsh)"
  fish, once:          osapi completion fish > ~/.config/fish/completions/osapi.fish"""


def complete(program: click.Group) -> int:
    """Answer a shell that asks what may follow, as the environment says, and return the exit status."""
    from click.shell_completion import shell_complete  # noqa: PLC0415

    return shell_complete(program, {}, "osapi", VARIABLE, os.environ[VARIABLE])


@click.command(epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@global_flags
def completion(shell: str) -> int:
    """Print what makes a shell complete osapi's commands, flags, and names of agents and operations."""
    from click import shell_completion  # noqa: PLC0415

    from osapi_cli.program import program  # noqa: PLC0415 - it imports us

    classes = {
        "bash": shell_completion.BashComplete,
        "zsh": shell_completion.ZshComplete,
        "fish": shell_completion.FishComplete,
    }
    click.echo(classes[shell](program, {}, "osapi", VARIABLE).source())
    return exits.OK
