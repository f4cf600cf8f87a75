"""A nats-server, started, watched and stopped."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections import deque
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import trio

from osapi.errors import ClosedError
from osapi.nursery import background
from osapi_nats.server.find import find_server
from osapi_nats.server.ground import ServerFailedError, check_address, own_store
from osapi_nats.server.render import render

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from osapi_nats.server.settings import ServerSettings

_KILLED: Final = 5.0  # what the kernel may take for it, with much memory or a slow disk
_READ: Final = 1.0  # for what an ended server has still in the pipe
_POLL: Final = 0.005
_TAIL: Final = 20
_PREFIX = re.compile(r"^\[\d+\] \S+ \S+ \[(\w+)\] ")

_SHELL: Final = "/bin/sh"

# The server with a guard at its side; `$$` is the server, `$1` the folder of its configuration. The guard reads from a
# pipe whose other end only we have: a line dismisses it, and an end without one means that we were killed, so that it
# leaves nothing behind. It is there before the server is, and notices a kill at any moment. PR_SET_PDEATHSIG of Linux
# would not do: it is sent once the thread ends that has started the server, and Trio's threads end when idle.
_GUARDED: Final = """
folder=$1; shift
exec 3<&0 </dev/null
{ read -r _ <&3 || { kill -KILL $$; rm -rf "$folder"; }; } &
exec "$@" 3<&-
"""


@asynccontextmanager
async def run_server(
    settings: ServerSettings,
    *,
    log: Callable[[str], None] | None = None,
    within: float = 30.0,
    grace: float = 5.0,
) -> AsyncGenerator[Server]:
    """Run a nats-server for the length of a block; `log` is called with each line that it writes.

    It is ready when the block begins. At the end it gets `grace` seconds to stop, then it is killed. If this process is
    killed, so is the server.

    Raises:
        ServerNotFoundError: the program is not installed.
        ServerFailedError: it did not start, or was not ready `within` so many seconds.

    """
    binary = find_server()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="osapi-nats-")))
        store = _store(settings, folder)
        lock = await stack.enter_async_context(own_store(store))
        async with background() as nursery:
            server = Server(
                binary, settings, nursery, folder=folder, store=store, lock=lock, log=log, within=within, grace=grace
            )
            try:
                await server.start()
                yield server
            finally:
                await server.stop()


class Server:
    """A nats-server that `run_server` runs, and that may be stopped and started again meanwhile."""

    def __init__(
        self,
        binary: Path,
        settings: ServerSettings,
        nursery: trio.Nursery,
        *,
        folder: Path,
        store: Path,
        lock: int,
        log: Callable[[str], None] | None,
        within: float,
        grace: float,
    ) -> None:
        self.store = store
        self._binary = binary
        self._settings = settings
        self._nursery = nursery
        self._folder = folder
        self._lock = lock
        self._log = log
        self._within = within
        self._grace = grace
        self._port = settings.port
        self._process: trio.Process | None = None
        self._read = trio.Event()
        self._read.set()
        self._reading = trio.CancelScope()
        self._last: deque[str] = deque(maxlen=_TAIL)

    @property
    def port(self) -> int:
        """Return the port that it listens on, the same after a restart."""
        return self._port

    @property
    def url(self) -> str:
        """Return what clients on this host connect to; without a password, which is not for showing around."""
        host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self._settings.host, self._settings.host)  # noqa: S104 - told apart, not listened on
        scheme = "tls" if self._settings.tls else "nats"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._port}"

    @property
    def pid(self) -> int:
        """Return the process id of the server, or of the last one if it has ended."""
        return self._started().pid

    @property
    def tail(self) -> list[str]:
        """Return the last lines that it wrote, twenty at most."""
        return list(self._last)

    async def wait(self) -> int:
        """Return its exit status, negative the signal that killed it, once it has ended for whatever reason."""
        status = await self._started().wait()
        await self._read.wait()
        return status

    async def start(self) -> None:
        """Start it after it has ended, on the same port and store. Does nothing while it runs.

        Raises:
            ServerFailedError

        """
        if self._process is not None and self._process.poll() is None:
            return
        await check_address(self._settings.host, self._port)
        ports = self._write_configuration()
        self._process = await self._spawn()
        try:
            with trio.fail_after(self._within):
                self._port = await self._ready(self._process, ports)
        except trio.TooSlowError:
            await self.stop()
            raise ServerFailedError(f"nats-server was not ready within {self._within:g} s{self._quoted()}") from None

    async def stop(self) -> None:
        """Stop it in an orderly way; kill it if that takes too long. Does nothing if it has ended."""
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            process.send_signal(signal.SIGCONT)  # a test may have stopped it for a while
            with trio.move_on_after(self._grace, shield=True):
                await process.wait()
            if process.poll() is None:
                await self.kill()
        with trio.move_on_after(_READ, shield=True):
            await self._read.wait()
        self._reading.cancel()

    async def kill(self) -> None:
        """Kill it with SIGKILL, as a crash would, and return once it has ended."""
        process = self._started()
        process.kill()
        with trio.move_on_after(_KILLED, shield=True):
            await process.wait()

    async def restart(self) -> None:
        """Stop it if it runs, and start it again on the same port and store.

        Raises:
            ServerFailedError

        """
        await self.stop()
        await self.start()

    def _started(self) -> trio.Process:
        if self._process is None:
            raise ClosedError("the server was never started")
        return self._process

    def _write_configuration(self) -> Path:
        """Write it for our eyes only, since it may hold passwords, and return where the ports will be told."""
        ports = self._folder / "ports"
        ports.mkdir(exist_ok=True)
        for stale in ports.iterdir():
            stale.unlink()
        text = render(self._settings, port=self._port, store_dir=str(self.store), ports_dir=str(ports))
        path = self._folder / "nats.conf"
        path.touch(mode=0o600)
        path.write_bytes(text)
        return ports

    async def _spawn(self) -> trio.Process:
        self._last.clear()
        folder = str(self._folder)
        command = [_SHELL, "-c", _GUARDED, "sh", folder, str(self._binary), "-c", f"{folder}/nats.conf"]
        try:
            process = await trio.lowlevel.open_process(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[self._lock],
                process_group=0,  # Ctrl-C is for us: we stop the server once nobody needs it any more
            )
        except OSError as error:
            raise ServerFailedError(f"{_SHELL}, which starts nats-server, cannot be run: {error.strerror}") from error
        self._read = trio.Event()
        # Whoever cancels us does not take away the pipe: a server that writes to nobody dies of it, half shut down.
        self._reading = trio.CancelScope(shield=True)
        self._nursery.start_soon(self._read_output, process, self._reading, self._read)
        return process

    async def _read_output(self, process: trio.Process, scope: trio.CancelScope, done: trio.Event) -> None:
        """Read to the end, which comes once the guard has ended as well."""
        assert process.stdout is not None  # noqa: S101 - it was asked for
        rest = b""
        with scope:
            async with background() as nursery, process.stdout as output:
                nursery.start_soon(_dismiss_guard, process)
                async for part in output:
                    *lines, rest = (rest + part).split(b"\n")
                    for line in lines:
                        self._note(line)
        self._note(rest)
        done.set()

    def _note(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self._last.append(text)
            if self._log:
                self._log(text)

    async def _ready(self, process: trio.Process, ports: Path) -> int:
        """Return the port once the server has told it and takes a connection on it."""
        while process.poll() is None:
            port = told_port(ports, process.pid)
            if port is not None and await _accepts(self._settings.host, port):
                return port
            await trio.sleep(_POLL)
        await self._read.wait()
        raise ServerFailedError(f"nats-server did not start{self._quoted()}")

    def _quoted(self) -> str:
        """Return the line that tells why, without what is before it for a log's sake."""
        fatal = [line for line in self._last if "[FTL]" in line or "[ERR]" in line or not _PREFIX.match(line)]
        lines = fatal[-1:] or list(self._last)[-1:]
        return "".join(f": {_PREFIX.sub('', line).removeprefix('nats-server: ')}" for line in lines)


async def _dismiss_guard(process: trio.Process) -> None:
    """Once the server has ended, let its guard end too."""
    assert process.stdin is not None  # noqa: S101 - it was asked for
    async with process.stdin as guard:
        await process.wait()
        with suppress(trio.BrokenResourceError):  # somebody has ended it
            await guard.send_all(b"\n")


def _store(settings: ServerSettings, folder: Path) -> Path:
    return Path(settings.store_dir).absolute() if settings.store_dir else folder / "store"


def told_port(ports: Path, pid: int) -> int | None:
    """Return the port that a server has told in a file of its `ports_file_dir`, None if it has not yet."""
    for file in ports.glob(f"*_{pid}.ports"):
        try:
            urls: list[str] = json.loads(file.read_bytes())["nats"]
        except (OSError, ValueError):  # half written
            return None
        return int(urls[0].rpartition(":")[2])
    return None


async def _accepts(host: str, port: int) -> bool:
    try:
        stream = await trio.open_tcp_stream(host or "127.0.0.1", port)
    except OSError:
        return False
    await stream.aclose()
    return True
