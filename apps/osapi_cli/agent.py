"""The commands `osapi agent`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import click

from osapi_cli.group import Flags, Program, global_flags
from osapi_cli.starting import given, wait_option

if TYPE_CHECKING:
    from collections.abc import Callable

AnyCommand = TypeVar("AnyCommand", bound="Callable[..., object]")

# Each flag, the key that it is over, and what it says.
_FLAGS: Final = (
    ("--agent-hostname", "agent.hostname", "The name it answers to."),
    ("--agent-max-jobs", "agent.max_jobs", "How many jobs it runs at once."),
    ("--agent-queue-group", "agent.queue_group", "Not used."),
    ("--agent-host", "agent.nats.host", "The host of the NATS server."),
    ("--agent-port", "agent.nats.port", "Its port."),
    ("--consumer-max-deliver", "agent.consumer.max_deliver", "How often a job is tried at most."),
    ("--consumer-ack-wait", "agent.consumer.ack_wait", "How long it may be silent until its job goes to another."),
    ("--consumer-max-ack-pending", "agent.consumer.max_ack_pending", "How many notifications may be unanswered."),
    ("--consumer-back-off", "agent.consumer.back_off", "The pauses before each further attempt: 30s,2m,5m."),
)


def _options(command: AnyCommand) -> AnyCommand:
    for flag, key, says in reversed(_FLAGS):
        name = flag.removeprefix("--").replace("-", "_")
        command = click.option(flag, name, metavar="VALUE", help=f"{says} [{key}]")(command)
    return command


@click.group(cls=Program)
@global_flags
def agent() -> None:
    """Run an agent, which does jobs on this host."""


@agent.command()
@_options
@wait_option
@global_flags
@click.pass_obj
def start(flags: Flags, /, wait: float, **values: str | None) -> int:
    """Do jobs on this host until a signal says to stop.

    A first SIGTERM or Ctrl-C lets the jobs that run finish, a second one gives them back at once.
    """
    from functools import partial  # noqa: PLC0415

    named = {key: (flag, values[flag.removeprefix("--").replace("-", "_")]) for flag, key, _ in _FLAGS}
    loaded = flags.configuration(given(named))
    from osapi_cli.running import logs  # noqa: PLC0415 - what follows takes a while
    from osapi_cli.running.agent import run  # noqa: PLC0415
    from osapi_cli.running.lifetime import serve  # noqa: PLC0415
    from osapi_cli.wiring import agent_plan  # noqa: PLC0415

    logs.begin(debug=flags.debug or loaded.configuration.debug)
    return serve(partial(run, plan=agent_plan(loaded.configuration), patience=wait))
