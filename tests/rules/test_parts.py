"""Large results: split and put together again."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from osapi.errors import RecordError, UntrustedError
from osapi.rules.codec import RECORD
from osapi.rules.parts import joined, part_size, parted, split
from osapi.rules.records import NO_RESULT, Parts, SlotStatus
from tests.rules.builders import record


@given(st.text(max_size=50), st.integers(1, 20))
def test_a_result_comes_back_as_it_was(text: str, size: int) -> None:
    result = Raw(b'"%b"' % text.encode())
    parts = split(result, size)
    assert all(0 < len(part) <= size for part in parts)
    done = record(SlotStatus.COMPLETED, result=result)
    stored = RECORD.decode(RECORD.encode(parted(done, len(parts))))
    digest = hashlib.sha256(bytes(result)).hexdigest()
    assert stored.parts == Parts(count=len(parts), size=len(result), digest=digest)
    assert stored.result == NO_RESULT
    assert joined(stored, parts) == done


@pytest.mark.parametrize("parts", [[], [b"12"], [b"12", b"345"]])
def test_parts_that_are_not_all_there_are_refused(parts: list[bytes]) -> None:
    stored = parted(record(SlotStatus.COMPLETED, result=Raw(b"1234")), 2)
    with pytest.raises(RecordError, match="bytes, which is not what its record says"):
        joined(stored, parts)


def test_parts_that_somebody_else_stored_are_refused() -> None:
    stored = parted(record(SlotStatus.COMPLETED, result=Raw(b"1234")), 2)
    with pytest.raises(UntrustedError, match="not those that its record was written for"):
        joined(stored, [b"12", b"35"])


def test_parts_of_a_record_without_a_digest_are_taken() -> None:
    stored = parted(record(SlotStatus.COMPLETED, result=Raw(b"1234")), 2)
    assert stored.parts is not None
    older = replace(stored, parts=replace(stored.parts, digest=""))
    assert bytes(joined(older, [b"12", b"34"]).result) == b"1234"


def test_a_record_without_parts_has_none() -> None:
    with pytest.raises(RecordError):
        joined(record(), [])


@given(st.integers(1, 1 << 26))
def test_a_part_fits_into_a_message_with_room_to_spare(max_payload: int) -> None:
    size = part_size(max_payload)
    assert 0 < size <= max_payload
    assert max_payload - size >= min(max_payload // 2, 64 * 1024)
