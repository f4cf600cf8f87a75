"""Marks come back as they were written, and nothing else does."""

from __future__ import annotations

import tracemalloc
import zlib
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import osapi
from osapi.rules.marks import read_mark, write_mark
from tests.rules.strategies import anything

if TYPE_CHECKING:
    from collections.abc import Sequence


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 2)))
def test_they_round_trip(numbers: Sequence[int]) -> None:
    mark = write_mark(numbers)
    assert read_mark(mark, len(numbers)) == numbers
    assert mark.replace("-", "").replace("_", "").isalnum()
    with pytest.raises(osapi.InvalidSettingError):
        read_mark(mark, len(numbers) + 1)


@given(anything | st.binary(max_size=40).map(lambda data: urlsafe_b64encode(data).decode()))
def test_what_nobody_wrote_is_refused(text: str) -> None:
    with pytest.raises(osapi.InvalidSettingError):
        read_mark(text, 3)


@pytest.mark.parametrize("data", [zlib.compress(bytes(50_000_000)), zlib.compress(bytes(24)) + b"x"])
def test_more_than_was_asked_for_is_refused_and_not_unfolded(data: bytes) -> None:
    mark = urlsafe_b64encode(data).decode()
    tracemalloc.start()
    with pytest.raises(osapi.InvalidSettingError):
        read_mark(mark, 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000


def test_a_thousand_hosts_fit_into_a_header() -> None:
    assert len(write_mark([2] * 900 + [1] * 100 + [0] * 1000)) < 200
