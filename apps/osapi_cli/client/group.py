"""The group `osapi client`; its commands are imported when they are asked for."""

from __future__ import annotations

import click

from osapi_cli.group import Program, global_flags

_HERE = "osapi_cli.client"


@click.group(
    cls=Program,
    lazy={
        "agent": f"{_HERE}.agent:agent",
        "audit": f"{_HERE}.audit:audit",
        "health": f"{_HERE}.health:health",
        "job": f"{_HERE}.job:job",
        "node": f"{_HERE}.node:node",
        "rollout": f"{_HERE}.rollout:rollout",
        "run": f"{_HERE}.run:run",
        "schedule": f"{_HERE}.schedule:schedule",
    },
    epilog="The server is controller.client.url of the configuration ($OSAPI_CONTROLLER_CLIENT_URL), the token "
    "controller.client.security.bearer_token ($OSAPI_CONTROLLER_CLIENT_SECURITY_BEARER_TOKEN, or that with _FILE); "
    "without them, what `osapi start` has left for you. "
    "Exit status: 0; 1 when a host failed or is not there; 2 usage; 69 server unreachable; 77 not permitted; "
    "78 bad configuration.",
)
@global_flags
def client() -> None:
    """Ask a server: jobs, schedules, agents, hosts, health, and who did what."""
