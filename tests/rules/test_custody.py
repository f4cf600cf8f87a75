"""Who may write what: a stolen key of an agent speaks for that agent alone, and a controller for nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from osapi.rules.codec import ORDERS, RECORD
from osapi.rules.custody import Buckets, Custody, Party, custody_of, instead_of, objection, speaker
from osapi.rules.records import NO_RESULT, SlotStatus
from osapi.rules.seals import refusal
from tests.rules.builders import record, statuses

BUCKETS = Buckets("jobs", "responses", "registry", "facts", "state", "stories")
CONTROLLER, A, B = Party(), Party("a"), Party("b")


@pytest.mark.parametrize(
    ("bucket", "key", "who"),
    [
        ("jobs", "jobs.0", [CONTROLLER]),
        ("jobs", "cancelled.0", [CONTROLLER]),
        ("jobs", "waiting.a.0", [CONTROLLER]),
        ("jobs", "retried.0", [CONTROLLER]),
        ("jobs", "idempotency.0", [CONTROLLER]),
        ("jobs", "anything", [CONTROLLER]),
        ("responses", "odd", [CONTROLLER]),
        ("responses", "o.0.a.out.1.000000", [A]),
        ("responses", "o.0._any.out.1.000000", [A, B]),
        ("registry", "a", [A]),
        ("facts", "a", [A]),
        ("state", "known.a", [A]),
        ("state", "timeline.a", [A]),
        ("state", "alerts.a", [CONTROLLER]),
        ("state", "drain.a", [CONTROLLER]),
        ("state", "anything", [CONTROLLER]),
        ("stories", "letter.1", [CONTROLLER]),
        ("another", "anything", [CONTROLLER]),
        ("registry", "A=", []),
    ],
)
def test_every_key_has_those_who_may_write_it_and_no_others(bucket: str, key: str, who: list[Party]) -> None:
    custody = custody_of(BUCKETS, bucket, key)
    assert custody is not None
    assert [party for party in (CONTROLLER, A, B) if not objection(custody, [party], b"{}")] == who


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        ("registry", "_sweeper"),
        ("responses", "o.0.a.part.1.000000"),
        ("state", "join.a.0"),
        ("state", "enrolment.a"),
        ("state", "succession.0"),
    ],
)
def test_some_keys_are_nobodys(bucket: str, key: str) -> None:
    assert custody_of(BUCKETS, bucket, key) is None


@given(statuses, st.sampled_from(["a", "b", "_any"]), st.sampled_from(["a", "b", ""]), st.booleans())
def test_an_answer_with_data_is_that_of_the_agent_that_signed_it(
    status: SlotStatus, slot: str, host: str, has_data: bool
) -> None:
    custody = custody_of(BUCKETS, "responses", f"o.0.{slot}")
    assert custody is not None
    answer = replace(record(status), slot=slot, host=host, result=Raw(b"1") if has_data else NO_RESULT, parts=None)
    value = RECORD.encode(answer)
    if not objection(custody, [A], value):
        assert slot in {"a", "_any"}
        assert host == "a" or not has_data
        assert host == "a" or status in {SlotStatus.EXPIRED, SlotStatus.CANCELLED, SlotStatus.FAILED}
    if not objection(custody, [CONTROLLER], value):
        assert not has_data
        assert status in {SlotStatus.EXPIRED, SlotStatus.CANCELLED, SlotStatus.UNREACHABLE}
    if slot == host == "a":
        assert not objection(custody, [A], value)


def test_what_stands_for_what_cannot_be_trusted() -> None:
    def instead(bucket: str, key: str) -> bytes | None:
        custody = custody_of(BUCKETS, bucket, key)
        assert custody is not None
        return instead_of(custody, key, b"{}", "it is not signed", 5.0)

    assert instead("jobs", "waiting.a.0") is instead("state", "drain.a") is instead("stories", "letter.1") is None
    orders = instead("jobs", "cancelled.0")
    assert orders is not None
    assert ORDERS.decode(orders).orders == ()
    refused = instead("jobs", "jobs.0")
    assert refused is not None
    assert refusal(refused) == ("it is not signed", b"{}")
    untrusted = instead("responses", "o.0f.web-01=2Eexample")
    assert untrusted is not None
    read = RECORD.decode(untrusted)
    assert (read.status, read.job, read.slot, read.host) == (SlotStatus.UNTRUSTED, "0f", *["web-01.example"] * 2)
    assert read.error == "the answer cannot be trusted: it is not signed"


def test_who_speaks_is_said_by_the_key_or_else_by_the_answer() -> None:
    answer = RECORD.encode(replace(record(SlotStatus.COMPLETED), slot="_any", host="b"))
    for key, value, host in (
        ("o.0.a", answer, "a"),
        ("o.0._any", answer, "b"),
        ("o.0._any", b"{", ""),
        ("o.0._any.out.1.000000", answer, ""),
    ):
        custody = custody_of(BUCKETS, "responses", key)
        assert custody is not None
        assert speaker(custody, value) == host
    assert speaker(Custody("refused", controller=True), answer) == ""
