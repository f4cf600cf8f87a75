"""Records to bytes and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, json

from osapi.errors import RecordError
from osapi.rules.codec import DEFINITION, RECORD, REGISTRATION
from osapi.rules.records import VERSION, Attempt, Policy, Registration, SlotStatus
from tests.rules.builders import definition, record


def test_a_definition_comes_back_as_it_was() -> None:
    job = definition(expected=("a", "b"), data=Raw(b'{"x": [1, 2.5, null]}'), policy=Policy(attempts=3), retry_of="00")
    assert DEFINITION.decode(DEFINITION.encode(job)) == job


def test_a_record_comes_back_as_it_was() -> None:
    story = (Attempt(number=1, host="a", claimed=1.0, ended=2.0, outcome="lost", error="x"),)
    slot = record(SlotStatus.COMPLETED, result=Raw(b'{"hostname":"a"}'), changed=True, earlier=story)
    assert RECORD.decode(RECORD.encode(slot)) == slot


def test_a_definition_with_an_unknown_field_is_refused() -> None:
    fields = json.decode(DEFINITION.encode(definition()))
    with pytest.raises(RecordError, match="unknown field `only_if`"):
        DEFINITION.decode(json.encode({**fields, "only_if": "signed"}))


def test_a_record_with_an_unknown_field_is_read_without_it() -> None:
    fields = json.decode(RECORD.encode(record()))
    assert RECORD.decode(json.encode({**fields, "mood": "fine"})) == record()


@pytest.mark.parametrize("version", [0, VERSION + 1])
def test_another_version_is_refused_by_number(version: int) -> None:
    for codec, value in ((DEFINITION, definition(v=version)), (RECORD, record(v=version))):
        with pytest.raises(RecordError, match=f"has format {version}, this osapi reads format {VERSION}"):
            codec.decode(json.encode(value))


def test_a_newer_version_is_named_even_when_it_does_not_fit() -> None:
    with pytest.raises(RecordError, match="has format 7"):
        DEFINITION.decode(b'{"v": 7, "body": "another shape"}')


@pytest.mark.parametrize("damage", [b"", b"{", b"null", b"[]", b'{"v": "1"}', b"\xff\xfe", b'{"v": 1, "job": 2}'])
def test_damage_is_a_record_error(damage: bytes) -> None:
    for codec in (DEFINITION, RECORD, REGISTRATION):
        with pytest.raises(RecordError):
            codec.decode(damage)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with pytest.raises(RecordError):
        REGISTRATION.decode(data)


@given(
    st.builds(
        Registration,
        v=st.just(VERSION),
        hostname=st.text(max_size=5),
        session=st.text(max_size=5),
        labels=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
        operations=st.dictionaries(st.text(max_size=3), st.sampled_from(["query", "modify"]), max_size=2),
        started=st.floats(0, 2e9),
        heartbeat=st.floats(0, 2e9),
        max_jobs=st.integers(1, 100),
    )
)
def test_registrations_come_back_as_they_were(registration: Registration) -> None:
    assert REGISTRATION.decode(REGISTRATION.encode(registration)) == registration
