"""The parts that all programs share, each by itself."""

from __future__ import annotations

import json
import logging
import os
import socket
from typing import TYPE_CHECKING

import pytest
import trio

import osapi
from osapi_api import Security
from osapi_cli.local import TOKEN, URL
from osapi_cli.problems import ProblemError, UnavailableError
from osapi_cli.running import broker, controller, keys
from osapi_cli.running.keys import keep_token, make_folder, secret, told_url
from osapi_cli.running.lifetime import Lifetime
from osapi_cli.running.logs import ForPeople, ForPrograms
from osapi_cli.running.pki import Keys
from osapi_cli.running.systemd import Notifier
from osapi_cli.wiring import controller_plan
from osapi_nats import Options
from osapi_telemetry import Metrics
from tests.cli.services import KEY, Service

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.configurations import Files


# --- What systemd is told -------------------------------------------------------------------------------------


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    """Return the socket of a service manager, on an abstract address that the kernel chose."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")
        listening.settimeout(20)
        yield listening


def address(manager: socket.socket) -> str:
    return f"@{manager.getsockname()[1:].decode()}"


def test_an_abstract_address_and_a_path_are_told(manager: socket.socket, tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": address(manager), "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier.take(environ)
    notifier.tell(READY="1", STATUS="two\nlines")
    assert manager.recv(4096) == b"READY=1\nSTATUS=two lines"
    assert (environ, notifier.watchdog) == ({}, 2.0)
    notifier.close()

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        notifier = Notifier.take({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        notifier.tell(STOPPING="1")
        assert listening.recv(4096) == b"STOPPING=1"
        notifier.close()


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_nobody_to_tell_is_no_trouble(environ: dict[str, str]) -> None:
    notifier = Notifier.take(environ)
    notifier.tell(READY="1")
    notifier.close()


def test_a_watchdog_for_another_process_is_not_ours(manager: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": address(manager), "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}
    notifier = Notifier.take(environ)
    assert notifier.watchdog == 0.0
    notifier.close()


async def test_the_watchdog_is_told_twice_as_often_as_it_asks(manager: socket.socket, autojump_clock: object) -> None:
    notifier = Notifier(address(manager), 10.0)
    with trio.move_on_after(19.0):
        await notifier.keep_alive()
    notifier.close()
    manager.setblocking(False)
    told: list[bytes] = []
    with pytest.raises(BlockingIOError):
        while True:
            told.append(manager.recv(4096))
    assert told == [b"WATCHDOG=1"] * 4


def test_a_service_tells_its_manager_where_it_stands(manager: socket.socket, tmp_path: Path) -> None:
    mine = {"NOTIFY_SOCKET": address(manager), "WATCHDOG_USEC": "20000000"}
    with Service(tmp_path, "start", **mine) as service:
        told = [manager.recv(4096).decode() for _ in range(2)]
        assert told[0] == "WATCHDOG=1"
        assert told[1].startswith("READY=1\nSTATUS=the API is at http://127.0.0.1:")
        assert service.ended(15).status == 0
    assert manager.recv(4096) == b"STOPPING=1\nSTATUS=stopping: what runs may finish"


# --- Logs -----------------------------------------------------------------------------------------------------


def record(message: str, *arguments: object, level: int = logging.WARNING, fail: bool = False) -> logging.LogRecord:
    error = ZeroDivisionError("by zero") if fail else None
    info = (type(error), error, None) if error else None
    return logging.LogRecord("osapi.agent", level, __file__, 1, message, arguments, info)


def test_a_line_for_programs_is_one_object() -> None:
    line = ForPrograms().format(record("a %s\nb", "\x1b[31mjob"))
    assert "\n" not in line
    told = json.loads(line)
    assert told["time"].endswith("Z")
    assert {name: told[name] for name in ("level", "logger", "message")} == {
        "level": "warning",
        "logger": "osapi.agent",
        "message": "a \x1b[31mjob\nb",
    }
    assert "ZeroDivisionError" in json.loads(ForPrograms().format(record("a", fail=True)))["error"]


def test_a_line_for_people_plays_no_tricks_on_the_terminal() -> None:
    line = ForPeople(colour=False).format(record("a %s\nb", "\x1b[31mjob"))
    assert line.endswith(" osapi.agent: warning: a \\x1b[31mjob b")
    assert ForPeople(colour=True).format(record("a")).startswith("\x1b[33m")
    assert " osapi.agent: a" in ForPeople(colour=True).format(record("a", level=logging.INFO))
    assert "ZeroDivisionError" in ForPeople(colour=False).format(record("a", fail=True))


def test_a_message_has_a_bound() -> None:
    assert len(json.loads(ForPrograms().format(record("x" * 100_000)))["message"]) < 9000


def test_the_line_of_a_request_has_its_fields_and_no_others() -> None:
    fields = {
        "request_id": "x" * 5000,
        "trace_id": 2**70,
        "subject": "anna",
        "status": 200,
        "duration_ms": 1.5,
        "method": ["GET"],
        "token": "s3cret",
    }
    said = record("asked")
    said.__dict__.update(fields)
    told = json.loads(ForPrograms().format(said))
    assert told.keys() == {"time", "level", "logger", "message", "request_id", "subject", "status", "duration_ms"}
    assert (told["subject"], told["status"], told["duration_ms"]) == ("anna", 200, 1.5)
    assert told["request_id"] == "x" * 1024


# --- The broker, waited for -----------------------------------------------------------------------------------


class Absent:
    """A server that refuses the first so many connections."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int, error: osapi.OsapiError) -> None:
        self.tried = 0
        self._times = times
        self._error = error
        monkeypatch.setattr(broker, "open_connection", self.open)

    def open(self, options: Options) -> AbsentConnection:
        self.tried += 1
        return AbsentConnection(self._error if self.tried <= self._times else None)


