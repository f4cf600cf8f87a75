"""`osapi nats server start` as a process: ready, connected to, killed, signalled, refused."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM, Signals
from typing import TYPE_CHECKING, Any

import pytest

from osapi_nats.server import ServerNotFoundError, find_server
from tests.cli.program import OSAPI, begin, finish, osapi, wait_for_end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = ("nats", "server", "start")


@pytest.fixture(autouse=True)
def binary() -> None:
    try:
        find_server()
    except ServerNotFoundError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


class Started:
    """The program, once it has said that its server is ready."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.store = folder / "store"
        mine = {"OSAPI_NATS_SERVER_PORT": "0", "OSAPI_NATS_SERVER_STORE_DIR": str(self.store)}
        self.process = begin(*OSAPI, *START, "--json", *arguments, env=os.environ | mine | environment)
        assert self.process.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1] != "}\n":
            lines.append(self.process.stdout.readline())
            assert lines[-1], finish(self.process)
        self.ready: dict[str, Any] = json.loads("".join(lines))
        self.port = int(self.ready["url"].rpartition(":")[2])

    def told(self) -> str:
        """Return the next line of stderr."""
        assert self.process.stderr is not None
        return self.process.stderr.readline()


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    # Under nohup this run ignores hang-ups, and what it starts would too.
    before = signal.signal(SIGHUP, signal.SIG_DFL)
    try:
        running = Started(tmp_path)
    finally:
        signal.signal(SIGHUP, before)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.terminate()
            finish(running.process)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            return connection.recv(4096).startswith(b"INFO ")
    except ConnectionRefusedError:
        return False


def test_it_says_where_it_is_and_answers_there(started: Started) -> None:
    assert started.ready == {
        "url": f"nats://127.0.0.1:{started.port}",
        "store": str(started.store),
        "pid": started.ready["pid"],
        "auth": "none",
    }
    assert answers(started.port)
    assert started.store.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("number", "told"), [(SIGINT, "interrupted"), (SIGTERM, "terminated"), (SIGHUP, "hung up")])
def test_a_signal_stops_the_server_too(started: Started, number: Signals, told: str) -> None:
    started.process.send_signal(number)

    assert finish(started.process) == (128 + number, "", f"osapi: {told}\n")
    assert not answers(started.port)
    with pytest.raises(ProcessLookupError):
        os.kill(started.ready["pid"], 0)


def test_an_interrupt_of_the_whole_group_is_no_failure_of_the_server(tmp_path: Path) -> None:
    # As a terminal does it: Ctrl-C reaches all processes in its foreground.
    mine = {"OSAPI_NATS_SERVER_PORT": "0", "OSAPI_NATS_SERVER_STORE_DIR": str(tmp_path)}
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*OSAPI, *START],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | mine,
        process_group=0,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("nats-server is ready at nats://127.0.0.1:")
    assert process.stdout.readline().startswith("Connect with osapi.connect('nats://127.0.0.1:")
    os.killpg(process.pid, SIGINT)

    assert finish(process) == (130, "", "osapi: interrupted\n")


def test_a_server_that_dies_is_started_again_on_the_same_port(started: Started) -> None:
    os.kill(started.ready["pid"], SIGKILL)

    assert started.told() == "osapi: nats-server failed: it was killed by SIGKILL; it is started again in 0.2 s\n"
    assert started.told().startswith("osapi: nats-server is ready again, pid ")
    assert answers(started.port)


def test_killed_it_takes_its_server_along_and_the_next_start_just_works(started: Started, tmp_path: Path) -> None:
    started.process.kill()
    finish(started.process)
    again = Started(tmp_path, OSAPI_NATS_SERVER_PORT=str(started.port))
    try:
        assert (again.port, again.store) == (started.port, started.store)
        assert answers(again.port)
        wait_for_end(started.ready["pid"])
    finally:
        again.process.terminate()
        assert finish(again.process) == (143, "", "osapi: terminated\n")


def test_after_five_failures_it_gives_up_with_the_end_of_the_log(started: Started) -> None:
    pid = started.ready["pid"]
    for _ in range(4):
        os.kill(pid, SIGTERM)
        assert started.told().startswith("osapi: nats-server failed: it ended with status 0; it is started again in ")
        pid = int(started.told().rpartition(" ")[2])
    os.kill(pid, SIGTERM)
    ended = finish(started.process)

    assert (ended.status, ended.out) == (69, "")
    assert ended.err.startswith("osapi: nats-server failed 5 times within 60 s, last: it ended with status 0; ")
    assert ended.err.endswith("Server Exiting..\n")
    assert ended.err.count("\n") == 1


def test_a_second_one_on_the_same_port_is_told_so(started: Started, tmp_path: Path) -> None:
    ended = osapi(
        *START, OSAPI_NATS_SERVER_PORT=str(started.port), OSAPI_NATS_SERVER_STORE_DIR=str(tmp_path / "another")
    )

    assert (ended.status, ended.out) == (69, "")
    assert ended.err == (
        f"osapi: nats-server cannot listen on 127.0.0.1:{started.port}: Address already in use; "
        "stop what uses that port, or give another address\n"
    )


def test_a_second_one_on_the_same_store_is_told_so(started: Started) -> None:
    ended = osapi(*START, OSAPI_NATS_SERVER_PORT="0", OSAPI_NATS_SERVER_STORE_DIR=str(started.store))

    assert ended == (
        69,
        "",
        f"osapi: another nats-server uses the store {started.store}; stop it, or give another folder\n",
    )


def test_without_the_program_it_says_how_to_get_it() -> None:
    ended = osapi(*START, OSAPI_NATS_SERVER="/nope")

    assert (ended.status, ended.out) == (69, "")
    assert (
        ended.err == "osapi: OSAPI_NATS_SERVER '/nope': is no program that can be run; give the path of nats-server\n"
    )


def test_users_of_the_configuration_have_to_say_who_they_are(tmp_path: Path) -> None:
    file = tmp_path / "osapi.yaml"
    file.write_text("nats: {server: {auth: {type: user_pass, users: [{username: a, password: hunter2}]}}}")
    running = Started(tmp_path, "-f", str(file))
    try:
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
            assert b'"auth_required":true' in connection.recv(4096)
    finally:
        running.process.send_signal(signal.SIGTERM)
        ended = finish(running.process)
    assert ended.status == 143
    assert "hunter2" not in ended.err
    assert running.ready["auth"] == "user_pass"


def test_debug_shows_the_servers_log(tmp_path: Path) -> None:
    running = Started(tmp_path, "--debug")
    running.process.terminate()
    told = finish(running.process).err

    assert "Server is ready" in told
    assert "Server Exiting.." in told
