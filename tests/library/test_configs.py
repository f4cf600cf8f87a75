from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from osapi.configs import check_apart, check_bucket, check_consumer, check_same, check_stream, overlapping
from osapi.errors import InvalidSettingError, InvalidSubjectError, MismatchError
from osapi.rules.subjects import overlaps
from osapi.transport import BucketConfig, ConsumerConfig, StreamConfig
from tests.memory.test_subject_index import patterns


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"name": ""}, "use letters, digits, - and _"),
        ({"name": "a.b"}, "use letters"),
        ({"name": "é"}, "use letters"),
        ({"name": "a" * 256}, "at most 255"),
        ({"history": 0}, "give 1 to 64 revisions"),
        ({"history": 65}, "give 1 to 64 revisions"),
        ({"ttl": -1}, "give seconds, 0 for none"),
        ({"ttl": nan}, "give seconds"),
        ({"ttl": inf}, "give seconds"),
        ({"marker_ttl": 0.5}, "give 0, or at least 1 s"),
        ({"max_bytes": 0}, "give -1 for no limit, or at least 1"),
        ({"max_value_size": -2}, "give -1 for no limit"),
        ({"storage": "tape"}, "give 'file' or 'memory'"),
        ({"replicas": 6}, "give 1 to 5"),
    ],
)
def test_a_bucket_is_refused_and_told_what_would_be_right(settings: dict[str, Any], remedy: str) -> None:
    with pytest.raises(InvalidSettingError, match=remedy):
        check_bucket(replace(BucketConfig(name="b"), **settings))


def test_a_bucket_at_its_limits_is_accepted() -> None:
    check_bucket(
        BucketConfig(name="aZ0_-", history=64, ttl=0.1, marker_ttl=1, max_bytes=1, storage="memory", replicas=5)
    )


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"name": "a b"}, "use letters"),
        ({"subjects": ()}, "give at least one subject"),
        ({"max_age": -0.1}, "give seconds"),
        ({"duplicate_window": inf}, "give seconds"),
        ({"max_msgs": 0}, "at least 1"),
        ({"max_bytes": 0}, "at least 1"),
        ({"max_msg_size": 0}, "at least 1"),
        ({"max_msgs_per_subject": 0}, "at least 1"),
        ({"max_consumers": 0}, "at least 1"),
        ({"dead_letters_of": "t"}, "none: a stream of dead letters has its own"),
        ({"dead_letters_of": "s"}, "the name of another stream"),
        ({"dead_letters_of": "a.b", "subjects": ()}, "use letters"),
        ({"discard": "all"}, "'old' or 'new'"),
        ({"storage": "tape"}, "'file' or 'memory'"),
    ],
)
def test_a_stream_is_refused_and_told_what_would_be_right(settings: dict[str, Any], remedy: str) -> None:
    with pytest.raises(InvalidSettingError, match=remedy):
        check_stream(replace(StreamConfig(name="s", subjects=("s.>",)), **settings))


@pytest.mark.parametrize(
    ("subjects", "problem"),
    [
        (("a..b",), "two in a row"),
        (("s.>", "s.a"), "overlaps 's.a' of the same stream"),
        (("s.a", "s.a"), "overlaps 's.a' of the same stream"),
        (("s.*.a", "s.b.*"), "overlaps 's.b.\\*' of the same stream"),
        ((">",), "overlaps \\$JS.>"),
        (("*.a",), "overlaps \\$JS.>"),
        (("$KV.b.>",), "overlaps \\$KV.>"),
    ],
)
def test_a_streams_subjects_are_refused(subjects: tuple[str, ...], problem: str) -> None:
    with pytest.raises(InvalidSubjectError, match=problem):
        check_stream(StreamConfig(name="s", subjects=subjects))


