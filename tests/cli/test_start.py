"""`osapi start` as a process: on a fresh machine, with a server, interrupted, refused."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
from signal import SIGTERM
from typing import TYPE_CHECKING

import pytest
import trio

import osapi
from tests.cli.program import OSAPI, begin, finish, wait_for_end
from tests.cli.services import KEY, Service, ask, environment

if TYPE_CHECKING:
    from pathlib import Path


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(path.stat().st_mode & 0o777) for path in folder.iterdir() if path.is_file()}


def test_a_fresh_machine_has_a_token_that_works_and_the_next_start_keeps_it(tmp_path: Path) -> None:
    state = tmp_path / "state" / "osapi"
    with Service(tmp_path, "start") as service:
        url = service.url("ready: ")
        assert modes(state) == {"signing-key": "0o600", "token": "0o600", "url": "0o600"}
        assert state.stat().st_mode & 0o777 == 0o700
        assert (state / "url").read_text() == f"{url}\n"
        token = (state / "token").read_text().strip()
        assert ask(f"{url}/api/agent")[0] == 401
        status, found = ask(f"{url}/api/agent", token)
        assert (status, found["total"]) == (200, 1)
        status, found = ask(f"{url}/api/node/_any/command/exec", token, {"command": "echo", "args": ["hello"]})
        assert (status, found["results"][0]["stdout"]) == (202, "hello\n")
        ended = service.ended(SIGTERM)
    assert ended.status == 0
    assert ended.out.startswith(f"osapi is ready at {url}, with agent ")
    assert token not in ended.out + json.dumps(service.said)
    assert modes(state) == {"signing-key": "0o600", "token": "0o600"}

    with Service(tmp_path, "start", "--json") as service:
        url = service.url("ready: ")
        assert ask(f"{url}/api/agent", token)[0] == 200
        ended = service.ended(SIGTERM)
    assert json.loads(ended.out)["url"] == url
    assert (state / "token").read_text().strip() == token


def test_with_a_configuration_file_it_obeys_that_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "osapi.yaml"
    file.write_text("controller: {api: {port: 0}}\nagent: {hostname: web-07}\n")
    status, said = refused(tmp_path, "-f", str(file))
    assert (status, "signing_key: is required and not given" in said) == (78, True)

    with Service(tmp_path, "start", "-f", str(file), OSAPI_CONTROLLER_API_SECURITY_SIGNING_KEY=KEY) as service:
        assert "with agent web-07 and a broker in memory" in service.until("ready: ")
        ended = service.ended(SIGTERM)
    assert "A token for you: osapi token generate -r admin -u NAME" in ended.out
    assert not (tmp_path / "state").exists()


def test_its_server_keeps_the_jobs_and_lets_nobody_in_without_the_token(tmp_path: Path, nats_binary: Path) -> None:
    state = tmp_path / "state" / "osapi"
    jobs: list[int] = []
    for _ in range(2):
        with Service(tmp_path, "start", "--nats") as service:
            said = service.until("ready: ")
            url, server = (word.rstrip(",") for word in said.split() if "://" in word)
            os.kill(int(said.rpartition(", pid ")[2]), 0)  # whoever has lost the program can find its server
            token = (state / "token").read_text().strip()
            assert ask(f"{url}/api/node/_any/uptime", token)[0] == 200
            jobs.append(ask(f"{url}/api/job", token)[1]["total_items"])
            assert_refused(server)
            assert service.ended(SIGTERM).status == 0
        assert (state / "nats-token").stat().st_mode & 0o777 == 0o600
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(server.rpartition(":")[2])), timeout=5)
    assert jobs == [1, 2]


def test_killed_it_takes_its_server_along_and_the_next_start_just_works(tmp_path: Path, nats_binary: Path) -> None:
    port, pid = "0", 0
    jobs: list[int] = []
    for _ in range(2):
        with Service(tmp_path, "start", "--nats", OSAPI_NATS_SERVER_PORT=port) as service:
            said = service.until("ready: ")
            url, server = (word.rstrip(",") for word in said.split() if "://" in word)
            assert port in {"0", server.rpartition(":")[2]}
            port = server.rpartition(":")[2]
            token = (tmp_path / "state" / "osapi" / "token").read_text().strip()
            assert ask(f"{url}/api/node/_any/uptime", token)[0] == 200
            jobs.append(ask(f"{url}/api/job", token)[1]["total_items"])
            pid = int(said.rpartition(", pid ")[2])
            service.process.kill()
    assert jobs == [1, 2]
    wait_for_end(pid)


def assert_refused(server: str) -> None:
    async def try_it() -> None:
        with pytest.raises(osapi.AccessRefusedError):
            async with osapi.connect(server):
                pass

    trio.run(try_it)


def test_ctrl_c_on_a_terminal_stops_it_in_order_and_people_read_the_log(tmp_path: Path) -> None:
    ours, its = pty.openpty()
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*OSAPI, "start"],
        stdin=its,
        stdout=its,
        stderr=its,
        env=environment(tmp_path, TERM="xterm-256color"),
        start_new_session=True,
        preexec_fn=lambda: __import__("fcntl").ioctl(0, __import__("termios").TIOCSCTTY, 0),  # noqa: PLW1509
    )
    os.close(its)
    said = b""
    while b"Ctrl-C stops it" not in said:
        said += os.read(ours, 4096)
    os.write(ours, b"\x03")
    while True:
        try:
            said += os.read(ours, 4096)
        except OSError:
            break
    os.close(ours)
    assert process.wait(timeout=30) == 130
    text = said.decode()
    assert "osapi.program: interrupted: stopping; a second signal cancels what runs" in text
    assert text.endswith("osapi: interrupted\r\n")
    assert "Traceback" not in text


# --- Refusals -------------------------------------------------------------------------------------------------


def refused(home: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    ended = finish(begin(*OSAPI, "start", *arguments, env=environment(home, **variables)))
    assert ended.out == ""
    lines = ended.err.splitlines()
    assert len([line for line in lines if '"level":"error"' in line or line.startswith("osapi: ")]) == 1, ended.err
    return ended.status, lines[-1]


def test_a_port_in_use_is_told_and_the_url_of_the_other_one_stays(tmp_path: Path) -> None:
    with Service(tmp_path, "start") as service:
        url = service.url("ready: ")
        port = url.rpartition(":")[2]
        status, said = refused(tmp_path, "-p", port)
        assert (status, f"controller.api cannot listen on 127.0.0.1:{port}: Address already in use; " in said) == (
            69,
            True,
        )
        assert (tmp_path / "state" / "osapi" / "url").read_text() == f"{url}\n"
        assert service.ended(SIGTERM).status == 0


def test_a_state_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("not a folder")
    status, said = refused(tmp_path)
    assert (status, "/state: cannot be written: File exists; set XDG_STATE_HOME to another" in said) == (78, True)

    (tmp_path / "state").unlink()
    (tmp_path / "state" / "osapi").mkdir(parents=True, mode=0o755)
    status, said = refused(tmp_path)
    assert (status, "has mode 0755, so that others may use it; `chmod 700 " in said) == (78, True)


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "osapi"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "signing-key").write_text(KEY)
    (folder / "signing-key").chmod(0o644)
    status, said = refused(tmp_path)
    assert (status, "signing-key: has mode 0644, so that others may use it; " in said) == (78, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("-p", "99999"),
            "--port: controller.api.port: is '99999'; write a whole number, at least 0",
        ),
        (("--nat",), "no such option"),
    ],
)
def test_a_wrong_flag_is_a_wrong_command_line(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    status, said = refused(tmp_path, *arguments)
    assert (status, told in said) == (2, True), said
