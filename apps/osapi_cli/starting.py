"""What the commands that start a program have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNING_KEY: Final = "controller.api.security.signing_key"

_MAX_WAIT: Final = 3600.0


def _seconds(ctx: click.Context, param: click.Parameter, value: str) -> float:
    from osapi_cli.configuration.durations import parse_duration  # noqa: PLC0415

    seconds = parse_duration(value)
    if seconds is None or seconds > _MAX_WAIT:
        raise click.BadParameter(f"{value!r} is no duration of at most 1h, such as 30s or 2m")
    return seconds


wait_option = click.option(
    "--wait",
    metavar="DURATION",
    default="30s",
    show_default=True,
    callback=_seconds,
    help="How long the broker is waited for at the start; 0 not at all.",
)


def given(flags: Mapping[str, tuple[str, str | None]]) -> dict[str, tuple[str, str]]:
    """Return the flags that were given, for the keys that they are over."""
    return {key: (flag, text) for key, (flag, text) in flags.items() if text is not None}