class AbsentConnection:
    def __init__(self, error: osapi.OsapiError | None) -> None:
        self._error = error

    async def __aenter__(self) -> str:
        if self._error:
            raise self._error
        return "connected"

    async def __aexit__(self, *error: object) -> None:
        return


GONE = osapi.DisconnectedError("nobody answers")


async def opened(patience: float) -> object:
    async with broker.open_broker(Options(servers=("a:1",)), Lifetime(Notifier()), patience=patience) as transport:
        return transport


async def test_a_broker_that_comes_late_is_waited_for(autojump_clock: object, monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Absent(monkeypatch, 5, GONE)
    began = trio.current_time()
    assert await opened(30.0) == "connected"
    assert absent.tried == 6
    assert trio.current_time() - began == pytest.approx(0.5 + 1 + 2 + 2 + 2)


async def test_one_that_does_not_come_is_given_up_in_time(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = Absent(monkeypatch, 1000, GONE)
    began = trio.current_time()
    with pytest.raises(UnavailableError, match=r"nobody answers; tried 7 times in 10 s"):
        await opened(10.0)
    assert absent.tried == 7
    assert trio.current_time() - began == pytest.approx(9.5)


async def test_one_that_refuses_us_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Absent(monkeypatch, 1000, osapi.AccessRefusedError("wrong password"))
    with pytest.raises(osapi.AccessRefusedError):
        await opened(10.0)
    assert absent.tried == 1


# --- Keys -----------------------------------------------------------------------------------------------------


def test_a_secret_is_made_once_and_read_from_then_on(tmp_path: Path) -> None:
    make_folder(tmp_path / "osapi")
    first = secret(tmp_path / "osapi" / "key")
    assert (len(first), secret(tmp_path / "osapi" / "key")) == (64, first)
    assert [path.name for path in (tmp_path / "osapi").iterdir()] == ["key"]


def test_two_programs_that_start_at_once_agree_on_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_folder(tmp_path / "osapi")
    path = tmp_path / "osapi" / "key"
    others: list[str] = []

    def look(at: Path) -> str:
        # The other one is faster by just so much.
        if not others:
            monkeypatch.undo()
            others.append(secret(at))
            return ""
        raise AssertionError

    monkeypatch.setattr(keys, "read_private", look)
    assert secret(path) == others[0]
    assert path.read_text() == f"{others[0]}\n"


def test_a_token_is_kept_while_it_is_good_and_replaced_when_it_is_not(tmp_path: Path) -> None:
    make_folder(tmp_path / "osapi")
    folder, security = tmp_path / "osapi", Security(KEY)
    keep_token(folder, security)
    first = (folder / TOKEN).read_text()
    keep_token(folder, security)
    assert (folder / TOKEN).read_text() == first

    for bad in ("junk", security.generate("me", roles=["admin"], lifetime=29 * 24 * 3600.0)):
        (folder / TOKEN).write_text(bad)
        keep_token(folder, security)
        made = (folder / TOKEN).read_text().strip()
        assert made != bad
        assert security.allows(security.validate(made), "command:execute")
        assert (folder / TOKEN).stat().st_mode & 0o777 == 0o600

    keep_token(folder, Security(KEY[::-1]))
    assert Security(KEY[::-1]).validate((folder / TOKEN).read_text().strip()).roles == ("admin",)


def test_the_url_of_another_program_that_started_later_stays(tmp_path: Path) -> None:
    make_folder(tmp_path / "osapi")
    with told_url(tmp_path / "osapi", "http://a"):
        with told_url(tmp_path / "osapi", "http://b"):
            assert (tmp_path / "osapi" / URL).read_text() == "http://b\n"
        assert not (tmp_path / "osapi" / URL).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path / "osapi")
    os.chown(tmp_path / "osapi", 65534, 65534)
    with pytest.raises(ProblemError, match="belongs to another user; set XDG_STATE_HOME"):
        make_folder(tmp_path / "osapi")


# --- What a controller does beside its API --------------------------------------------------------------------


async def test_a_controller_conducts_rollouts_and_keeps_schedules(autojump_clock: object, files: Files) -> None:
    loaded = files.load("", OSAPI_CONTROLLER_API_SECURITY_SIGNING_KEY=KEY)
    plan = controller_plan(loaded.configuration)
    offered = osapi.Operations()

    @offered.query("node.hostname.get")
    async def hostname(job: osapi.Job) -> dict[str, str]:
        return {}

    async with (
        osapi.connect("memory://") as transport,
        osapi.Agent(transport, offered, hostname="web-01", settings=plan.settings),
        controller.blocks(transport, plan, Keys(), Metrics()) as client,
    ):
        rollout = await client.rollouts.start("node.hostname.get", target="_all")
        await client.schedules.set("hourly", "node.hostname.get", target="_all", every=3600.0)
        await trio.sleep(3601.0)
        assert (await client.rollouts.get(rollout.plan.id)).status == "completed"
        assert (await client.schedules.get("hourly")).schedule.submitted == 1
