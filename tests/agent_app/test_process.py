from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import trio

import osapi
from osapi_agent import processes
from osapi_agent.errors import InvalidSignalError, NotPermittedError, ProtectedProcessError, UnknownProcessError
from osapi_agent.process import SIGNALS, SignalSent, parse_signal
from osapi_agent.processes import ProcessInfo, ProcessList
from tests.agent_app.pretended import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.agent_app.conftest import Do

# No process has it: the kernel's own numbers end at 2**22.
NOBODY = 2**31 - 1
PYTHON = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(300)"]


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    command = [*PYTHON, "--password=hunter2", "--verbose", "a\nb"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as started:  # noqa: S603 - our own interpreter
        assert started.stdout is not None
        started.stdout.readline()
        yield started
        started.kill()


async def test_a_process_is_described(do: Do, child: subprocess.Popen[bytes]) -> None:
    await eventually(lambda: psutil.Process(child.pid).status() == psutil.STATUS_SLEEPING)

    answer = (await do("process.get", pid=child.pid)).unwrap()

    assert isinstance(answer, ProcessInfo)
    assert (answer.pid, answer.state) == (child.pid, "sleeping")
    assert answer.user == pwd.getpwuid(os.getuid()).pw_name
    assert answer.name == psutil.Process(child.pid).name()
    assert 0 < answer.memory_bytes < psutil.virtual_memory().total
    assert answer.cpu_percent >= 0
    assert answer.started == pytest.approx(time.time(), abs=60)
    assert answer.command.endswith(" --password=*** --verbose a?b")


async def test_all_processes_are_listed_by_number(do: Do, child: subprocess.Popen[bytes]) -> None:
    answer = (await do("process.list.get")).unwrap()

    assert isinstance(answer, ProcessList)
    pids = [found.pid for found in answer.processes]
    assert pids == sorted(pids)
    assert {os.getpid(), child.pid} <= set(pids)
    assert (answer.total, answer.truncated) == (len(pids), False)
    assert "hunter2" not in str(answer)
    assert all(len(found.command) <= processes.SHORT + 3 for found in answer.processes)


async def test_a_list_that_has_no_room_keeps_the_largest(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_LIST_BYTES", 600)

    answer = await trio.to_thread.run_sync(processes.list_processes)

    assert answer.truncated
    assert 1 <= len(answer.processes) < answer.total
    largest = max(found.info["memory_info"].rss for found in psutil.process_iter(["memory_info"]))
    assert max(found.memory_bytes for found in answer.processes) == pytest.approx(largest, rel=0.2)


async def test_listing_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    listing = trio.Event()
    token = trio.lowlevel.current_trio_token()

    def endless() -> Iterator[psutil.Process]:
        token.run_sync_soon(listing.set)
        while True:
            yield psutil.Process()

    monkeypatch.setattr(psutil, "process_iter", endless)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, processes.list_processes)
            await listing.wait()
            nursery.cancel_scope.cancel()


def test_a_long_command_line_is_cut() -> None:
    command = [*PYTHON, "x" * 20_000, "--token", "hunter2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as started:  # noqa: S603 - our own interpreter
        assert started.stdout is not None
        started.stdout.readline()
        found = processes.find_process(started.pid)
        started.kill()

    assert len(found.command) == processes.LONG + 3
    assert found.command.endswith("xxx...")


async def test_a_dead_process_that_nobody_has_reaped_is_described() -> None:
    started = subprocess.Popen(["true"])  # noqa: ASYNC220, S607 - it is not waited for
    await eventually(lambda: psutil.Process(started.pid).status() == psutil.STATUS_ZOMBIE)

    found = processes.find_process(started.pid)

    started.wait()
    assert (found.state, found.command) == ("zombie", "")


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)

    assert processes.find_process(os.getpid()).user == str(os.getuid())


async def test_a_process_that_is_not_there_is_a_failure_that_says_so(do: Do) -> None:
    answer = await do("process.get", pid=NOBODY)

    assert answer.status is osapi.SlotStatus.FAILED
    assert answer.error == (
        f"UnknownProcessError: process {NOBODY} is not on this host; list them with process.list.get"
    )


@pytest.mark.parametrize("pid", [0, -1, 2**31, "1", 1.0, None])
async def test_what_is_no_number_of_a_process_is_refused(do: Do, pid: object) -> None:
    with pytest.raises(osapi.InvalidPayloadError):
        await do("process.get", pid=pid)


# --- Signals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", ["TERM", "SIGTERM", "term", "sigterm", "15", 15])
async def test_a_signal_is_sent_by_name_or_number(do: Do, child: subprocess.Popen[bytes], told: object) -> None:
    answer = await do("process.signal.send", pid=child.pid, signal=told)

    assert answer.unwrap() == SignalSent(pid=child.pid, signal="SIGTERM", changed=True)
    assert answer.changed
    assert await trio.to_thread.run_sync(child.wait) == -signal.SIGTERM


def test_every_signal_of_the_list_is_known_by_name_and_number() -> None:
    for name in SIGNALS:
        assert parse_signal(name) is parse_signal(int(parse_signal(name))) is signal.Signals[f"SIG{name}"]


@pytest.mark.parametrize("told", ["", "SIG", "SEGV", "TERM ", "SIGSIGTERM", 0, -9, 11, 64, "9.0"])
def test_other_signals_are_refused(told: str | int) -> None:
    with pytest.raises(InvalidSignalError, match="use one of HUP, INT,"):
        parse_signal(told)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"pid": 0, "signal": "TERM"}, "means a group of processes"),
        ({"pid": -1, "signal": "TERM"}, "means a group of processes"),
        ({"pid": 1, "signal": "TERM"}, "is init"),
        ({"pid": 2**31, "signal": "TERM"}, "$.pid"),
        ({"pid": True, "signal": "TERM"}, "$.pid"),
        ({"pid": 4000, "signal": "SEGV"}, "cannot be sent"),
        ({"pid": 4000, "signal": None}, "$.signal"),
        ({"pid": 4000, "signal": True}, "$.signal"),
        ({"pid": 4000}, "missing required field `signal`"),
        ({"signal": "TERM"}, "missing required field `pid`"),
        ({"pid": 4000, "signal": "TERM", "group": True}, "unknown field `group`"),
    ],
)
async def test_bad_input_is_refused_before_it_is_sent(do: Do, data: dict[str, Any], told: str) -> None:
    with pytest.raises(osapi.InvalidPayloadError) as refusal:
        await do("process.signal.send", **data)

    assert told in str(refusal.value)


