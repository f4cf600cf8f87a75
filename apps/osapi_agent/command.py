"""The operations that run commands: `command.exec.run` without a shell, `command.shell.run` with one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import trio
from msgspec import Meta, Struct

import osapi
from osapi.errors import shown
from osapi_agent.addresses import holds_reference
from osapi_agent.errors import CommandTimeoutError, InvalidCommandError
from osapi_agent.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osapi_agent.system import System

EXECUTE: Final = "command:execute"

_SHELL: Final = "/bin/sh"

# The longest time that can be asked for; the policy adds what ending a group may take.
_MAX_SECONDS: Final = 300
# A command is started once: who falls silent may have run half of it.
_POLICY: Final = osapi.Policy(timeout=_MAX_SECONDS + 30.0, takeovers=0)

# What a failure tells of each output: its end, where the cause mostly stands.
_TAIL: Final = 2000

# The kernel's own bound for one argument (MAX_ARG_STRLEN), its NUL not counted.
_Argument = Annotated[str, Meta(max_length=128 * 1024 - 1)]
_Seconds = Annotated[int, Meta(ge=1, le=_MAX_SECONDS)]


class Exec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program and its arguments, as they are; `timeout` in seconds, `cwd` the agent's own directory if None."""

    command: Annotated[str, Meta(min_length=1, max_length=4096)]
    args: Annotated[tuple[_Argument, ...], Meta(max_length=1000)] = ()
    cwd: str | None = None
    timeout: _Seconds = 30

    def __post_init__(self) -> None:
        """Refuse what cannot be passed to a program."""
        _check([self.command, *self.args], self.cwd)


class Shell(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line for /bin/sh; `timeout` in seconds, `cwd` the agent's own directory if None."""

    command: Annotated[str, Meta(min_length=1, max_length=128 * 1024 - 1)]
    cwd: str | None = None
    timeout: _Seconds = 30

    def __post_init__(self) -> None:
        """Refuse what cannot be passed to a program."""
        _check([self.command], self.cwd)


class CommandResult(Struct, frozen=True, kw_only=True):
    """What a command wrote, and its exit status: 128 + n if signal n ended it.

    It can be read while the command runs, too: see `osapi.JobHandle.output`.
    Of each output the first 256 KiB are kept, and `truncated` says that there was more.
    """

    stdout: str
    stderr: str
    exit_code: int
    duration_ms: int
    truncated: bool
    changed: bool


def offer(system: System) -> osapi.Operations:
    """Return the operations on a host."""
    operations = osapi.Operations()

    @operations.modify("command.exec.run", permission=EXECUTE, policy=_POLICY)
    async def execute(job: osapi.Job, data: Exec) -> CommandResult:
        """Run a program without a shell; an exit status other than 0 is a result and no failure."""
        return await _run(job, system, [data.command, *data.args], data.cwd, data.timeout)

    @operations.modify("command.shell.run", permission=EXECUTE, policy=_POLICY)
    async def shell(job: osapi.Job, data: Shell) -> CommandResult:
        """Run a line in /bin/sh; an exit status other than 0 is a result and no failure."""
        return await _run(job, system, [_SHELL, "-c", data.command], data.cwd, data.timeout)

    return operations


async def _run(
    job: osapi.Job, system: System, command: Sequence[str], cwd: str | None, seconds: float
) -> CommandResult:
    stdout, stderr = Output(tell=job.output), Output(tell=partial(job.output, stream="stderr"))
    started = trio.current_time()
    with trio.move_on_after(seconds):
        status = await system.run(command, cwd=cwd, stdout=stdout, stderr=stderr)
        (out, out_cut), (err, err_cut) = stdout.told(), stderr.told()
        return CommandResult(
            stdout=out,
            stderr=err,
            exit_code=status,
            duration_ms=round(1000 * (trio.current_time() - started)),
            truncated=out_cut or err_cut,
            changed=True,
        )
    tails = {"stdout": stdout.tail(_TAIL), "stderr": stderr.tail(_TAIL)}
    written = ", ".join(f"{name} ends {tail!r}" for name, tail in tails.items() if tail) or "it wrote nothing"
    raise CommandTimeoutError(f"{shown(command[0])} did not end within {seconds:g} s and was killed; {written}")


def _check(words: Sequence[str], cwd: str | None) -> None:
    for word in (*words, cwd or ""):
        if "\0" in word:
            # Not quoted: an argument may be a secret.
            raise InvalidCommandError(words[0], "has a NUL in it, or in an argument", "no program can be passed one")
    if cwd is not None and not cwd.startswith("/") and not holds_reference(cwd):
        raise InvalidCommandError(cwd, "is no directory to run it in", "write an absolute path, or leave cwd out")
