"""A real nats-server as a child: ready when the block begins, gone when it ends, one clear error if it cannot."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import trio

from osapi_nats.server import Server, ServerFailedError, ServerSettings, run_server

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("nats_binary")


async def greeting(server: Server) -> dict[str, Any]:
    """Return what the server says of itself to whoever connects."""
    return await said(server.port)


async def said(port: int) -> dict[str, Any]:
    with trio.fail_after(10):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            read = b""
            while not read.endswith(b"\r\n"):
                read += await stream.receive_some()
    info: dict[str, Any] = json.loads(read.removeprefix(b"INFO "))
    return info


async def tell(server: Server, connect: dict[str, Any]) -> bytes:
    """Return the answer to a client that introduces itself so."""
    with trio.fail_after(10):
        async with await trio.open_tcp_stream("127.0.0.1", server.port) as stream:
            await stream.receive_some()
            await stream.send_all(b"CONNECT " + json.dumps({"verbose": False, **connect}).encode() + b"\r\nPING\r\n")
            return bytes(await stream.receive_some())


def runs(pid: int) -> bool:
    """Tell whether it runs; one that its new parent has not reaped yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# --- From begin to end ----------------------------------------------------------------------------------------


async def test_it_is_ready_when_the_block_begins_and_gone_when_it_ends() -> None:
    async with run_server(ServerSettings(port=0)) as server:
        assert (await greeting(server))["jetstream"] is True
        assert server.url == f"nats://127.0.0.1:{server.port}"
        pid = server.pid
    assert not runs(pid)
    assert not server.store.exists()


async def test_the_error_of_the_block_is_what_comes_out() -> None:
    pid = 0
    with pytest.raises(KeyError, match="mine"):
        async with run_server(ServerSettings(port=0)) as server:
            pid = server.pid
            raise KeyError("mine")
    assert not runs(pid)


async def test_a_cancelled_block_stops_it() -> None:
    servers: list[Server] = []
    with trio.CancelScope() as scope:
        async with run_server(ServerSettings(port=0)) as server:
            servers.append(server)
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert not runs(servers[0].pid)
    # In good order, to its last word.
    assert await servers[0].wait() == 0
    assert "Server Exiting.." in servers[0].tail[-1]


async def test_a_cancelled_start_leaves_nothing_behind(tmp_path: Path) -> None:
    lines: list[str] = []
    with trio.CancelScope() as scope:

        def log(line: str) -> None:
            lines.append(line)
            scope.cancel()

        async with run_server(ServerSettings(port=0, store_dir=str(tmp_path)), log=log):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    pid = int(lines[0].split("]")[0].removeprefix("["))
    assert not runs(pid)


async def test_a_server_that_hangs_is_stopped_all_the_same(private_server: Server) -> None:
    os.kill(private_server.pid, signal.SIGSTOP)
    await private_server.stop()

    assert not runs(private_server.pid)


STUBBORN = """#!{python}
import json, os, signal, socket, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with socket.create_server(("127.0.0.1", 0)) as listening:
    with open(sys.argv[2]) as file:
        ports = json.load(file)["ports_file_dir"]
    with open(f"{ports}/stubborn_{os.getpid()}.ports", "w") as file:
        json.dump({"nats": [f"nats://127.0.0.1:{listening.getsockname()[1]}"]}, file)
    signal.pause()
"""


