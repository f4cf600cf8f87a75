"""What all tests rely on, and a real nats-server: one for all tests of a run, or a test's own that it may kill."""

from __future__ import annotations

import os
import signal
from subprocess import DEVNULL, STDOUT, Popen, TimeoutExpired
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings
from msgspec.structs import replace

from osapi_nats.server import Server, ServerNotFoundError, ServerSettings, find_server, run_server
from osapi_nats.server.render import render
from osapi_nats.server.run import told_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

# Who is started in the background by a shell ignores SIGINT, and so would the programs that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A property holds however slow the machine is. What is drawn is the same in each run: what fails does so again, and on
# every machine; `--hypothesis-profile=anew` draws something else each time.
settings.register_profile("anew", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", settings.get_profile("anew"), derandomize=True)
settings.load_profile("same")

# Room to promise, which takes none: a bucket of a test may reserve more than a small disk has.
_SETTINGS: Final = ServerSettings(port=0, max_memory=4 << 30, max_file=64 << 30)


@pytest.fixture(scope="session")
def nats_binary() -> Path:
    """Return the path of nats-server; without it skip the test, or fail it under CI."""
    try:
        return find_server()
    except ServerNotFoundError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def nats_server(nats_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one server with JetStream for all tests of this run, and return its URL.

    What other tests have left is in it: use names of your own, and leave the server alone.
    """
    folder = tmp_path_factory.mktemp("nats")
    configuration = folder / "nats.conf"
    configuration.write_bytes(render(_SETTINGS, port=0, store_dir=str(folder / "store"), ports_dir=str(folder)))
    with (folder / "log").open("wb") as log:
        process = Popen([nats_binary, "-c", configuration], stdin=DEVNULL, stdout=log, stderr=STDOUT)  # noqa: S603 - found above
    with process:
        try:
            yield _url(process, folder)
        finally:
            process.terminate()
            try:
                process.wait(timeout=5)
            except TimeoutExpired:
                process.kill()


def _url(process: Popen[bytes], folder: Path) -> str:
    until = monotonic() + 30
    while monotonic() < until and process.poll() is None:
        port = told_port(folder, process.pid)
        if port is not None:
            return f"nats://127.0.0.1:{port}"
        sleep(0.005)
    pytest.fail(f"nats-server did not start:\n{(folder / 'log').read_text(encoding='utf-8')}", pytrace=False)


@pytest.fixture
async def private_server(nats_binary: Path, tmp_path: Path) -> AsyncIterator[Server]:
    """Run a server with JetStream for this test alone, which may kill it, restart it or stop its process."""
    async with run_server(replace(_SETTINGS, store_dir=str(tmp_path / "store"))) as server:
        yield server
