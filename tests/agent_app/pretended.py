"""A host for tests: its programs lie in a folder of the test's own, and nothing of the real one can be changed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import psutil
import trio

from osapi_agent import System

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_HARMLESS = ("cat", "echo", "env", "head", "pwd", "setsid", "sh", "sleep", "yes")


class PretendedSystem(System):
    """A host with harmless programs only; `refuses` is what the kernel answers to a new name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir()
        for name in _HARMLESS:
            self.programs.joinpath(name).symlink_to(shutil.which(name) or f"/bin/{name}")
        self.hostname_file = folder / "hostname"
        self.name = "old-name"
        self.refuses: OSError | None = None
        super().__init__(
            environment={"PATH": str(self.programs), "FOLDER": str(folder), "OSAPI_TOKEN": "hunter2"},
            hostname_file=self.hostname_file,
        )

    def interfaces(self) -> list[str]:
        return ["lo", "eth0", "eth1", "wlan0"]

    def hostname(self) -> str:
        return self.name

    def set_hostname(self, name: str) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.name = name

    def install(self, program: str, script: str) -> None:
        """Install a program that logs how it is called and then does what the script says."""
        path = self.programs / program
        path.write_text(f'#!/bin/sh\necho "{program} $*" >> "$FOLDER/calls"\n{script}\n', encoding="utf-8")
        path.chmod(0o755)

    def calls(self) -> list[str]:
        """Return how the installed programs were called."""
        log = self.folder / "calls"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


def is_dead(pid: int) -> bool:
    """Tell whether a process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def eventually(reached: Callable[[], bool]) -> None:
    """Wait for what another process does, for ten seconds at most."""
    with trio.fail_after(10):
        while not reached():
            await trio.sleep(0.01)
