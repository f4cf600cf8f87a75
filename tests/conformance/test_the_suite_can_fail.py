"""The suite finds every bug that was put into a backend on purpose, and each guarantee has one that it finds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest

import osapi.transport
from osapi.conformance import CHECKS, run
from tests.conformance.broken import FAULTS, Proxy, opener

if TYPE_CHECKING:
    from trio.testing import MockClock

    from osapi.conformance import Outcome

GUARANTEES = tuple(re.findall(r"^  ([TKSC]\d+) ", osapi.transport.__doc__ or "", re.MULTILINE))


_FAILED: Final[dict[type[Proxy], list[Outcome]]] = {}


async def failed_checks(fault: type[Proxy]) -> list[Outcome]:
    """Return which of the checks of what it breaks have failed; they are run once for all tests."""
    if fault not in _FAILED:
        outcomes = await run(opener(fault), checks=[check for check in CHECKS if check.guarantee in fault.breaks])
        _FAILED[fault] = [outcome for outcome in outcomes if not outcome.passed]
    return _FAILED[fault]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_a_broken_backend_is_caught(fault: type[Proxy], autojump_clock: MockClock) -> None:
    for guarantee in fault.breaks:
        failed = [outcome for outcome in await failed_checks(fault) if outcome.check.guarantee == guarantee]
        assert failed, f"no check of {guarantee} notices: {fault.__doc__}"
        for outcome in failed:
            assert str(outcome.check) in str(outcome.error)


async def test_every_check_catches_something(autojump_clock: MockClock) -> None:
    caught = {str(outcome.check) for fault in FAULTS for outcome in await failed_checks(fault)}
    assert {str(check) for check in CHECKS} - caught == set()


async def test_a_wrapped_backend_without_a_fault_conforms(autojump_clock: MockClock) -> None:
    outcomes = await run(opener(Proxy))
    assert [str(outcome) for outcome in outcomes if not outcome.passed] == []


def test_every_guarantee_has_checks() -> None:
    assert len(GUARANTEES) == 32
    assert {check.guarantee for check in CHECKS} == set(GUARANTEES)


def test_every_guarantee_has_a_broken_backend() -> None:
    assert {guarantee for fault in FAULTS for guarantee in fault.breaks} == set(GUARANTEES)


def test_faults_have_names_of_their_own_and_say_what_is_wrong() -> None:
    names = [fault.__name__ for fault in FAULTS]
    assert len(names) == len(set(names))
    assert all(fault.__doc__ and fault.__doc__.endswith(".") for fault in FAULTS)
