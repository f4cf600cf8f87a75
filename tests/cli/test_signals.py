from __future__ import annotations

import json
import random
import sys
import time
from signal import SIGINT, SIGTERM, Signals
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import OSAPI, SIGNALS, begin, finish, shell, start, wait_for_handler

if TYPE_CHECKING:
    from subprocess import Popen

TOLD = {SIGINT: "osapi: interrupted\n", SIGTERM: "osapi: terminated\n"}

# A command whose cleaning up does not end, and says so before it begins.
STUCK = """
import sys, trio
from osapi_cli import exits

async def stuck():
    try:
        print("running", flush=True)
        await trio.sleep_forever()
    finally:
        print("cleaning", flush=True)
        with trio.CancelScope(shield=True):
            await trio.sleep({seconds})

exits.end_on_signals()
try:
    exits.run(stuck)
except exits.SignalledError as error:
    sys.exit(exits.report(error, debug=False))
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_at_any_moment_ends_it_with_one_line(number: Signals) -> None:
    moments = random.Random(number)
    for _ in range(8):
        process = start("demo", "--json")
        time.sleep(moments.uniform(0, 0.2))
        process.send_signal(number)
        ended = finish(process)
        if ended.status == 128 + number:
            assert ended.err == TOLD[number]
        else:
            # It had come to its end: with all its output, or after that, when Python itself ends.
            assert ended.status in {0, -number}
            assert ended.err == ""
            assert set(json.loads(ended.out)) == {"agents", "jobs"}


@pytest.mark.parametrize("number", SIGNALS)
def test_a_running_command_cleans_up(number: Signals) -> None:
    process = started(seconds="0")
    assert read(process) == "running\n"
    process.send_signal(number)

    assert finish(process) == (128 + number, "cleaning\n", TOLD[number])


@pytest.mark.parametrize("second", SIGNALS)
def test_a_second_signal_does_not_wait_for_that(second: Signals) -> None:
    process = started(seconds="3600")
    assert read(process) == "running\n"
    process.send_signal(SIGINT)
    assert read(process) == "cleaning\n"
    process.send_signal(second)

    assert finish(process) == (128 + second, "", TOLD[second])


def started(*, seconds: str) -> Popen[str]:
    return begin(sys.executable, "-c", STUCK.replace("{seconds}", seconds))


def read(process: Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_an_ignored_interrupt_stays_ignored() -> None:
    # As a shell script starts what it puts in the background.
    process = begin("/bin/sh", "-c", f'trap "" INT; exec {" ".join(OSAPI)} demo --json')
    wait_for_handler(process.pid)
    process.send_signal(SIGINT)
    ended = finish(process)

    assert (ended.status, ended.err) == (0, "")
    assert set(json.loads(ended.out)) == {"agents", "jobs"}


# --- A stdout that takes nothing ------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["osapi demo", "osapi demo --json", "osapi --help"])
def test_a_reader_that_leaves_early_is_no_error(command: str) -> None:
    ended = shell(f"{command} | head -n 1")

    assert (ended.status, ended.err) == (0, "")
    assert ended.out.count("\n") == 1


@pytest.mark.parametrize("command", ["osapi demo", "osapi demo --json", "osapi --help"])
def test_a_reader_that_is_gone_is_told_by_the_status_alone(command: str) -> None:
    # The reader ends first, and only then the writer begins.
    ended = shell(f"{{ sleep 0.2; {command}; echo $? >&2; }} | true")

    assert ended.err == "141\n"


@pytest.mark.parametrize("command", ["osapi demo", "osapi --help"])
def test_a_full_disk_is_told(command: str) -> None:
    assert shell(f"{command} > /dev/full") == (1, "", "osapi: No space left on device\n")


def test_a_closed_stdout_is_no_error() -> None:
    assert shell("osapi demo >&-") == (0, "", "")


def test_a_closed_stdout_does_not_hide_an_error() -> None:
    ended = shell("osapi demo --target web-99 >&-")

    assert ended.status == 1
    assert ended.err.startswith("osapi: no agent is registered as 'web-99'")
    assert ended.err.count("\n") == 1


def test_a_closed_stderr_leaves_the_status() -> None:
    assert shell("osapi demo --target group: 2>&-") == (2, "", "")
