"""Whose key is whose: given, accepted, announced, over, refused."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from osapi.rules.custody import Party
from osapi.rules.ledger import Given, Ledger
from osapi.rules.public_keys import PublicKey, fingerprint
from osapi.rules.records import VERSION, Enrolment, Succession

ROOT, NEXT, THIRD, AGENT, OTHER = (bytes([number]) * 32 for number in range(1, 6))
CONTROLLER = (Party(),)
WEB = (Party("web-01"),)


def ledger(*refused: bytes) -> Ledger:
    return Ledger({ROOT: [Given(Party())]}, frozenset(fingerprint(key) for key in refused))


def accepted(key: bytes, number: int = 1, host: str = "web-01") -> Enrolment:
    text = str(PublicKey(key)) if key else ""
    return Enrolment(v=VERSION, hostname=host, number=number, at=0.0, accepted=text)


def follows(key: bytes, at: float = 100.0, until: float = 200.0) -> Succession:
    return Succession(v=VERSION, new=str(PublicKey(key)), at=at, until=until)


def test_a_given_key_counts_in_its_time() -> None:
    timed = Ledger({ROOT: [Given(Party(), 10.0, 20.0), Given(Party("web-01"), 30.0)]})
    assert [timed.parties(ROOT, now) for now in (9.9, 10.0, 20.0, 20.1, 30.0)] == [(), CONTROLLER, CONTROLLER, (), WEB]
    assert "has not come" in Ledger({ROOT: [Given(Party(), 10.0)]}).why_not(ROOT, 5.0)
    assert "time is over" in Ledger({ROOT: [Given(Party(), 0.0, 4.0)]}).why_not(ROOT, 5.0)


def test_an_acceptance_counts_if_a_controller_gave_it() -> None:
    book = ledger()
    assert not book.decide(accepted(AGENT), OTHER, 1.0)
    assert book.parties(AGENT, 1.0) == ()
    assert book.decide(accepted(AGENT), ROOT, 1.0)
    assert book.parties(AGENT, 1.0) == WEB
    # An agent accepts nobody.
    assert not book.decide(accepted(OTHER, host="db-01"), AGENT, 1.0)


def test_a_later_decision_takes_the_place_of_an_earlier_one_and_not_the_other_way_round() -> None:
    book = ledger()
    assert book.decide(accepted(AGENT, 2), ROOT, 1.0)
    assert not book.decide(accepted(OTHER, 1), ROOT, 1.0)
    assert book.parties(OTHER, 1.0) == ()
    assert book.decide(accepted(OTHER, 3), ROOT, 1.0)
    assert (book.parties(AGENT, 1.0), book.parties(OTHER, 1.0)) == ((), WEB)
    assert book.decide(accepted(b"", 4), ROOT, 1.0)
    assert book.parties(OTHER, 1.0) == ()


def test_a_key_and_the_one_that_follows_it_both_count_until_the_grace_ends() -> None:
    book = ledger()
    assert book.announce(follows(NEXT), ROOT)
    assert [book.parties(NEXT, now) for now in (94.0, 95.0, 100.0, 201.0, 9e9)] == [(), *[CONTROLLER] * 4]
    assert [book.parties(ROOT, now) for now in (0.0, 200.0, 200.1)] == [CONTROLLER, CONTROLLER, ()]
    assert "another took its place" in book.why_not(ROOT, 201.0)
    # What the one before had accepted, and has not been signed anew, ends with it.
    assert book.decide(accepted(AGENT), ROOT, 150.0)
    assert (book.parties(AGENT, 200.0), book.parties(AGENT, 201.0)) == (WEB, ())
    assert book.decide(accepted(AGENT, 2), NEXT, 201.0)
    assert book.parties(AGENT, 201.0) == WEB
    # A key whose time is over decides nothing, and announces nobody: neither now nor, dated back, then.
    assert not book.decide(accepted(OTHER, 3), ROOT, 201.0)
    assert not book.announce(follows(THIRD, at=150.0), ROOT)
    assert book.announce(follows(THIRD, at=300.0, until=400.0), NEXT)
    assert (book.parties(THIRD, 500.0), book.parties(NEXT, 500.0)) == (CONTROLLER, ())


def test_only_a_key_that_counts_announces_another_and_only_one() -> None:
    book = ledger()
    assert not book.announce(follows(OTHER), AGENT)
    assert not book.announce(follows(ROOT), ROOT)
    assert book.announce(follows(NEXT), ROOT)
    assert book.announce(follows(NEXT), ROOT)
    assert not book.announce(follows(THIRD), ROOT)
    assert not book.announce(follows(ROOT, at=150.0), NEXT) or book.parties(ROOT, 9e9) == ()


def test_an_agents_key_is_followed_by_one_of_the_same_agent() -> None:
    book = ledger()
    assert book.decide(accepted(AGENT), ROOT, 1.0)
    assert book.announce(follows(OTHER), AGENT)
    assert book.parties(OTHER, 300.0) == WEB
    assert book.decide(accepted(b"", 2), ROOT, 301.0)
    assert book.parties(OTHER, 302.0) == ()


def test_what_is_refused_counts_for_nothing_and_neither_does_what_it_said() -> None:
    book = ledger(NEXT, AGENT)
    assert book.decide(accepted(AGENT), ROOT, 1.0)
    assert book.parties(AGENT, 1.0) == ()
    assert book.announce(follows(NEXT), ROOT)
    assert book.parties(NEXT, 150.0) == ()
    assert not book.decide(accepted(OTHER, 2), NEXT, 150.0)
    assert "which is refused" in book.why_not(NEXT, 150.0)


@given(st.integers(1, 40), st.floats(0, 1e4))
def test_a_chain_is_bounded_and_its_last_key_counts_as_long_as_it_is_not_longer(links: int, now: float) -> None:
    keys = [ROOT, *(number.to_bytes(2) * 16 for number in range(1000, 1000 + links))]
    book = ledger()
    stand = [book.announce(follows(new, at=0.0, until=0.0), old) for old, new in pairwise(keys)]
    assert stand.count(True) == min(links, 17)
    last = keys[min(links, 17)]
    assert book.parties(last, now) == (CONTROLLER if links <= 16 else ())
