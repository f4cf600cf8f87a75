"""The commands `osapi nats`."""

from __future__ import annotations

import click

from osapi_cli import exits
from osapi_cli.group import Flags, Program, global_flags


@click.group(cls=Program)
@global_flags
def nats() -> None:
    """Run a NATS server."""


@nats.group(cls=Program)
@global_flags
def server() -> None:
    """Run a NATS server."""


@server.command()
@global_flags
@click.pass_obj
def start(flags: Flags) -> int:
    """Run the bundled nats-server with JetStream, as nats.server of the configuration says, until a signal ends it.

    It is started again if it dies. With --debug its whole log is on stderr, else what it warns of.
    """
    from functools import partial  # noqa: PLC0415

    from osapi_cli import output  # noqa: PLC0415
    from osapi_cli.nats_server import Ready, serve, settings_of  # noqa: PLC0415

    configured = flags.configuration().configuration
    debug = flags.debug or configured.debug
    output.log_to_stderr(debug=debug)

    def announce(ready: Ready) -> None:
        output.present(ready, [output.Paragraph(line) for line in ready.lines()], as_json=flags.json)

    exits.run(partial(serve, settings_of(configured.nats.server), announce, debug=debug))
    return exits.OK
