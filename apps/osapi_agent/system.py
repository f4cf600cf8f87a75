"""The host that the operations act on: its programs, its name, its network interfaces."""

from __future__ import annotations

import errno
import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import trio
from msgspec import Struct

from osapi.errors import shown
from osapi_agent import groups
from osapi_agent.errors import CommandNotStartedError, ProgramFailedError, ProgramMissingError
from osapi_agent.output import Output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Threads that one system may use at once; the rest of the process has its own.
_THREADS: Final = 4

# A program of the system that takes longer hangs.
_PATIENCE: Final = 15.0

# In the words of systemd's own programs, where the service that they talk to, or the bus, is not there.
_NO_SYSTEMD = re.compile(r"\bbus\b|sd_bus|booted with systemd|resolve1|systemd-resolved", re.IGNORECASE)
# In the words of the same programs and of libc, where polkit or the kernel refuses it to this process.
_NO_RIGHTS = re.compile(
    r"access denied|permission denied|not permitted|not authorized|authentication required|read-only file system",
    re.IGNORECASE,
)


class Ended(Struct, frozen=True, kw_only=True):
    """A program that has ended."""

    status: int
    stdout: str
    stderr: str

    def lacks_systemd(self) -> bool:
        """Tell whether it failed because the service that it talks to is not there."""
        return self.status != 0 and _NO_SYSTEMD.search(self.stderr) is not None

    def lacks_rights(self) -> bool:
        """Tell whether it failed because this process may not do that."""
        return self.status != 0 and _NO_RIGHTS.search(self.stderr) is not None


class System:
    """The host of this process; give the operations another one to try them out without touching anything.

    `environment` is what programs are started with and, by its PATH, where they are looked for: by default that of
    this process without `OSAPI_*`, where the secrets of the agent are. `hostname_file` keeps the host's name over a
    restart.
    """

    def __init__(
        self, *, environment: Mapping[str, str] | None = None, hostname_file: Path = Path("/etc/hostname")
    ) -> None:
        self._environment = environment
        self._hostname_file = hostname_file
        self.threads = trio.CapacityLimiter(_THREADS)
        # Who reads, compares and then writes does so alone.
        self.writing = trio.Lock()

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of programs."""
        given = os.environ if self._environment is None else self._environment
        return {name: value for name, value in given.items() if not name.startswith("OSAPI_")}

    def interfaces(self) -> list[str]:
        """Return the names of the network interfaces."""
        return [name for _, name in socket.if_nameindex()]

    def hostname(self) -> str:
        """Return the name that the kernel has for this host."""
        return socket.gethostname()

    def set_hostname(self, name: str) -> None:
        """Tell the kernel another name.

        Raises:
            OSError

        """
        socket.sethostname(name)

    def kept_hostname(self) -> str:
        """Return the name that the host will have after a restart; blocking, and empty if there is none.

        Raises:
            OSError

        """
        try:
            text = self._hostname_file.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        lines = (line.strip() for line in text.splitlines())
        return next((line for line in lines if line and not line.startswith("#")), "")

    def keep_hostname(self, name: str) -> None:
        """Store the name for the next start of the host, whole or not at all; blocking.

        Raises:
            OSError

        """
        new = self._hostname_file.with_name(f".{self._hostname_file.name}.osapi")
        try:
            new.write_text(f"{name}\n", encoding="utf-8")
            new.chmod(0o644)
            new.replace(self._hostname_file)
        except OSError as error:
            new.unlink(missing_ok=True)
            if error.errno != errno.EBUSY:
                raise
            # A container's runtime mounts this one file: it can be written, not replaced.
            self._hostname_file.write_text(f"{name}\n", encoding="utf-8")

    async def ask(self, program: str, *arguments: str) -> Ended:
        """Run one of the system's own programs, whose words are then English, for 15 seconds at most.

        Raises:
            ProgramMissingError, CommandNotStartedError
            ProgramFailedError: it did not end.

        """
        stdout, stderr = Output(), Output()
        with trio.move_on_after(_PATIENCE):
            status = await self.run(
                [program, *arguments], stdout=stdout, stderr=stderr, environment={**self.environment, "LC_ALL": "C"}
            )
            return Ended(status=status, stdout=stdout.told()[0], stderr=stderr.told()[0])
        raise ProgramFailedError(f"{program} did not end within {_PATIENCE:g} s, and was killed")

    async def run(
        self,
        command: Sequence[str],
        *,
        stdout: Output,
        stderr: Output,
        cwd: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Run a program and return its exit status; nothing of its process group outlives the call.

        Raises:
            ProgramMissingError, CommandNotStartedError

        """
        try:
            return await groups.run(
                command, environment=environment or self.environment, cwd=cwd, stdout=stdout, stderr=stderr
            )
        except OSError as error:
            raise _not_started(command[0], cwd, error) from error


def _not_started(program: str, cwd: str | None, error: OSError) -> ProgramMissingError | CommandNotStartedError:
    if cwd is not None and error.filename == cwd:
        return CommandNotStartedError(
            f"directory {shown(cwd)} cannot be entered: {error.strerror}; name one that exists on the host"
        )
    if isinstance(error, FileNotFoundError):
        return ProgramMissingError(
            f"program {shown(program)} is not on this host, or its interpreter is not; install it, or name another"
        )
    return CommandNotStartedError(
        f"program {shown(program)} cannot be started: {error.strerror}; name one that can be run here"
    )
