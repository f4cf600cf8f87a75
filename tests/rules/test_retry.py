"""Whether there is another attempt, and when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from osapi.errors import InvalidSettingError
from osapi.rules.records import Attempt, Policy, SlotStatus
from osapi.rules.retry import check_policy, delay, failures, losses, next_attempt
from tests.rules.builders import record

draws = st.floats(0, 1, exclude_max=True)
policies = st.builds(
    Policy,
    attempts=st.integers(1, 5),
    backoff=st.floats(0, 100),
    factor=st.floats(1, 100),
    max_backoff=st.floats(0, 1000),
    jitter=st.floats(0, 1),
)


def attempts(*outcomes: str) -> tuple[Attempt, ...]:
    return tuple(
        Attempt(number=i, host="a", claimed=1.0, ended=2.0, outcome=outcome)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        for i, outcome in enumerate(outcomes, 1)
    )


def test_without_jitter_the_schedule_doubles_up_to_its_bound() -> None:
    policy = Policy(backoff=10, factor=2, max_backoff=60, jitter=0)
    assert [delay(policy, n, 0.5) for n in range(1, 6)] == [10, 20, 40, 60, 60]


@given(policies, st.integers(1, 10**6), draws)
def test_a_delay_stays_within_its_jitter(policy: Policy, failed: int, draw: float) -> None:
    wait = delay(policy, failed, draw)
    assert 0 <= wait <= policy.max_backoff * (1 + policy.jitter)


def test_only_transient_failures_count() -> None:
    told = record(SlotStatus.RUNNING, attempt=4, earlier=attempts("retryable", "lost", "released"))
    assert (failures(told), losses(told)) == (1, 1)


@given(policies, draws, st.floats(0, 50), st.integers(0, 6))
def test_an_attempt_is_promised_only_if_it_can_be_kept(policy: Policy, draw: float, after: float, before: int) -> None:
    told = record(SlotStatus.RUNNING, earlier=attempts(*["retryable"] * before))
    at = next_attempt(policy, told, now=110.0, finish_by=200.0, draw=draw, after=after)
    if at is None:
        assert before + 1 >= policy.attempts or 110.0 + max(after, delay(policy, before + 1, draw)) >= 200.0
    else:
        assert before + 1 < policy.attempts
        assert 110.0 + after <= at < 200.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout", 0),
        ("timeout", float("nan")),
        ("attempts", 0),
        ("attempts", 101),
        ("backoff", -1),
        ("factor", 0.5),
        ("max_backoff", float("inf")),
        ("jitter", 1.5),
        ("takeovers", -1),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused_by_field(name: str, value: float) -> None:
    with pytest.raises(InvalidSettingError, match=f"policy's {name}; use "):
        check_policy(replace(Policy(), **{name: value}))


def test_the_default_policy_is_fine() -> None:
    check_policy(Policy())


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=10), st.integers(1, 10**6))
def test_listed_pauses_are_kept_to_and_the_last_one_stays(pauses: list[float], failed: int) -> None:
    policy = Policy(pauses=tuple(pauses), backoff=5000, max_backoff=0, jitter=0)
    assert delay(policy, failed, 0.5) == (pauses[failed - 1] if failed <= len(pauses) else pauses[-1])


@pytest.mark.parametrize(("pauses", "told"), [((1.0, -1.0), "pauses"), ((1.0,) * 101, "number of pauses")])
def test_pauses_have_bounds(pauses: tuple[float, ...], told: str) -> None:
    with pytest.raises(InvalidSettingError, match=f"policy's {told}; use "):
        check_policy(Policy(pauses=pauses))
