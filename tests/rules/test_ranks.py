"""The ordered set against a sorted list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from osapi.rules.ranks import Ranks

if TYPE_CHECKING:
    from collections.abc import Sequence

places = st.tuples(st.integers(0, 6).map(float), st.sampled_from("abc"))
bounds = st.none() | st.integers(-1, 8).map(float)


@given(st.lists(places), st.integers(0, 5), st.integers(1, 4), bounds, bounds)
def test_it_holds_what_was_added_an_odd_number_of_times(
    steps: Sequence[tuple[float, str]], offset: int, limit: int, since: float | None, until: float | None
) -> None:
    ranks = Ranks()
    held: set[tuple[float, str]] = set()
    for place in steps:
        if place in held:
            ranks.remove(place)
        else:
            ranks.add(place)
        held ^= {place}
    assert len(ranks) == len(held)
    match = sorted(
        (place for place in held if (since is None or place[0] >= since) and (until is None or place[0] < until)),
        reverse=True,
    )
    assert ranks.page(offset, limit, since, until) == (len(match), match[offset : offset + limit])


def test_what_left_at_the_old_end_is_let_go_of() -> None:
    ranks = Ranks()
    for number in range(1000):
        ranks.add((float(number), ""))
    for number in range(990):
        ranks.remove((float(number), ""))
    assert len(ranks) == 10
    assert ranks.room < 150
    assert ranks.page(8, 5) == (10, [(991.0, ""), (990.0, "")])
