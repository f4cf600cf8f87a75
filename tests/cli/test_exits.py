from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

import osapi
from osapi_cli import exits
from osapi_cli.exits import printable, report
from osapi_cli.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (osapi.InvalidTargetError("x y", "holds ' '", "write better"), 2, "target 'x y': holds ' '; write better"),
        (osapi.UnknownHostError("no agent"), 1, "no agent"),
        (osapi.NoAgentsError("nobody"), 1, "nobody"),
        (osapi.JobFailedError("web-01: failed"), 1, "web-01: failed"),
        (osapi.DisconnectedError("no connection"), 69, "no connection"),
        (osapi.UncertainError("it broke"), 69, "it broke"),
        (osapi.TlsError("no trust"), 69, "no trust"),
        (osapi.UnsupportedBrokerError("too old"), 69, "too old"),
        (osapi.AccessRefusedError("wrong password"), 77, "wrong password"),
        (osapi.MismatchError("other settings"), 78, "other settings"),
        (ProblemError("osapi.yaml:3", "a.b", "is 1", "use 2"), 78, "osapi.yaml:3: a.b: is 1; use 2"),
        (ProblemError("--flag", "a.b", "is 1", "use 2"), 2, "--flag: a.b: is 1; use 2"),
        (ModuleNotFoundError("No", name="quart_trio.x"), 1, "this needs quart_trio: pip install 'osapi[all]'"),
        (click.UsageError("No such thing."), 2, "no such thing; see `osapi --help`"),
        (click.ClickException("Could not"), 1, "Could not"),
        (FileNotFoundError(2, "No such file or directory", "/etc/x"), 1, "/etc/x: No such file or directory"),
        (OSError("odd"), 1, "odd"),
        (exits.SignalledError(2), 130, "interrupted"),
        (exits.SignalledError(15), 143, "terminated"),
        (KeyError("x"), 1, "this is a bug in osapi, `osapi --debug` tells where: KeyError: 'x'"),
        (osapi.OsapiError("two\nlines\x1b[31m"), 1, r"two lines\x1b[31m"),
    ],
)
def test_an_error_is_one_line_and_a_status(
    error: Exception, status: int, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert report(error, debug=False) == status
    assert capfd.readouterr() == ("", f"osapi: {told}\n")


def test_errors_of_a_nursery_are_told_one_by_one(capfd: pytest.CaptureFixture[str]) -> None:
    group = ExceptionGroup(
        "", [osapi.NoAgentsError("nobody"), ExceptionGroup("", [osapi.DisconnectedError("no connection")])]
    )

    assert report(group, debug=False) == 69
    assert capfd.readouterr().err == "osapi: nobody\nosapi: no connection\n"


def test_debug_adds_the_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ValueError("bad luck")

    assert report(caught(fail), debug=True) == 1
    told = capfd.readouterr().err
    assert told.startswith("Traceback")
    assert "in fail" in told
    assert told.endswith("tells where: ValueError: bad luck\n")


def caught(call: Callable[[], None]) -> Exception:
    try:
        call()
    except ValueError as error:
        return error
    raise AssertionError("it did not fail")


def test_without_signals_of_its_own_a_command_just_runs() -> None:
    async def answer() -> int:
        return 42

    assert exits.run(answer) == 42


def test_errors_of_a_command_come_out_as_they_are() -> None:
    async def fail() -> None:
        raise osapi.NoAgentsError("nobody")

    with pytest.raises(osapi.NoAgentsError):
        exits.run(fail)


@given(st.text())
def test_printable_text_is_printable(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)


@given(st.text().filter(str.isprintable))
def test_printable_text_is_kept(text: str) -> None:
    assert printable(text) == text
