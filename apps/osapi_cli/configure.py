"""The commands `osapi config`."""

from __future__ import annotations

import click

from osapi_cli import exits
from osapi_cli.group import Flags, Program, global_flags

# What has no default and that program cannot do without.
_REQUIRED = {"controller": ("controller.api.security.signing_key",)}


@click.group(cls=Program)
@global_flags
def config() -> None:
    """Look at the configuration: file, variables and defaults."""


@config.command()
@global_flags
@click.pass_obj
def show(flags: Flags) -> int:
    """Print the configuration as it is used, every key, secrets as ***."""
    from osapi_cli import output  # noqa: PLC0415
    from osapi_cli.configuration.showing import as_yaml, plain  # noqa: PLC0415

    shown = plain(flags.configuration().configuration)
    output.present(shown, [output.Code(as_yaml(shown).rstrip("\n"))], as_json=flags.json)
    return exits.OK


@config.command()
@click.option(
    "--for", "programs", type=click.Choice(sorted(_REQUIRED)), multiple=True, help="What this program requires, too."
)
@global_flags
@click.pass_obj
def check(flags: Flags, programs: tuple[str, ...]) -> int:
    """Tell whether the configuration can be used; if not, every problem on stderr and status 78."""
    from osapi_cli import output  # noqa: PLC0415
    from osapi_cli.configuration import require  # noqa: PLC0415

    loaded = flags.configuration()
    require(loaded, *(key for program in programs for key in _REQUIRED[program]))
    file = str(loaded.file) if loaded.file else None
    if flags.json:
        output.show_json({"file": file, "warnings": loaded.warnings})
    else:
        output.show(
            [
                output.Paragraph(
                    f"{file}: can be used."
                    if file
                    else "There is no file; the defaults, and the variables, can be used."
                )
            ]
        )
    return exits.OK
