"""The command `osapi start`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from osapi_cli.group import Flags, global_flags
from osapi_cli.starting import SIGNING_KEY, given

if TYPE_CHECKING:
    from osapi_cli.configuration import Configuration, Loaded
    from osapi_cli.output import Document
    from osapi_cli.running.together import Plan, Ready
    from osapi_nats.server import ServerSettings

_NATS_TOKEN: Final = "nats-token"
_STORE: Final = "jetstream"


@click.command()
@click.option("--nats", is_flag=True, help="Run the bundled nats-server, which keeps its jobs, and not one in memory.")
@click.option("-p", "--port", metavar="PORT", help="The API's port; controller.api.port.")
@global_flags
@click.pass_obj
def start(flags: Flags, port: str | None, *, nats: bool) -> int:
    """Run a broker, the controller and an agent in this one process, until a signal says to stop.

    Without a configuration it makes a signing key and a token for you in your state folder, and the other commands find
    them there. A first SIGTERM or Ctrl-C stops it in order, a second one at once.
    """
    from functools import partial  # noqa: PLC0415

    loaded = flags.configuration(given({"controller.api.port": ("--port", port)}))
    debug = flags.debug or loaded.configuration.debug
    from osapi_cli import output  # noqa: PLC0415 - what follows takes half a second
    from osapi_cli.running import logs  # noqa: PLC0415
    from osapi_cli.running.lifetime import serve  # noqa: PLC0415
    from osapi_cli.running.together import run  # noqa: PLC0415

    def announce(ready: Ready) -> None:
        output.present(ready, _for_people(ready), as_json=flags.json)

    planned = plan(loaded, nats=nats)
    logs.begin(debug=debug)
    return serve(partial(run, plan=planned, announce=announce, debug=debug))


def plan(loaded: Loaded, *, nats: bool) -> Plan:
    """Return what is started; keys and tokens that are not configured are made.

    Raises:
        ConfigurationError, ProblemError

    """
    import os  # noqa: PLC0415

    from osapi_cli.configuration import require  # noqa: PLC0415
    from osapi_cli.local import SIGNING_KEY as KEY_FILE  # noqa: PLC0415
    from osapi_cli.local import state_folder  # noqa: PLC0415
    from osapi_cli.running import keys, together  # noqa: PLC0415
    from osapi_cli.wiring import agent_plan, controller_plan, with_key  # noqa: PLC0415

    configuration, folder = loaded.configuration, state_folder(os.environ)
    ours = not configuration.controller.api.security.signing_key and loaded.file is None
    if ours:
        keys.make_folder(folder)
        configuration = with_key(configuration, keys.secret(folder / KEY_FILE))
    else:
        require(loaded, SIGNING_KEY)
    _check_keys(configuration)
    controller = controller_plan(configuration)
    if not any(key.startswith("controller.metrics.") for key in loaded.given):
        # A development machine may well have Prometheus itself on that port.
        controller = replace(controller, metrics=None)
    if ours:
        keys.keep_token(folder, controller.security)
    return together.Plan(
        controller=controller,
        agent=together.of_one_process(agent_plan(configuration)),
        server=_server(loaded) if nats else None,
        state=folder if ours else None,
    )


def _check_keys(configuration: Configuration) -> None:
    from osapi_cli.configuration import ProblemError  # noqa: PLC0415

    signing, checking = configuration.controller.pki.enabled, configuration.agent.pki.enabled
    if signing != checking:
        has, lacks = ("controller", "agent") if signing else ("agent", "controller")
        problem = f"is false, and {has}.pki.enabled is true"
        raise ProblemError("", f"{lacks}.pki.enabled", problem, "in one process both have keys or neither has")


def _server(loaded: Loaded) -> ServerSettings:
    """Return the server as it is configured; what is not lies in the state folder, and nobody connects unasked."""
    import os  # noqa: PLC0415

    from msgspec.structs import replace as change  # noqa: PLC0415

    from osapi_cli.local import state_folder  # noqa: PLC0415
    from osapi_cli.nats_server import settings_of  # noqa: PLC0415
    from osapi_cli.running import keys  # noqa: PLC0415
    from osapi_nats.server import Auth  # noqa: PLC0415

    folder = state_folder(os.environ)
    settings = settings_of(loaded.configuration.nats.server)
    if "nats.server.store_dir" not in loaded.given:
        keys.make_folder(folder)
        settings = change(settings, store_dir=str(folder / _STORE))
    if not any(key.startswith("nats.server.auth.") for key in loaded.given):
        keys.make_folder(folder)
        auth = Auth(type="token", token=keys.secret(folder / _NATS_TOKEN))
        settings = change(settings, auth=auth)
    return settings


def _for_people(ready: Ready) -> Document:
    from osapi_cli.output import Code, Heading, Paragraph  # noqa: PLC0415

    said = [f"osapi is ready at {ready.url}, with agent {ready.hostname} and {ready.broker}."]
    if ready.state:
        said.append(f"Its signing key and a token for you are in {ready.state}, where osapi client finds them.")
        token = f"$(cat {ready.state}/token)"
    else:
        said.append("A token for you: osapi token generate -r admin -u NAME")
        token = "TOKEN"
    tries = f'osapi client node status\ncurl -H "Authorization: Bearer {token}" {ready.url}/api/node/_any'
    return [*map(Paragraph, said), Heading("Try next, in another terminal; Ctrl-C stops it"), Code(tries)]
