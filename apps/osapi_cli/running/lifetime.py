"""From the first signal to the last.

    while it starts     a signal cancels it
    once it is ready    the first one tells it to stop in order: it is not ready any more, takes nothing new, finishes
                        what runs, gives back the rest
                        the second one cancels: what runs is stopped and given back at once; one within half a second of
                        the first is taken for its echo
                        the third one ends the process on the spot

Who was told to stop by SIGTERM and has done so ends with status 0: a service manager told it, and takes everything else
for a failure. After another signal the status is 128 and its number, as it is after a second one.
"""

from __future__ import annotations

import logging
import os
from math import inf
from typing import TYPE_CHECKING, Final

import trio

from osapi.nursery import background
from osapi_cli import exits
from osapi_cli.running.systemd import Notifier

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# `timeout`, npm and shells pass a signal on to a process that the terminal or they themselves have told already.
_ECHO: Final = 0.5

_log: Final = logging.getLogger("osapi.program")


class Lifetime:
    """Where a program stands; `stopping` is set when it is to stop in order."""

    def __init__(self, notifier: Notifier) -> None:
        self.stopping = trio.Event()
        self.ready = False
        self._notifier = notifier

    def is_ready(self, status: str) -> None:
        """Say that everything is there, and in a few words what."""
        self.ready = True
        self._notifier.tell(READY="1", STATUS=status)
        _log.info("ready: %s", status)

    def waits(self, status: str) -> None:
        """Say what the start is waiting for."""
        self._notifier.tell(STATUS=status)
        _log.warning("%s", status)

    @property
    def trouble(self) -> str:
        """Return why it is not ready, nothing if it is."""
        if self.stopping.is_set():
            return "the program is stopping"
        return "" if self.ready else "the program is starting"

    def stop(self) -> None:
        """Let it stop in order."""
        self._notifier.tell(STOPPING="1", STATUS="stopping: what runs may finish")
        self.stopping.set()


def serve(program: Callable[[Lifetime], Awaitable[None]]) -> int:
    """Run a program under Trio until it ends, or a signal has ended it, and return the status.

    Raises:
        SignalledError: another signal than a single SIGTERM ended it; and whatever the program raises.

    """
    caught = trio.run(_serve, program)
    if caught not in ([], [exits.TERMINATED]):
        raise exits.SignalledError(caught[-1])
    return exits.OK


async def _serve(program: Callable[[Lifetime], Awaitable[None]]) -> list[int]:
    notifier = Notifier.take(os.environ)
    lifetime = Lifetime(notifier)
    caught: list[int] = []

    async def heed(scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]) -> None:
        first = -inf
        with trio.open_signal_receiver(*numbers) as signals:
            task_status.started()
            async for number in signals:
                if trio.current_time() < first + _ECHO:
                    continue
                caught.append(number)
                if lifetime.ready and not lifetime.stopping.is_set():
                    _log.info("%s: stopping; a second signal cancels what runs", exits.told(number))
                    first = trio.current_time()
                    lifetime.stop()
                else:
                    exits.end_on_signals()  # whoever asks once more is not kept waiting
                    scope.cancel()

    try:
        async with background() as nursery:
            if numbers := exits.handled():
                await nursery.start(heed, nursery.cancel_scope)
            nursery.start_soon(notifier.keep_alive)
            await program(lifetime)
    finally:
        notifier.close()
    return caught
