from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi.errors import RecordError
from osapi.rules.dead_letters import DELETED, job_of, parse_advisory

# As nats-server 2.15.1 wrote them.
MAX_DELIVERIES = (
    b'{"type":"io.nats.jetstream.advisory.v1.max_deliver","id":"q2F34oYc0B7u0H8mydLHGI",'
    b'"timestamp":"2026-11-23T20:02:57.522891325Z","stream":"prod-JOBS","consumer":"any","stream_seq":8,"deliveries":2}'
)
TERMINATED = (
    b'{"type":"io.nats.jetstream.advisory.v1.terminated","id":"q2F34oYc0B7u0H8mydLGvO",'
    b'"timestamp":"2026-11-23T20:02:52.958106208Z","stream":"prod-JOBS","consumer":"agent-a","consumer_seq":1,'
    b'"stream_seq":1,"deliveries":1,"reason":"bad job: {x} \xc3\xbc\\nnext"}'
)


def advisory(**changes: Any) -> bytes:
    fields = {"type": "x.terminated", "consumer": "any", "stream_seq": 1, "deliveries": 3}
    return msgspec.json.encode({**fields, **changes})


def test_what_the_server_writes_is_read() -> None:
    used_up, refused = parse_advisory(MAX_DELIVERIES), parse_advisory(TERMINATED)
    assert (used_up.consumer, used_up.stream_seq, used_up.deliveries) == ("any", 8, 2)
    assert used_up.told == "none of its 2 deliveries was acknowledged (max_deliver)"
    assert (refused.consumer, refused.stream_seq, refused.told) == ("agent-a", 1, "bad job: {x} ü\nnext")
    assert used_up.is_given_up
    assert refused.is_given_up


def test_what_was_only_deleted_was_not_given_up() -> None:
    assert not parse_advisory(advisory(reason=DELETED)).is_given_up
    assert parse_advisory(advisory(reason=DELETED + "!")).is_given_up
    assert parse_advisory(advisory()).is_given_up
    assert parse_advisory(advisory(type="x.max_deliver", reason=DELETED)).is_given_up


def test_a_term_without_a_reason_has_none() -> None:
    assert parse_advisory(advisory()).told == ""


@given(st.dictionaries(st.text(), st.integers() | st.text()))
def test_fields_that_nobody_knows_are_ignored(more: dict[str, Any]) -> None:
    assert parse_advisory(advisory(**{f"x-{name}": value for name, value in more.items()})).deliveries == 3


@pytest.mark.parametrize(
    "payload",
    [b"", b"fake", b"{}", b"[]", b"\xff", advisory(stream_seq="1"), advisory(deliveries=None), advisory(reason=1)],
)
def test_what_is_no_dead_letter_is_refused(payload: bytes) -> None:
    with pytest.raises(RecordError, match="the dead letter cannot be read"):
        parse_advisory(payload)


@pytest.mark.parametrize(
    ("subject", "job_id"),
    [
        ("jobs.query.any._.0199-ab", "0199-ab"),
        ("jobs.modify.host.web-01=2Ede.0199", "0199"),
        ("jobs.modify.host.WEB.0199", None),
        ("jobs.later.0199._any", None),
        ("audit", None),
        ("", None),
    ],
)
def test_a_notification_names_its_job(subject: str, job_id: str | None) -> None:
    assert job_of(subject) == job_id
