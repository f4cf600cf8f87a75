from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.program import begin, finish, osapi, python

HEAVY = {"trio", "rich", "psutil", "msgspec", "osapi"}


def test_help_names_the_commands_and_goes_to_stdout() -> None:
    ended = osapi("--help")

    assert (ended.status, ended.err) == (0, "")
    assert "demo" in ended.out
    assert "--json" in ended.out


def test_help_waits_for_nothing_heavy() -> None:
    script = f"import sys; from osapi_cli.program import run; run(['--help']); print(sys.modules.keys() & {HEAVY})"

    assert python(script).out.splitlines()[-1] == "set()"


def test_the_version_is_that_of_the_package() -> None:
    assert osapi("--version") == (0, f"osapi {version('osapi')}\n", "")


def test_the_installed_program_is_the_same() -> None:
    script = Path(sys.executable).parent / "osapi"

    assert finish(begin(str(script), "--version")) == osapi("--version")


def test_without_a_command_there_is_help_and_the_status_of_wrong_usage() -> None:
    ended = osapi()

    assert (ended.status, ended.out) == (2, "")
    assert ended.err == osapi("--help").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["dmeo"], "there is no command 'dmeo'; did you mean demo?"),
        (["xyzzy"], "there is no command 'xyzzy'; see `osapi --help`"),
        (["--jsn", "demo"], "no such option"),
        (["demo", "--jsn"], "did you mean"),
        (["demo", "--target"], "requires an argument; see `osapi demo --help`"),
        (["client", "audit", "get", "--audit-id"], "requires an argument; see `osapi client audit get --help`"),
        (["--osapi-file"], "requires an argument; see `osapi --help`"),
        (["demo", "web-01"], "unexpected extra argument (web-01); see `osapi demo --help`"),
        (["a\nb\x1b[31m"], r"there is no command 'a\nb\x1b[31m'"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(arguments: list[str], told: str) -> None:
    ended = osapi(*arguments)

    assert (ended.status, ended.out) == (2, "")
    assert told.lower() in ended.err.lower()
    assert ended.err.startswith("osapi: ")
    assert ended.err.count("\n") == 1
