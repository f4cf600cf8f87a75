from __future__ import annotations

from math import inf

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from osapi_memory.agenda import Agenda, Deadlines


class AgendaMachine(RuleBasedStateMachine):
    """An agenda against a list in order of entry."""

    def __init__(self) -> None:
        super().__init__()
        self.alarms: list[float] = []
        self.agenda: Agenda[str] = Agenda(self.alarms.append)
        self.model: list[tuple[float, str]] = []

    @rule(item=st.sampled_from("abc"), when=st.integers(0, 3))
    def set(self, item: str, when: float) -> None:
        self.alarms.clear()
        self.cancel(item)
        earlier = [entry[0] for entry in self.model]
        self.agenda.set(item, when)
        self.model.append((when, item))
        # A spurious alarm is missing only if a struck-out entry comes first: then the timer is early, never late.
        assert not self.alarms or (self.alarms == [when] and all(when < other for other in earlier))

    @rule(item=st.sampled_from("abc"))
    def cancel(self, item: str) -> None:
        self.agenda.cancel(item)
        self.model = [entry for entry in self.model if entry[1] != item]

    @rule(now=st.integers(0, 3))
    def pop(self, now: float) -> None:
        due = [entry for entry in self.model if entry[0] <= now]
        wanted = min(due, key=lambda entry: entry[0]) if due else None
        assert self.agenda.pop(now) == wanted
        if wanted is not None:
            self.model.remove(wanted)

    @invariant()
    def next_due(self) -> None:
        assert self.agenda.next_due() == min((entry[0] for entry in self.model), default=inf)
        assert len(self.agenda) == len(self.model)


TestAgendaMachine = AgendaMachine.TestCase


def test_a_later_alarm_is_given_and_an_earlier_one_kept() -> None:
    alarms: list[float] = []
    agenda: Agenda[str] = Agenda()
    agenda.set("unheard", 9)
    agenda.set_alarm(alarms.append)
    agenda.set("a", 3)
    agenda.set("b", 5)
    agenda.set("c", 1)
    assert alarms == [3, 1]


def test_what_was_struck_out_does_not_pile_up() -> None:
    asked = 0

    def holds(entry: tuple[float, int]) -> bool:
        nonlocal asked
        asked += 1
        return entry[1] >= 99_900

    deadlines: Deadlines[tuple[float, int]] = Deadlines(holds)
    for number in range(100_000):
        deadlines.add((1000.0 + number, number))
    assert asked < 110_000
    assert deadlines.size < 2_000
    assert deadlines.next_due() == 1000.0 + 99_900
