"""The commands `osapi client node command`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from osapi_cli.client import work
from osapi_cli.client.options import (
    ITEMS,
    WORDS,
    AnyCommand,
    detach_option,
    examples,
    flags_of,
    target_of,
    target_option,
)
from osapi_cli.group import Program, global_flags

if TYPE_CHECKING:
    from collections.abc import Callable

_STDOUT = (
    "Print what the command wrote, raw, each line after `[host] ` if several hosts answered; the exit status is the "
    "highest of theirs."
)


def _shared(command: AnyCommand) -> AnyCommand:
    options: tuple[Callable[[AnyCommand], AnyCommand], ...] = (
        click.option("--cwd", type=WORDS, metavar="D", help="Where to run it, an absolute path."),
        click.option(
            "--timeout",
            type=click.IntRange(1, 300),
            default=30,
            show_default=True,
            metavar="SECONDS",
            help="When it is killed, 1 to 300 seconds.",
        ),
        click.option("--stdout", "raw", is_flag=True, help=_STDOUT),
        detach_option,
        target_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=Program)
@target_option
@global_flags
def command() -> None:
    """Run commands on hosts."""


@command.command(
    "exec",
    epilog=examples(
        "osapi client node command exec -T web-01 --command systemctl --args status,nginx",
        "osapi client node command exec -T group:web --command uptime --stdout",
    ),
)
@click.option("--command", "program", type=WORDS, required=True, metavar="C", help="The program.")
@click.option("--args", "arguments", type=ITEMS, metavar="A,B", help="Its arguments, commas between them.")
@click.option("--arg", "more", multiple=True, metavar="A", help="One more argument, commas and all. May be repeated.")
@_shared
@global_flags
@click.pass_context
def execute(
    ctx: click.Context,
    program: str,
    arguments: list[str] | None,
    more: tuple[str, ...],
    cwd: str | None,
    timeout: int,
    *,
    raw: bool,
    detach: bool,
) -> int:
    """Run a program, without a shell."""
    body = {"command": program, "args": [*(arguments or ()), *more], "cwd": cwd, "timeout": timeout}
    return work.command.run(flags_of(ctx), target_of(ctx), "exec", body, raw=raw, detach=detach)


@command.command(
    epilog=examples(
        "osapi client node command shell -T db-01 --command 'df -h | tail -n 3'",
        "osapi client node command shell -T _all --command 'uname -r' --stdout | sort",
    )
)
@click.option("--command", "line", type=WORDS, required=True, metavar="C", help="A line for /bin/sh.")
@_shared
@global_flags
@click.pass_context
def shell(ctx: click.Context, line: str, cwd: str | None, timeout: int, *, raw: bool, detach: bool) -> int:
    """Run a line in /bin/sh."""
    body = {"command": line, "cwd": cwd, "timeout": timeout}
    return work.command.run(flags_of(ctx), target_of(ctx), "shell", body, raw=raw, detach=detach)
