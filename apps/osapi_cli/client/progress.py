"""The line at the end of a terminal that tells how far something is; it is on stderr, and gone when all is done."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import trio

from osapi_cli import exits
from osapi_cli.human import duration

if TYPE_CHECKING:
    from collections.abc import Callable

# Seconds before anything is shown: most of what is asked is answered by then.
SOON: Final = 0.7

# Seconds between two looks at it: people read no faster.
_EVERY: Final = 0.2
_CLEAR: Final = "\r\x1b[K"


def can_be_seen() -> bool:
    """Tell whether stderr is a terminal on which a line can be taken back."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}


class Line:
    """One line that is written over and over; `clear` it before anything else is written."""

    def __init__(self) -> None:
        self._shown = False

    def show(self, text: str) -> None:
        """Write it anew, cut to the terminal."""
        width = shutil.get_terminal_size().columns - 1
        self._write(_CLEAR + exits.printable(text)[:width])
        self._shown = True

    def clear(self) -> None:
        """Take it away."""
        if self._shown:
            self._write(_CLEAR)
            self._shown = False

    def tell(self, text: str) -> None:
        """Say something on stderr in its place."""
        self.clear()
        exits.tell(text)

    def _write(self, text: str) -> None:
        with suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()


async def show_soon(text: Callable[[], str]) -> None:
    """Show a text, if it takes a while, until cancelled."""
    await trio.sleep(SOON)
    await keep_showing(Line(), text)


async def keep_showing(line: Line, text: Callable[[], str]) -> None:
    """Show a text and how long it has been shown, until cancelled; then the line is gone."""
    started = trio.current_time()
    try:
        while True:
            line.show(f"{text()}, {duration(trio.current_time() - started)}")
            await trio.sleep(_EVERY)
    finally:
        line.clear()
