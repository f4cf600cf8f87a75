"""The commands `osapi controller`."""

from __future__ import annotations

import click

from osapi_cli.group import Flags, Program, global_flags
from osapi_cli.starting import SIGNING_KEY, given, wait_option


@click.group(cls=Program)
@global_flags
def controller() -> None:
    """Run the controller, which serves the API."""


@controller.command()
@click.option("-p", "--port", metavar="PORT", help="The API's port; controller.api.port.")
@wait_option
@global_flags
@click.pass_obj
def start(flags: Flags, port: str | None, wait: float) -> int:
    """Serve the API, and see to it that every job ends, until a signal says to stop.

    A first SIGTERM or Ctrl-C stops it in order, a second one at once.
    """
    from functools import partial  # noqa: PLC0415

    from osapi_cli.configuration import require  # noqa: PLC0415

    loaded = flags.configuration(given({"controller.api.port": ("--port", port)}))
    require(loaded, SIGNING_KEY)
    from osapi_cli.running import logs  # noqa: PLC0415 - what follows takes half a second
    from osapi_cli.running.controller import run  # noqa: PLC0415
    from osapi_cli.running.lifetime import serve  # noqa: PLC0415
    from osapi_cli.wiring import controller_plan  # noqa: PLC0415

    logs.begin(debug=flags.debug or loaded.configuration.debug)
    return serve(partial(run, plan=controller_plan(loaded.configuration), patience=wait))
