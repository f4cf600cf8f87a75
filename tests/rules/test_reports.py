"""What a handler may report: everything else is refused by name, and what is taken can be stored."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import osapi
from osapi.rules.reports import MAX_MESSAGE, checked_output, checked_progress
from tests.rules.strategies import any_text


def a_job(**changes: Any) -> osapi.Job:
    fields: dict[str, Any] = {"id": "1", "operation": "a.b", "target": "_any", "host": "a"}
    return osapi.Job(**fields, attempt=1, created=0.0, finish_by=9.0, **changes)


@given(st.none() | st.floats(0.0, 1.0) | st.sampled_from([0, 1]), any_text)
def test_every_progress_that_is_taken_can_be_stored(fraction: float | None, message: str) -> None:
    taken, told = checked_progress(fraction, message)
    assert taken == fraction
    assert len(told) <= MAX_MESSAGE
    assert msgspec.json.decode(msgspec.json.encode([taken, told])) == [taken, told]
    if message.isascii():
        assert told == message[:MAX_MESSAGE]


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan"), float("inf"), "0.5", 40, [], 1j])
def test_what_is_no_progress_is_refused(fraction: Any) -> None:
    with pytest.raises(osapi.InvalidReportError, match="is no progress; report a number from 0 to 1, or None"):
        a_job().progress(fraction)


def test_a_message_is_text() -> None:
    with pytest.raises(osapi.InvalidReportError, match="report b'copying': is no message of progress; report text"):
        a_job().progress(0.5, b"copying")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@given(any_text)
def test_every_text_can_be_written(text: str) -> None:
    data, stream = checked_output(text, "stdout")
    assert stream == "stdout"
    assert data.decode("utf-8") == "".join("?" if 0xD800 <= ord(char) < 0xE000 else char for char in text)


@pytest.mark.parametrize("data", [None, 5, ["a"], {"a": 1}])
def test_what_is_no_output_is_refused(data: Any) -> None:
    with pytest.raises(osapi.InvalidReportError, match="and no output; report text or bytes"):
        a_job().output(data)


def test_a_stream_that_there_is_not() -> None:
    with pytest.raises(osapi.InvalidReportError, match="report 'log': is no stream of output; use stdout or stderr"):
        a_job().output("a", stream="log")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_job_of_ones_own_takes_reports_and_a_recorder_shows_them() -> None:
    a_job().progress(0.5)
    recorder = osapi.Recorder()
    job = a_job(reporter=recorder)
    job.progress(0.25, "copying")
    job.progress(None)
    job.output("é")
    job.output(bytearray(b"\xff"), stream="stderr")
    assert recorder.progress == [(0.25, "copying"), (None, "")]
    assert recorder.output == [("stdout", b"\xc3\xa9"), ("stderr", b"\xff")]