async def test_a_server_that_does_not_stop_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "stubborn"
    program.write_text(STUBBORN.replace("{python}", sys.executable), encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.setenv("OSAPI_NATS_SERVER", str(program))
    async with run_server(ServerSettings(port=0), grace=0.1) as server:
        await server.stop()

        assert await server.wait() == -signal.SIGKILL


async def test_a_server_that_is_not_ready_in_time_is_an_error() -> None:
    with pytest.raises(ServerFailedError, match="was not ready within 0 s"):
        async with run_server(ServerSettings(port=0), within=0):
            pytest.fail("it cannot be ready")


async def test_without_a_shell_it_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("osapi_nats.server.run._SHELL", str(tmp_path / "sh"))
    with pytest.raises(
        ServerFailedError, match="sh, which starts nats-server, cannot be run: No such file or directory"
    ):
        async with run_server(ServerSettings(port=0)):
            pytest.fail("nobody can have started it")


# --- Killed and started again ---------------------------------------------------------------------------------


async def test_killed_and_restarted_it_has_the_same_port_and_another_process(private_server: Server) -> None:
    port, first = private_server.port, await greeting(private_server)
    await private_server.kill()
    assert await private_server.wait() == -signal.SIGKILL
    await private_server.restart()

    assert private_server.port == port
    assert (await greeting(private_server))["server_id"] != first["server_id"]


async def test_a_restart_of_a_running_server_stops_it_first(private_server: Server) -> None:
    first = private_server.pid
    await private_server.restart()

    assert not runs(first)
    assert runs(private_server.pid)


async def test_starting_a_running_server_does_nothing(private_server: Server) -> None:
    first = private_server.pid
    await private_server.start()

    assert private_server.pid == first


async def test_an_end_that_nobody_asked_for_is_noticed(private_server: Server) -> None:
    async with trio.open_nursery() as nursery:
        statuses: list[int] = []

        async def watch() -> None:
            statuses.append(await private_server.wait())

        nursery.start_soon(watch)
        os.kill(private_server.pid, signal.SIGTERM)
    assert statuses == [0]
    assert "Server Exiting.." in private_server.tail[-1]


HELD = """
import os, pathlib, trio
from osapi_nats.server.ground import own_store

async def main():
    async with own_store(pathlib.Path({store})) as lock:
        print(lock)

trio.run(main)
"""


async def test_its_lock_is_none_of_the_descriptors_that_a_shell_numbers(tmp_path: Path) -> None:
    script = HELD.format(store=repr(str(tmp_path)))
    ended = await trio.run_process([sys.executable, "-c", script], capture_stdout=True)

    assert int(ended.stdout) >= 10


# --- The one who runs it is killed ----------------------------------------------------------------------------

KILLED = """
import os, trio
from osapi_nats.server import ServerSettings, run_server

def die(*told):
    print(*told, flush=True)
    os.kill(os.getpid(), 9)

def log(line):
    if {at_first}:
        die(line.split("]")[0].removeprefix("["), 0)

async def main():
    async with run_server(ServerSettings(port=0, store_dir={store}), log=log) as server:
        die(server.pid, server.port)

trio.run(main)
"""


@pytest.mark.parametrize("at_first", [False, True])
async def test_it_is_killed_with_the_one_who_runs_it_and_the_next_one_just_starts(
    tmp_path: Path, *, at_first: bool
) -> None:
    store, temporary = tmp_path / "store", tmp_path / "temporary"
    temporary.mkdir()
    script = KILLED.format(store=repr(str(store)), at_first=at_first)
    there = os.environ | {"TMPDIR": str(temporary)}
    ended = await trio.run_process([sys.executable, "-c", script], capture_stdout=True, check=False, env=there)
    pid, port = map(int, ended.stdout.split())

    assert ended.returncode == -signal.SIGKILL
    async with run_server(ServerSettings(port=port, store_dir=str(store))) as server:
        assert server.pid != pid
        assert not runs(pid)
        assert list(temporary.iterdir()) == []


async def test_a_guard_that_somebody_ended_is_not_missed(private_server: Server) -> None:
    (guard,) = psutil.Process(private_server.pid).children()
    guard.kill()
    await private_server.restart()

    assert await greeting(private_server)


async def test_nothing_is_left_of_the_guard() -> None:
    async with run_server(ServerSettings(port=0)) as server:
        (guard,) = psutil.Process(server.pid).children()
        await server.kill()
        await server.wait()

        with trio.fail_after(10):
            while runs(guard.pid):  # its pipe is closed, which comes a little earlier
                await trio.sleep(0.01)


# --- One clear error ------------------------------------------------------------------------------------------


async def refusal(settings: ServerSettings) -> str:
    with pytest.raises(ServerFailedError) as caught:
        async with run_server(settings):
            pytest.fail("it started")
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = await refusal(ServerSettings(port=port))
    assert told.startswith(f"nats-server cannot listen on 127.0.0.1:{port}: Address already in use; ")


async def test_a_port_that_is_free_in_a_moment() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_for_a_moment, port)
            await trio.sleep(0.1)
            taken.close()


async def run_for_a_moment(port: int) -> None:
    async with run_server(ServerSettings(port=port)) as server:
        assert server.port == port


async def test_an_address_of_somebody_else() -> None:
    assert "192.0.2.1:0: Cannot assign requested address" in await refusal(ServerSettings(port=0, host="192.0.2.1"))


async def test_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = await refusal(ServerSettings(port=0, store_dir=str(tmp_path / "file" / "store")))

    assert told.startswith(f"nats-server cannot write to its store {tmp_path}/file/store: Not a directory; ")


async def test_a_store_of_another_server(private_server: Server) -> None:
    told = await refusal(ServerSettings(port=0, store_dir=str(private_server.store)))

    assert told == f"another nats-server uses the store {private_server.store}; stop it, or give another folder"


async def test_settings_that_the_server_does_not_know() -> None:
    assert (await refusal(ServerSettings(port=0, options={"nonsense": 1}))).endswith('unknown field "nonsense"')


# --- The fixture of all tests ---------------------------------------------------------------------------------


async def test_the_shared_server_has_jetstream(nats_server: str) -> None:
    info = await said(int(nats_server.removeprefix("nats://127.0.0.1:")))

    assert info["jetstream"] is True
