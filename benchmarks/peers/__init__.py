"""Other job systems beside ours, each in an environment of its own that is made on demand and kept in a cache folder.

Nothing here is installed unless `python -m benchmarks --peers` is asked for. A program of this folder is run by the
environment's own Python, prints one row as JSON, and checks every answer.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import msgspec
import trio

from osapi_nats.server import ServerSettings, run_server

HERE = Path(__file__).resolve().parent


class Peer(msgspec.Struct, frozen=True):
    """What to install, what to run, and which server it talks to."""

    requirements: tuple[str, ...]
    program: str
    server: str = ""


PEERS = {
    "FastStream, JetStream": Peer(("faststream[nats]",), "faststream_jetstream.py", "nats"),
    "taskiq, in memory": Peer(("taskiq",), "taskiq_memory.py"),
    "Dramatiq, Redis": Peer(("dramatiq[redis]",), "dramatiq_redis.py", "redis"),
}


def available() -> tuple[str, ...]:
    """Return those that can be measured here: for Redis, `redis-server` has to be on the PATH."""
    return tuple(name for name, peer in PEERS.items() if peer.server != "redis" or shutil.which("redis-server"))


def measure(name: str, jobs: int) -> dict[str, float]:
    """Measure a peer in a process of its own, on a server that is started for it."""
    return trio.run(_measure, PEERS[name], jobs)


async def _measure(peer: Peer, jobs: int) -> dict[str, float]:
    python = _environment(peer)
    if peer.server != "nats":
        return await _run([str(python), str(HERE / peer.program), str(jobs)])
    async with run_server(ServerSettings(port=0)) as server:
        return await _run([str(python), str(HERE / peer.program), str(jobs), server.url, str(server.pid)])


async def _run(command: list[str]) -> dict[str, float]:
    done = await trio.run_process(command, capture_stdout=True)
    row: dict[str, float] = json.loads(done.stdout)
    return row


def _environment(peer: Peer) -> Path:
    """Return the Python of the peer's environment, which is made where it is missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "osapi-benchmarks"
    folder = cache / f"{Path(peer.program).stem}-{sys.version_info.major}.{sys.version_info.minor}"
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *peer.requirements], check=True)
        ready.touch()
    return python