async def test_the_agent_itself_is_refused(do: Do) -> None:
    answer = await do("process.signal.send", pid=os.getpid(), signal="CONT")

    assert answer.status is osapi.SlotStatus.FAILED
    assert "is the agent itself; stop the agent by its own means" in answer.error


@pytest.mark.parametrize("pid", [-5, 0, 1])
def test_the_last_line_refuses_them_as_well(pid: int) -> None:
    with pytest.raises(ProtectedProcessError):
        processes.send_signal(pid, signal.SIGCONT)


def test_a_thread_of_the_agent_is_no_process() -> None:
    ends = threading.Event()
    ids: list[int] = []
    told = threading.Event()

    def live() -> None:
        ids.append(threading.get_native_id())
        told.set()
        ends.wait()

    thread = threading.Thread(target=live)
    thread.start()
    told.wait()
    try:
        with pytest.raises(UnknownProcessError):
            processes.send_signal(ids[0], signal.SIGCONT)
        with pytest.raises(UnknownProcessError):
            processes.find_process(ids[0])
    finally:
        ends.set()
        thread.join()


async def test_a_signal_to_nobody_is_a_failure_that_says_so(do: Do) -> None:
    answer = await do("process.signal.send", pid=NOBODY, signal="TERM")

    assert answer.status is osapi.SlotStatus.FAILED
    assert f"UnknownProcessError: process {NOBODY} is not on this host" in answer.error


def test_what_the_agent_may_not_signal_is_said(child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)

    with pytest.raises(NotPermittedError, match=f"the agent may not signal process {child.pid}; run it as root"):
        processes.send_signal(child.pid, signal.SIGCONT)
    monkeypatch.undo()


def test_what_the_agent_may_not_see_is_said_or_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(found: psutil.Process) -> None:
        raise psutil.AccessDenied(found.pid)

    monkeypatch.setattr(psutil.Process, "cmdline", refuse)
    assert processes.find_process(os.getpid()).command == ""

    monkeypatch.setattr(psutil.Process, "status", refuse)
    with pytest.raises(NotPermittedError, match="may not see process"):
        processes.find_process(os.getpid())


async def test_who_cannot_be_seen_or_has_gone_is_left_out_of_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    def look(found: psutil.Process) -> None:
        raise psutil.AccessDenied(found.pid) if found.pid % 2 else psutil.NoSuchProcess(found.pid)

    monkeypatch.setattr(psutil.Process, "status", look)

    assert await trio.to_thread.run_sync(processes.list_processes) == ProcessList(
        processes=(), total=0, truncated=False
    )


def test_a_signal_is_sent_at_most_once(osapi_operations: osapi.Operations) -> None:
    policy = osapi_operations["process.signal.send"].policy
    assert policy is not None
    assert policy.takeovers == 0
