"""What an agent does with a notification, case by case, and a crowd of them on one slot."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Raw

from osapi.rules import lifecycle
from osapi.rules.claims import Claimant, Close, Drop, Take, Wait, decide, slot_of
from osapi.rules.lifecycle import TERMINAL
from osapi.rules.records import ANY_SLOT, Attempt, Definition, Policy, Record, SlotStatus
from tests.rules.builders import definition, moments, record, statuses

S = SlotStatus
ME = Claimant(host="web-02", labels=frozenset({"group:web"}), lease="me.1", lease_length=10.0, offered=True)
POLICY = Policy(takeovers=1)


def look(
    job: Definition | None = None,
    before: Record | None = None,
    *,
    me: Claimant = ME,
    now: float = 130.0,
    deliveries: int = 1,
) -> Take | Close | Drop | Wait:
    return decide(job or definition(), before, me, POLICY, now=now, deliveries=deliveries)


def test_a_new_job_is_taken_with_a_lease() -> None:
    decision = look()
    assert isinstance(decision, Take)
    assert (decision.record.lease, decision.record.lease_until, decision.record.host) == ("me.1", 140.0, "web-02")


def test_a_host_that_is_not_on_the_frozen_list_never_answers() -> None:
    assert isinstance(look(definition(expected=("web-01",), target="_all")), Drop)


def test_a_job_for_one_of_a_group_is_taken_by_those_with_its_label_only() -> None:
    assert isinstance(look(definition(target="_any@group:web")), Take)
    assert look(definition(target="_any@group:web.dev")) == Drop("web-02 does not have group:web.dev")


def test_a_finished_job_is_dropped() -> None:
    for status in TERMINAL:
        assert isinstance(look(before=record(status)), Drop)


def test_a_live_lease_is_waited_for() -> None:
    decision = look(before=record(lease_until=137.5))
    assert isinstance(decision, Wait)
    assert decision.delay == 7.5


def test_a_dead_lease_is_taken_over_until_no_takeover_is_left() -> None:
    taken = look(before=record(lease_until=129.0))
    assert isinstance(taken, Take)
    assert taken.record.attempt == 2
    lost = (Attempt(number=1, host="x", claimed=1.0, ended=2.0, outcome="lost"),)
    closed = look(before=record(lease_until=129.0, earlier=lost))
    assert isinstance(closed, Close)
    assert closed.record.status is S.FAILED
    assert closed.record.error == "web-01 fell silent; no takeover is left"


def test_a_retry_is_waited_for_and_then_taken() -> None:
    early = look(before=record(S.RETRYABLE, next_at=131.0, lease_until=0.0))
    assert isinstance(early, Wait)
    assert early.delay == 1.0
    assert isinstance(look(before=record(S.RETRYABLE, next_at=130.0, lease_until=0.0)), Take)


def test_a_late_notification_is_recorded_and_never_taken() -> None:
    for before, move in ((None, S.EXPIRED), (record(lease_until=0.0), S.EXPIRED), (record(S.RETRYABLE), S.EXPIRED)):
        closed = look(before=before, now=200.0)
        assert isinstance(closed, Close)
        assert closed.record.status is move


def test_an_operation_that_is_not_offered_is_passed_on_or_skipped() -> None:
    stranger = Claimant(host="web-02", labels=frozenset(), lease="me.1", lease_length=10.0, offered=False)
    waits = [look(me=stranger, deliveries=n) for n in (1, 2, 3, 1000)]
    assert [wait.delay for wait in waits if isinstance(wait, Wait)] == [0.1, 0.2, 0.4, 5.0]
    closed = look(definition(expected=("web-02",), target="web-02"), me=stranger)
    assert isinstance(closed, Close)
    assert (closed.record.status, closed.record.error) == (S.SKIPPED, "web-02 does not offer node.hostname.get")


@given(st.none() | st.builds(record, statuses, lease_until=moments, next_at=st.none() | moments), moments)
def test_a_job_is_only_taken_in_its_time_and_never_from_a_live_holder(before: Record | None, now: float) -> None:
    decision = look(before=before, now=now)
    if isinstance(decision, Take):
        assert now < 200.0
        assert before is None or before.status not in TERMINAL
        assert before is None or before.status is not S.RUNNING or before.lease_until <= now
    if isinstance(decision, Wait):
        assert decision.delay > 0


class Crowd(RuleBasedStateMachine):
    """Three agents and one slot in a store with compare-and-set: any interleaving, any crash.

    Promise 1 and 2: at most one live lease at a time, one terminal record for ever, and only the holder of the
    newest lease writes.
    """

    @initialize(takeovers=st.integers(0, 2))
    def start(self, takeovers: int) -> None:
        self.now = 100.0
        self.job = definition()
        self.policy = Policy(takeovers=takeovers, attempts=3, backoff=3.0, jitter=0.0)
        self.stored: Record | None = None
        self.revision = 0
        self.written: list[Record] = []
        self.seen: dict[int, tuple[Record | None, int]] = {}
        self.held: dict[int, tuple[Record, int]] = {}
        self.leases = 0

    def write(self, new: Record, expected: int) -> bool:
        if expected != self.revision:
            return False
        self.stored, self.revision = new, self.revision + 1
        self.written.append(new)
        return True

    @rule(agent=st.integers(0, 2))
    def read(self, agent: int) -> None:
        self.seen[agent] = (self.stored, self.revision)

    @rule(agent=st.integers(0, 2))
    def decide(self, agent: int) -> None:
        before, revision = self.seen.get(agent, (None, 0))
        self.leases += 1
        me = Claimant(host=f"h{agent}", labels=frozenset(), lease=f"l{self.leases}", lease_length=5.0, offered=True)
        decision = decide(self.job, before, me, self.policy, now=self.now, deliveries=1)
        if isinstance(decision, Take | Close) and self.write(decision.record, revision) and isinstance(decision, Take):
            self.held[agent] = (decision.record, self.revision)

    @rule(agent=st.integers(0, 2), how=st.sampled_from(["complete", "fail", "renew", "retry", "release"]))
    def act(self, agent: int, how: str) -> None:
        if agent not in self.held:
            return
        mine, revision = self.held[agent]
        until = self.now + 5.0
        new = {
            "complete": lambda: lifecycle.complete(mine, Raw(b"1"), changed=False, now=self.now),
            "fail": lambda: lifecycle.fail(mine, "no", now=self.now),
            "renew": lambda: lifecycle.renew(mine, until=until, now=self.now),
            "retry": lambda: lifecycle.retry(mine, "again", next_at=self.now + 3.0, now=self.now),
            "release": lambda: lifecycle.release(mine, "stopped", now=self.now),
        }[how]()
        fenced = self.stored is not None and self.stored.lease != mine.lease
        stored = self.write(new, revision)
        assert not (fenced and stored), "a stale holder wrote"
        if stored and how == "renew":
            self.held[agent] = (new, self.revision)
        else:
            del self.held[agent]

    @rule(agent=st.integers(0, 2))
    def crash(self, agent: int) -> None:
        self.held.pop(agent, None)
        self.seen.pop(agent, None)

    @rule(seconds=st.sampled_from([0.5, 3.0, 5.0, 40.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: hasattr(self, "written"))
    @invariant()
    def one_end(self) -> None:
        ended = [new for new in self.written if new.status in TERMINAL]
        assert len(ended) <= 1
        assert not ended or self.written[-1] is ended[0]

    @precondition(lambda self: hasattr(self, "written"))
    @invariant()
    def attempts_do_not_overlap(self) -> None:
        for one, other in zip(self.written, self.written[1:], strict=False):
            if other.attempt > one.attempt and one.status is S.RUNNING:
                assert other.claimed >= one.lease_until


TestCrowd = Crowd.TestCase
TestCrowd.settings = settings(max_examples=200, stateful_step_count=40)


def test_slots() -> None:
    assert slot_of(definition(), "a") == ANY_SLOT
    assert slot_of(definition(expected=("a",)), "a") == "a"


def test_what_is_not_due_is_waited_for_unless_it_has_ended() -> None:
    assert look(definition(due=150.0)) == Wait(20.0, "it is not due")
    assert isinstance(look(definition(due=150.0), record(S.CANCELLED)), Drop)
    assert isinstance(look(definition(due=130.0)), Take)
