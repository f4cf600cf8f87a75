"""Orders to cancel: what is ordered stays ordered, by whom it was ordered first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi.errors import InvalidSettingError, UnknownHostError
from osapi.rules.cancellation import added, check_hosts, check_text, covered, order_for
from osapi.rules.records import Order
from tests.rules.builders import definition

SLOTS = ("a", "b", "c")

hosts = st.none() | st.lists(st.sampled_from(SLOTS), min_size=1, unique=True).map(tuple)
given_orders = st.lists(
    st.builds(Order, by=st.sampled_from(["alice", "bob", "carol"]), at=st.just(1.0), hosts=hosts), max_size=6
)


@given(given_orders)
def test_the_first_order_for_a_slot_counts(wanted: list[Order]) -> None:
    orders: tuple[Order, ...] = ()
    first: dict[str, str] = {}
    for order in wanted:
        for slot in covered(SLOTS, order):
            first.setdefault(slot, order.by)
        orders = added(orders, order) or orders
    for slot in SLOTS:
        found = order_for(orders, slot)
        assert (found.by if found else None) == first.get(slot)


@given(given_orders)
def test_what_adds_nothing_is_not_written(wanted: list[Order]) -> None:
    orders: tuple[Order, ...] = ()
    for order in wanted:
        orders = added(orders, order) or orders
        assert added(orders, order) is None
    assert len(orders) <= len(SLOTS) + 1


def test_hosts_are_checked_against_the_job() -> None:
    broadcast = definition(expected=SLOTS, target="_all")
    assert check_hosts(broadcast, None) is None
    assert check_hosts(broadcast, ["C", "a", "c"]) == ("a", "c")
    with pytest.raises(UnknownHostError, match="'web-01'"):
        check_hosts(broadcast, ["web-01"])
    with pytest.raises(UnknownHostError, match="did you mean web-01"):
        check_hosts(definition(expected=("web-01",), target="_all"), ["web-02"])
    with pytest.raises(
        InvalidSettingError, match=r"\['a'\]: cannot be picked out of a job for _any; cancel it as a whole"
    ):
        check_hosts(definition(), ["a"])
    with pytest.raises(InvalidSettingError, match="names no host"):
        check_hosts(broadcast, [])


@pytest.mark.parametrize("text", ["a\nb", "x" * 501, "\x00"])
def test_what_cannot_be_told_in_a_line_is_refused(text: str) -> None:
    assert check_text("by", "Zoë, on call") == "Zoë, on call"
    with pytest.raises(InvalidSettingError, match="reason"):
        check_text("reason", text)
