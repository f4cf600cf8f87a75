"""Help comes at once, has examples, and these can be typed; a shell can complete what there is."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING
from unittest.mock import Mock

import click
import pytest

from osapi_cli.client import work
from osapi_cli.program import program, run
from tests.cli.program import osapi, python

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.program import Ended

HEAVY = {"trio", "httpx2", "rich", "msgspec", "osapi", "yaml"}
WORK = (
    "agent",
    "audit",
    "command",
    "dlq",
    "health",
    "job",
    "network",
    "node",
    "process",
    "rollout",
    "run",
    "schedule",
    "watch",
)


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command below a group with the words that lead to it."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        found = group.get_command(ctx, name)
        assert found is not None
        yield (*path, name), found
        if isinstance(found, click.Group):
            yield from commands(found, *path, name)


COMMANDS = dict(commands(program))
OURS = {path: command for path, command in COMMANDS.items() if path[0] == "client"}
LEAVES = {path: command for path, command in OURS.items() if not isinstance(command, click.Group)}


def examples(command: click.Command) -> list[str]:
    _, _, told = (command.epilog or "").partition("Examples:\n")
    return [line.strip() for line in told.splitlines()]


EXAMPLES = [(path, line) for path, command in OURS.items() for line in examples(command)]


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_says_what_it_does_and_shows_how(path: tuple[str, ...], here: Callable[..., Ended]) -> None:
    ended = here(*path, "--help")
    command = LEAVES[path]

    assert (ended.status, ended.err) == (0, "")
    assert command.help
    assert command.help.splitlines()[0].endswith(".")
    assert f"\n  Examples:\n    {examples(command)[0]}\n" in ended.out
    assert all(f"osapi {' '.join(path)} " in f"{line} " for line in examples(command))


@pytest.mark.parametrize("path", [(), *(path for path, found in COMMANDS.items() if isinstance(found, click.Group))])
def test_a_group_tells_whole_sentences_of_its_commands(path: tuple[str, ...], here: Callable[..., Ended]) -> None:
    out = here(*path, "--help").out
    listed = out.partition("\nCommands:\n")[2].partition("\n\n")[0]
    words = " ".join(listed.split())

    below = {name[-1]: found for name, found in COMMANDS.items() if name[:-1] == path}
    assert below
    for name, found in below.items():
        assert found.help
        assert f"{name} {' '.join(found.help.partition('.')[0].split())}" in words
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize("path", OURS, ids=" ".join)
def test_every_flag_says_what_it_is(path: tuple[str, ...]) -> None:
    flags = [param for param in OURS[path].params if isinstance(param, click.Option)]

    names = [flag.name for flag in flags]
    assert len(set(names)) == len(names)
    assert all(flag.help and flag.help.rstrip("] ")[-1] in ".y" for flag in flags)


@pytest.mark.parametrize(("path", "line"), EXAMPLES)
def test_an_example_can_be_typed(path: tuple[str, ...], line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    did = Mock()
    for name in WORK:
        monkeypatch.setattr(work, name, _Recorder(did), raising=False)
    words = shlex.split(line)
    ends = [words.index(end) for end in ("|", "&&", ">") if end in words]
    first = words[: min(ends, default=len(words))]

    assert first[0] == "osapi"
    assert run(first[1:]) == 0
    assert did.call_count == 1


class _Recorder:
    """Stands for a module whose functions all do nothing but be counted."""

    def __init__(self, did: Mock) -> None:
        self._did = did

    def __getattr__(self, name: str) -> Callable[..., int]:
        def call(*arguments: object, **options: object) -> int:
            self._did(name, arguments, options)
            return 0

        return call


@pytest.mark.parametrize("path", [("client",), ("client", "node"), ("client", "job", "list"), ("completion",)])
def test_help_waits_for_nothing_heavy(path: tuple[str, ...]) -> None:
    arguments = [*path, "--help"]
    script = f"import sys; from osapi_cli.program import run; run({arguments}); print(sys.modules.keys() & {HEAVY})"

    assert python(script).out.splitlines()[-1] == "set()"


def test_the_programs_own_help_does_not_read_the_clients_commands() -> None:
    script = (
        "import sys; from osapi_cli.program import run; run(['--help']); print('osapi_cli.client.job' in sys.modules)"
    )

    assert python(script).out.splitlines()[-1] == "False"


# --- Completion ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(here: Callable[..., Ended], shell: str) -> None:
    ended = here("completion", shell)

    assert (ended.status, ended.err) == (0, "")
    assert f"_OSAPI_COMPLETE={shell}_complete" in ended.out


def test_another_shell_is_refused(here: Callable[..., Ended]) -> None:
    ended = here("completion", "tcsh")

    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("osapi cl", ["client"]),
        ("osapi client node ", ["command", "disk", "hostname", "load", "memory", "network"]),
        ("osapi client job list --st", ["--status"]),
        ("osapi client job list --status p", ["processing", "partial_failure"]),
    ],
)
def test_what_is_begun_is_completed(typed: str, offered: list[str]) -> None:
    words = typed.split(" ")
    ended = osapi(COMP_WORDS=typed, COMP_CWORD=str(len(words) - 1), _OSAPI_COMPLETE="bash_complete")
    found = [line.partition(",")[2] for line in ended.out.splitlines()]

    assert (ended.status, ended.err) == (0, "")
    assert found[: len(offered)] == offered
