"""Agents in a process of their own, to be killed: `python -m tests.soak.agent URL LOG SETTINGS KEYS HOST...`."""

from __future__ import annotations

import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import trio

import osapi
from tests.soak.keys import UNSIGNED, Keys
from tests.soak.log import Log
from tests.soak.operations import operations

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

# How long the interpreter may take to start and its agents to register, and the kernel to end it.
_STARTS = 120.0
_ENDS = 10.0

# So many agents of one process register at the same time.
_AT_ONCE = 20


async def run(url: str, log: Path, settings: osapi.Settings, keys: Keys, hosts: Sequence[str]) -> None:
    """Run an agent per host, each on its own connection, and say so once all have registered.

    The end of our input is the end of whoever started us, and ours.
    """
    registry = operations(Log(log))
    entering = trio.CapacityLimiter(_AT_ONCE)

    async def live(host: str, *, task_status: trio.TaskStatus[None]) -> None:
        async with AsyncExitStack() as stack:
            async with entering:
                transport = await stack.enter_async_context(osapi.connect(url))
                agent = osapi.Agent(
                    transport, registry, hostname=host, max_jobs=50, settings=settings, **keys.of_agent(host)
                )
                await stack.enter_async_context(agent)
            task_status.started()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        async with trio.open_nursery() as starting:
            for host in hosts:
                starting.start_soon(nursery.start, live, host)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await trio.lowlevel.FdStream(sys.stdin.fileno()).receive_some()
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def agents(
    url: str, log: Log, settings: osapi.Settings, hosts: Sequence[str], keys: Keys = UNSIGNED
) -> AsyncGenerator[trio.Process]:
    """Run a process of agents for a block that may kill it; it begins when all have registered."""
    told = msgspec.json.encode(settings).decode()
    command = [sys.executable, "-m", "tests.soak.agent", url, str(log.path), told, str(keys.folder or ""), *hosts]
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    async with process.stdin, process.stdout:
        try:
            with trio.fail_after(_STARTS):
                assert await process.stdout.receive_some() == b"ready\n", "the agents did not start"
            yield process
        finally:
            await kill(process)


async def kill(process: trio.Process) -> None:
    """Kill a process with SIGKILL, and return once it has ended."""
    process.kill()
    with trio.move_on_after(_ENDS, shield=True):
        await process.wait()


if __name__ == "__main__":
    there, written, told, folder, *names = sys.argv[1:]
    given = Keys(Path(folder)) if folder else UNSIGNED
    trio.run(run, there, Path(written), msgspec.json.decode(told, type=osapi.Settings), given, names)