@pytest.mark.parametrize(
    ("settings", "remedy"),
    [
        ({"name": "a.b"}, "use letters, digits, - and _ and ="),
        ({"name": ""}, "use letters"),
        ({"deliver": "last"}, "'all' or 'new'"),
        ({"ack_wait": 0}, "at least 0.001 s"),
        ({"ack_wait": nan}, "at least 0.001 s"),
        ({"backoff": (1.0, 0.0)}, "at least 0.001 s"),
        ({"backoff": (1.0, 2.0), "max_deliver": 1}, "shorten it"),
        ({"max_deliver": 0}, "at least 1"),
        ({"max_ack_pending": 0}, "at least 1"),
        ({"max_waiting": 0}, "at least 1"),
        ({"inactive_threshold": -1}, "seconds, 0 for none"),
    ],
)
def test_a_consumer_is_refused_and_told_what_would_be_right(settings: dict[str, Any], remedy: str) -> None:
    with pytest.raises(InvalidSettingError, match=remedy):
        check_consumer(replace(ConsumerConfig(name="c"), **settings), ("s.>",))


@pytest.mark.parametrize(
    ("filters", "problem"),
    [
        (("s.>", "s.a"), "overlaps 's.a' of the same consumer"),
        (("t.a",), "matches no subject of the stream; it has s.>, u"),
        (("s. a",), "does not belong there"),
    ],
)
def test_filters_that_overlap_or_match_nothing_are_refused(filters: tuple[str, ...], problem: str) -> None:
    with pytest.raises(InvalidSubjectError, match=problem):
        check_consumer(ConsumerConfig(name="c", filters=filters), ("s.>", "u"))


def test_names_of_consumers_may_hold_what_hosts_are_encoded_to() -> None:
    check_consumer(ConsumerConfig(name="agent-web-01=2Eexample"), ("s.>",))


@given(st.lists(patterns(), max_size=4))
def test_overlapping_finds_a_pair_if_there_is_one(some: list[str]) -> None:
    pair = overlapping(some)
    exists = any(overlaps(one, other) for i, one in enumerate(some) for other in some[:i])
    assert (pair is not None) == exists
    assert pair is None or overlaps(*pair)


def test_a_thousand_literal_filters_are_quick_to_check() -> None:
    assert overlapping([f"s.{number}" for number in range(100_000)]) is None


def test_a_mismatch_lists_each_setting_theirs_and_mine() -> None:
    with pytest.raises(MismatchError) as caught:
        check_same("bucket", BucketConfig(name="b", ttl=1), BucketConfig(name="b", history=5))
    assert str(caught.value) == "bucket b exists with other settings: history is 5, not 1; ttl is 0.0, not 1"


def test_the_order_of_subjects_makes_no_difference() -> None:
    check_same("stream", StreamConfig(name="s", subjects=("a", "b")), StreamConfig(name="s", subjects=("b", "a")))


def test_subjects_of_another_stream_are_refused() -> None:
    other = StreamConfig(name="other", subjects=("s.*",))
    with pytest.raises(MismatchError, match=r"subject 's.a' overlaps 's.\*' of stream other"):
        check_apart(StreamConfig(name="s", subjects=("t", "s.a")), [other])
    check_apart(StreamConfig(name="s", subjects=("s.a.b",)), [other])


def test_dead_letters_of_a_stream_go_to_one_stream() -> None:
    letters = StreamConfig(name="dead", dead_letters_of="s")
    check_stream(letters)
    check_apart(StreamConfig(name="others", dead_letters_of="t"), [letters])
    check_apart(StreamConfig(name="s", subjects=("s.>",)), [letters])
    with pytest.raises(MismatchError, match="stream more: the dead letters of s go to stream dead already"):
        check_apart(StreamConfig(name="more", dead_letters_of="s"), [letters])


def test_a_consumer_of_dead_letters_takes_all() -> None:
    check_consumer(ConsumerConfig(name="c"), ())
    with pytest.raises(InvalidSubjectError, match="take every dead letter: give no filter"):
        check_consumer(ConsumerConfig(name="c", filters=("s.a",)), ())
