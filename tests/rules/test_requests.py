"""What is asked for is checked before it is a job."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from osapi.errors import InvalidSettingError
from osapi.rules.records import Definition, Policy
from osapi.rules.requests import Request, again, check_request

ASKED = Request(operation="test.echo", kind="query", data=Raw(b"1"), target="_all")


def checked(**options: Any) -> float:
    return check_request(replace(ASKED, **options), usual=60.0, kept=100.0)


def test_a_job_may_take_what_it_says_or_what_is_usual() -> None:
    assert checked() == 60.0
    assert checked(within=100.0, start_within=100.0, timeout=1.0, policy=Policy(), key="k") == 100.0
    assert checked(within=70.0, delay=30.0) == 70.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"within": 0.0}, r"\(within\); use more than 0, at most 100"),
        ({"within": 100.1}, r"\(within\); use more than 0, at most 100"),
        ({"within": float("nan")}, r"\(within\)"),
        ({"start_within": 60.1}, r"\(start_within\); use more than 0, at most 60"),
        ({"start_within": 10.1, "within": 10.0}, r"\(start_within\); use more than 0, at most 10"),
        ({"delay": -1.0}, "use 0 to 40, or a schedule"),
        ({"delay": 30.1, "within": 70.0}, "use 0 to 30, or a schedule"),
        ({"timeout": 0.0}, "timeout"),
        ({"policy": Policy(attempts=0)}, "attempts"),
        ({"key": ""}, "idempotency key"),
    ],
)
def test_what_no_job_can_be_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSettingError, match=said):
        checked(**options)


def test_a_job_again_may_take_as_long_as_it_could_but_not_longer_than_it_is_kept() -> None:
    old = Definition(
        v=1,
        id="old",
        operation="test.echo",
        kind="query",
        target="_all",
        origin="o",
        data=Raw(b"1"),
        created=1000.0,
        due=1010.0,
        start_by=1030.0,
        finish_by=1060.0,
        expires=1100.0,
        expected=("a", "b"),
        rollout="r",
    )
    same = again(old, None, 100.0, "k")
    assert (same.within, same.start_within, same.delay) == (50.0, 20.0, None)
    assert (same.target, same.hosts, same.rollout, same.retry_of, same.key) == ("_all", ("a", "b"), "r", "old", "k")
    other = again(old, "a", 15.0, None)
    assert (other.within, other.start_within) == (15.0, 15.0)
    assert (other.target, other.hosts, other.rollout) == ("a", None, None)
