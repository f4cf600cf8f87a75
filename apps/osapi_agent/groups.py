"""Run a program in a process group of its own, of which nothing outlives the call.

The program leads a session and a group, and whatever it starts is in that group unless it leaves on purpose
(`setsid`, a daemon): who has left is out of reach here. The leader is reaped last. Until then its number, which is
the group's, cannot go to somebody else, and a signal to the group never meets a stranger.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import psutil
import trio

from osapi.nursery import background

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trio.abc import ReceiveStream

    from osapi_agent.output import Output

# Seconds between TERM and KILL, for those who have something to put away.
GRACE: Final = 2.0

# What does not die of KILL within this hangs in the kernel, and nobody can help it.
_DYING: Final = 1.0

# How long the pipes are read after the program has ended: another may still be writing, as in `>(tee log)`.
_LINGER: Final = 1.0

_POLL: Final = 0.02


async def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    cwd: str | None,
    stdout: Output,
    stderr: Output,
    grace: float = GRACE,
) -> int:
    """Run a program without input to its end and return its exit status, 128 + n if signal n ended it.

    What it leaves behind in its group is ended too. Cancelled, the whole group gets TERM, and KILL `grace` seconds
    later; that takes three seconds more at most, and both outputs keep all that was written.

    Raises:
        OSError: it could not be started.

    """
    process = await trio.lowlevel.open_process(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        env=environment,
        start_new_session=True,
    )
    reading = _Reading([(stdout, process.stdout), (stderr, process.stderr)])
    group = _Group(process.pid, grace)
    status = 0
    async with background() as nursery:
        nursery.start_soon(reading.run)
        try:
            await _exit_of(process.pid)
            await reading.done_within(_LINGER)
        finally:
            # Bounded: by the grace, and by what lingering, dying and reaping may take.
            with trio.CancelScope(shield=True):
                await group.end()
                # A process that left the group may hold the pipes for ever.
                await reading.done_within(_LINGER)
                reading.scope.cancel()
                status = await _reap(process)
    return status if status >= 0 else 128 - status


class _Reading:
    """Both pipes being read, until they end or `scope` is cancelled: it is for the one who started it to do so.

    Nobody else can, since a program that is asked to end may have to write before it does.
    """

    def __init__(self, pipes: Sequence[tuple[Output, ReceiveStream | None]]) -> None:
        self.scope = trio.CancelScope(shield=True)
        self._pipes = pipes
        self._done = trio.Event()

    async def run(self) -> None:
        with self.scope:
            async with trio.open_nursery() as nursery:
                for output, pipe in self._pipes:
                    if pipe is not None:
                        nursery.start_soon(output.take, pipe)
            self._done.set()

    async def done_within(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._done.wait()


async def _exit_of(pid: int) -> None:
    """Wait until a child has exited, and leave it to be reaped."""
    descriptor = os.pidfd_open(pid)
    try:
        await trio.lowlevel.wait_readable(descriptor)
    finally:
        os.close(descriptor)


async def _reap(process: trio.Process) -> int:
    with trio.move_on_after(_DYING):
        return await process.wait()
    return -signal.SIGKILL


class _Group:
    """A process group whose leader has not been reaped."""

    def __init__(self, leader: int, grace: float) -> None:
        self._id = leader
        self._grace = grace

    async def end(self) -> None:
        """Ask all of it to end, then kill what is left."""
        if self._lives():
            self._signal(signal.SIGTERM)
            await self._death(self._grace)
        # In any case: one whose first thread has ended looks dead, and is not.
        self._signal(signal.SIGKILL)
        await self._death(_DYING)

    async def _death(self, patience: float) -> None:
        with trio.move_on_after(patience):
            while self._lives():  # noqa: ASYNC110 - nobody tells when the last of a group has died
                await trio.sleep(_POLL)

    def _signal(self, number: signal.Signals) -> None:
        # Members that run as somebody else are out of reach.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._id, number)

    def _lives(self) -> bool:
        return any(self._is_member(pid) for pid in psutil.pids())

    def _is_member(self, pid: int) -> bool:
        try:
            return os.getpgid(pid) == self._id and psutil.Process(pid).status() not in {
                psutil.STATUS_ZOMBIE,
                psutil.STATUS_DEAD,
            }
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False
