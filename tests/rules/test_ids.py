"""Job ids."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from osapi.ids import Ids
from osapi.rules.ids import COUNTER_BITS, RANDOM_BITS, uuid7

milliseconds = st.integers(0, 2**48 - 1)
counters = st.integers(0, 2**COUNTER_BITS - 1)
chances = st.integers(0, 2**RANDOM_BITS - 1)


@given(milliseconds, counters, chances)
def test_it_is_a_uuid_of_version_7(moment: int, counter: int, chance: int) -> None:
    parsed = uuid.UUID(uuid7(moment, counter, chance))
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert parsed.int >> 80 == moment


@given(st.tuples(milliseconds, counters), st.tuples(milliseconds, counters), chances, chances)
def test_ids_sort_by_time_and_then_by_counter(
    one: tuple[int, int], other: tuple[int, int], left: int, right: int
) -> None:
    if one != other:
        assert (uuid7(*one, left) < uuid7(*other, right)) is (one < other)


def test_ids_grow_even_when_the_clock_goes_back() -> None:
    ids = Ids()
    made = [ids.job_id(now) for now in (1000.0, 1000.0, 1000.5, 999.0, 1000.5, 1001.0)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_draws_and_tokens() -> None:
    ids = Ids()
    assert 0.0 <= ids.draw() < 1.0
    assert len({ids.token() for _ in range(100)}) == 100
