"""The commands `osapi token`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from osapi_cli import exits
from osapi_cli.group import Flags, Program, global_flags

if TYPE_CHECKING:
    from osapi_api.security import Security

_KEY = "controller.api.security.signing_key"


@click.group(cls=Program)
@global_flags
def token() -> None:
    """Make and check tokens for the API, with the key of the configuration, else that of `osapi start`."""


@token.command()
@click.option("-r", "--role", "roles", multiple=True, required=True, help="A role: admin, write, read, or your own.")
@click.option("-u", "--subject", required=True, help="Whom the token is for.")
@click.option("-p", "--permission", "permissions", multiple=True, help="Replaces what the roles give: resource:verb.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), default=90.0, show_default=True, help="Its life.")
@global_flags
@click.pass_obj
def generate(flags: Flags, roles: tuple[str, ...], subject: str, permissions: tuple[str, ...], days: float) -> int:
    """Print a new token."""
    from osapi_cli import output  # noqa: PLC0415

    made = _security(flags).generate(subject, roles=roles, permissions=permissions or None, lifetime=days * 24 * 3600.0)
    if flags.json:
        output.show_json({"token": made})
    else:
        click.echo(made)
    return exits.OK


@token.command()
@click.option("-t", "--token", "given", required=True, help="The token; - reads it from stdin.")
@global_flags
@click.pass_obj
def validate(flags: Flags, given: str) -> int:
    """Tell whom a token is for and what it may; if it is not valid, why, and status 1."""
    from datetime import UTC, datetime  # noqa: PLC0415

    from osapi_cli import output  # noqa: PLC0415

    text = sys.stdin.read().strip() if given == "-" else given
    identity = _security(flags).validate(text)
    expires = datetime.fromtimestamp(identity.expires, UTC).isoformat(timespec="seconds")
    if flags.json:
        shown = {"subject": identity.subject, "roles": identity.roles, "permissions": identity.permissions}
        output.show_json({**shown, "expires": expires})
    else:
        own = "those of its roles" if identity.permissions is None else ", ".join(identity.permissions) or "none"
        roles = ", ".join(identity.roles) or "none"
        lines = (f"Subject: {identity.subject}", f"Roles: {roles}", f"Permissions: {own}", f"Expires: {expires}")
        output.show([output.Paragraph(line) for line in lines])
    return exits.OK


def _security(flags: Flags) -> Security:
    import os  # noqa: PLC0415

    from osapi_cli import local  # noqa: PLC0415
    from osapi_cli.configuration import require  # noqa: PLC0415
    from osapi_cli.wiring import security, with_key  # noqa: PLC0415 - only for those who make or check a token

    loaded = flags.configuration()
    # Where there is no configuration file `osapi start` has made a key of its own, and its API takes no other.
    if loaded.file is None and _KEY not in loaded.given:
        key = local.read_private(local.state_folder(os.environ) / local.SIGNING_KEY)
        if key:
            return security(with_key(loaded.configuration, key))
    require(loaded, _KEY)
    return security(loaded.configuration)
