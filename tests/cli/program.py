"""Running the real program: in pipes, on a terminal, and with signals."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import TYPE_CHECKING, NamedTuple

import psutil

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

OSAPI = [sys.executable, "-m", "osapi_cli"]
SIGNALS = (SIGINT, SIGTERM)

# As a user's environment is: buffered output, and no mind of its own about looks.
_ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in {"PYTHONUNBUFFERED", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"}
}

_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Ended(NamedTuple):
    status: int
    out: str
    err: str


def begin(
    *command: str,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    env: Mapping[str, str] = _ENVIRONMENT,
) -> subprocess.Popen[str]:
    """Start a command with its output in pipes, unless it is to be elsewhere."""
    return subprocess.Popen(  # noqa: S603 - our own program
        command, text=True, stdout=stdout, stderr=stderr, env=env
    )


def finish(process: subprocess.Popen[str]) -> Ended:
    """Return what has become of a command, and what it had still to say."""
    with process:
        try:
            out, err = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return Ended(process.returncode, out, err)


def osapi(*arguments: str, **environment: str) -> Ended:
    """Run the program with its output in pipes."""
    return finish(begin(*OSAPI, *arguments, env=_ENVIRONMENT | environment))


def python(script: str) -> Ended:
    """Run a program of somebody else's."""
    return finish(begin(sys.executable, "-c", script))


def shell(script: str, **environment: str) -> Ended:
    """Run a line of sh in which `osapi` is the program."""
    command = script.replace("osapi", " ".join(OSAPI))
    return finish(begin("/bin/sh", "-c", command, env=_ENVIRONMENT | environment))


def on_terminal(*arguments: str, columns: int = 80, **environment: str) -> Ended:
    """Run the program with its stdout on a terminal of that many columns."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(ours, (24, columns))
    process = begin(*OSAPI, *arguments, stdout=its, env=_ENVIRONMENT | {"TERM": "xterm-256color"} | environment)
    os.close(its)
    out = _read_all(ours)
    os.close(ours)
    ended = finish(process)
    return ended._replace(out=out.decode().replace("\r\n", "\n"))


@contextmanager
def with_screen(*arguments: str, **environment: str) -> Generator[tuple[subprocess.Popen[str], Screen]]:
    """Run the program with its stdout in a pipe and its stderr on a terminal."""
    ours, its = pty.openpty()
    termios.tcsetwinsize(ours, (24, 80))
    process = begin(*OSAPI, *arguments, stderr=its, env=_ENVIRONMENT | {"TERM": "xterm-256color"} | environment)
    os.close(its)
    try:
        with process:
            try:
                yield process, Screen(ours)
            finally:
                process.kill()
    finally:
        os.close(ours)


class Screen:
    """What a terminal has been sent."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self.sent = ""

    def until(self, text: str) -> str:
        """Read until it has been sent this text, or the program has ended, and return all that was sent."""
        while text not in self.sent:
            try:
                part = os.read(self._terminal, 65536)
            except OSError:  # as in `_read_all`
                break
            self.sent += part.decode().replace("\r\n", "\n")
        return self.sent


def _read_all(terminal: int) -> bytes:
    read = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other end is closed, which Linux tells as an input/output error
            return read
        if not part:
            return read
        read += part


def without_style(text: str) -> str:
    """Return what is seen of a terminal's text, colour and weight aside."""
    return _STYLE.sub("", text)


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start the program and return as soon as it answers to signals."""
    process = begin(*OSAPI, *arguments, env=_ENVIRONMENT | environment)
    wait_for_handler(process.pid)
    return process


def wait_for_handler(pid: int) -> None:
    """Wait until a process catches SIGTERM: before, it is Python that starts and not yet the program."""
    status = Path(f"/proc/{pid}/status")
    while not _caught(status.read_text(encoding="ascii")) >> (SIGTERM - 1) & 1:
        time.sleep(0.001)


def wait_for_end(pid: int) -> None:
    """Wait until a process of somebody else has ended, though nobody may have taken its status yet."""
    until = time.monotonic() + 30
    with suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < until, f"process {pid} still runs"
            time.sleep(0.01)


def _caught(status: str) -> int:
    found = re.search(r"^SigCgt:\s*([0-9a-f]+)$|^State:\s*Z", status, re.MULTILINE)
    assert found is not None
    assert found[1], "the program has ended before it answered to signals"
    return int(found[1], 16)
