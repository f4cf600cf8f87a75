"""The program's commands and flags. What a command needs is imported when it runs: `osapi --help` shall not wait."""

from __future__ import annotations

import os
import sys

import click

from osapi_cli import exits
from osapi_cli.completion import VARIABLE, complete, completion
from osapi_cli.configure import config
from osapi_cli.group import Flags, Program, global_flags
from osapi_cli.nats import nats
from osapi_cli.token import token


def run(arguments: list[str] | None = None) -> int:
    """Run the program with these arguments, those of the process by default, and return its exit status.

    Errors become one line on stderr and a status, see `exits`; so does a stdout that does not take the output.
    """
    flags = Flags()
    if VARIABLE in os.environ:
        return complete(program)
    try:
        status = _invoke(sys.argv[1:] if arguments is None else arguments, flags)
        if sys.stdout is not None:
            sys.stdout.flush()
    except Exception as error:  # noqa: BLE001 - whatever went wrong, a program ends with a status
        return exits.report(error, debug=flags.debug)
    return status


def _invoke(arguments: list[str], flags: Flags) -> int:
    # Not `program.main`: where the reader of the output has left, it ends the process by itself, and with status 1.
    try:
        with program.make_context("osapi", arguments, obj=flags) as ctx:
            status: int = program.invoke(ctx)
    except click.exceptions.Exit as done:
        return done.exit_code
    return status


@click.group(
    cls=Program,
    lazy={
        "agent": "osapi_cli.agent:agent",
        "client": "osapi_cli.client.group:client",
        "controller": "osapi_cli.controller:controller",
        "start": "osapi_cli.start:start",
    },
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Data goes to stdout, everything else to stderr. Exit status: 0; 1 when a host failed; 2 usage; "
    "69 server unreachable; 77 not permitted; 78 bad configuration.",
)
@click.version_option(package_name="osapi", message="%(prog)s %(version)s")
@global_flags
@click.pass_context
def program(ctx: click.Context) -> int:
    """Dispatch typed jobs to a fleet of agents."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help(), err=True)
        return exits.USAGE
    return exits.OK


@program.command()
@click.option(
    "-T",
    "--target",
    "targets",
    multiple=True,
    help="Ask this target for its status instead: _any, _all, a hostname or key:value. May be repeated.",
)
@global_flags
@click.pass_obj
def demo(flags: Flags, targets: tuple[str, ...]) -> int:
    """Show jobs going to agents and coming back, all in this process.

    Three agents, web-01, web-02 and db-01, offer operations on this very host; a client asks some or all of them.
    The broker between them is in memory: nothing is installed, nothing listens, nothing stays behind.
    """
    from functools import partial  # noqa: PLC0415

    from osapi_cli import demo_view, output  # noqa: PLC0415
    from osapi_cli.demo import play, script  # noqa: PLC0415

    output.log_to_stderr(debug=flags.debug)
    played = exits.run(partial(play, script(targets)))
    if flags.json:
        output.show_json(demo_view.for_programs(played))
    else:
        output.show(demo_view.for_people(played))
    return exits.FAILED if played.failed else exits.OK


for command in (completion, config, nats, token):
    program.add_command(command)
