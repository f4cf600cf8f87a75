"""Idempotency keys: what makes two submissions the same."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from osapi.errors import InvalidSettingError
from osapi.rules.idempotency import check_key, digest, holder_key
from tests.rules.builders import definition

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def encoded(value: Any) -> Raw:
    return Raw(msgspec.json.encode(value))


@given(st.dictionaries(st.text(max_size=3), values, max_size=4))
def test_the_order_of_members_does_not_matter(value: dict[str, Any]) -> None:
    turned = dict(reversed(value.items()))
    assert digest(definition(data=encoded([value]))) == digest(definition(data=encoded([turned])))


@given(values, values)
def test_other_data_is_another_submission(one: Any, other: Any) -> None:
    same = encoded(one) == encoded(other) or msgspec.json.encode(one, order="sorted") == msgspec.json.encode(
        other, order="sorted"
    )
    assert (digest(definition(data=encoded(one))) == digest(definition(data=encoded(other)))) is same


def test_operation_and_target_count_and_times_do_not() -> None:
    plain = digest(definition())
    assert digest(definition(operation="node.uptime.get")) != plain
    assert digest(definition(target="_all")) != plain
    assert digest(definition(finish_by=150.0, created=90.0, id="02", origin="cafe")) == plain


@given(st.text(min_size=1, max_size=255).filter(str.isprintable))
def test_any_printable_text_is_a_key(key: str) -> None:
    assert check_key(key) == key
    assert holder_key(key) == holder_key(key)
    assert holder_key(key) != holder_key(f"{key}x")


@pytest.mark.parametrize("key", ["", "a\n", "x" * 256])
def test_others_are_refused(key: str) -> None:
    with pytest.raises(InvalidSettingError):
        check_key(key)
