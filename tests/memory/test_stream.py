"""What JetStream was seen to do with streams, on the core."""

from __future__ import annotations

from typing import Any

import pytest

from osapi.errors import InvalidSettingError, LimitReachedError, PayloadTooLargeError
from osapi.transport import ConsumerConfig, Published, StreamConfig
from osapi_memory.consumer_core import PullCore
from osapi_memory.stream_core import StreamCore


def stream(**settings: Any) -> StreamCore:
    return StreamCore(StreamConfig(name="s", subjects=("s.>",), **settings))


def test_deduplication_is_per_stream_whatever_the_subject_and_even_after_a_purge() -> None:
    core = stream()
    core.publish("s.a", b"", {}, 1, "id")
    core.purge(">", 1)
    assert core.publish("s.b", b"", {}, 1, "id") == Published(1, duplicate=True)
    assert core.info(1).messages == 0


def test_a_duplicate_does_not_start_the_window_anew() -> None:
    core = stream(duplicate_window=2)
    core.publish("s.a", b"", {}, 1, "id")
    assert core.publish("s.a", b"", {}, 2.9, "id").duplicate
    assert not core.publish("s.a", b"", {}, 3, "id").duplicate


def test_a_duplicate_is_recognised_on_a_full_stream() -> None:
    core = stream(max_msgs=1, discard="new")
    core.publish("s.a", b"", {}, 1, "id")
    assert core.publish("s.a", b"", {}, 1, "id").duplicate


def test_the_window_is_not_longer_than_max_age() -> None:
    core = stream(max_age=1)
    core.publish("s.a", b"", {}, 1, "id")
    assert not core.publish("s.a", b"", {}, 2, "id").duplicate


def test_discard_new_refuses_with_the_limit_and_stores_nothing() -> None:
    for limit, settings in (
        ("max_msgs is 1", {"max_msgs": 1}),
        ("max_bytes is 40", {"max_bytes": 40}),
        ("max_msgs_per_subject is 1", {"max_msgs_per_subject": 1}),
    ):
        core = stream(discard="new", **settings)
        core.publish("s.a", b"", {}, 1)
        with pytest.raises(LimitReachedError, match=limit):
            core.publish("s.a", b"", {}, 1)
        assert core.info(1).last_sequence == 1


def test_a_message_that_no_dropping_makes_room_for_is_refused() -> None:
    core = stream(max_bytes=50, max_msgs=1)
    core.publish("s.a", b"", {}, 1)
    with pytest.raises(LimitReachedError, match="do not fit"):
        core.publish("s.a", b"x" * 40, {}, 1)
    assert core.info(1).messages == 1


def test_max_msg_size_counts_headers() -> None:
    core = stream(max_msg_size=20)
    core.publish("s.a", b"x" * 20, {}, 1)
    with pytest.raises(PayloadTooLargeError, match="is 24 bytes; at most 20"):
        core.publish("s.a", b"xxxx", {"a": "bé"}, 1)


def test_schedule_at_a_moment_that_has_passed_fires_at_once() -> None:
    core = stream()
    core.schedule("s.plan", b"x", {"h": "1"}, 5, target="s.a", at=1)
    message = core.last("s.a", 5)
    assert message is not None
    assert (message.payload, message.headers, message.created, message.sequence) == (b"x", {"h": "1"}, 5, 2)
    assert core.last("s.plan", 5) is None


def test_schedule_on_the_same_subject_replaces() -> None:
    core = stream()
    core.schedule("s.plan", b"1", {}, 1, target="s.a", at=3)
    core.schedule("s.plan", b"2", {}, 1, target="s.b", at=4)
    assert core.info(1).messages == 1
    core.advance(9)
    assert core.last("s.a", 9) is None
    assert core.last("s.b", 9) is not None


def test_schedule_is_cancelled_by_a_purge() -> None:
    core = stream()
    core.schedule("s.plan", b"", {}, 1, target="s.a", at=3)
    assert core.purge("s.plan", 1) == 1
    core.advance(9)
    assert core.info(9).last_sequence == 1


def test_schedule_with_discard_new_is_refused() -> None:
    with pytest.raises(InvalidSettingError, match="'new'"):
        stream(discard="new").schedule("s.plan", b"", {}, 1, target="s.a", at=3)


def test_a_schedule_that_would_not_fit_on_its_target_is_refused_before_it_is_stored() -> None:
    core = stream(max_bytes=40)
    with pytest.raises(LimitReachedError):
        core.schedule("s.p", b"", {}, 1, target="s.a-much-longer-one", at=3)
    assert core.info(1).last_sequence == 0


def test_a_scheduled_message_lives_its_ttl_from_its_own_moment() -> None:
    core = stream()
    core.schedule("s.plan", b"", {}, 1, target="s.a", at=3, ttl=2)
    assert core.last("s.a", 4.9) is not None
    assert core.last("s.a", 5) is None


def test_a_schedule_that_was_due_together_with_its_targets_death_is_not_delivered() -> None:
    core = stream()
    given: list[int] = []
    consumer = core.consumer(ConsumerConfig(name="c", filters=("s.a",)), 1)
    pull = PullCore(lambda message, _: given.append(message.sequence), lambda: None)
    core.open_pull("c", pull, 1)
    core.request(consumer, pull, 9, 1)
    core.schedule("s.plan", b"", {}, 1, target="s.a", at=3, ttl=2)
    core.publish("s.a", b"", {}, 9)
    assert given == [3]


def test_schedules_wake_the_timer_and_let_it_sleep_again() -> None:
    core = stream()
    alarms: list[float] = []
    core.set_alarm(alarms.append)
    core.schedule("s.plan", b"", {}, 1, target="s.a", at=30)
    core.publish("s.a", b"", {}, 1, ttl=20)
    assert alarms == [30, 21]
    core.advance(30)
    assert core.next_due() == float("inf")


def test_purge_of_a_subject_with_many_messages_keeps_the_others() -> None:
    core = stream()
    for subject in ("s.a", "s.b", "s.a", "s.a", "s.b"):
        core.publish(subject, b"", {}, 1)
    assert core.purge("s.a", 1) == 3
    assert [m is not None for m in (core.get(2, 1), core.get(3, 1), core.get(5, 1))] == [True, False, True]


def test_a_message_in_the_middle_of_its_subject_may_expire_first() -> None:
    core = stream()
    for ttl in (None, 1, None, None):
        core.publish("s.a", b"", {}, 1, None, ttl)
    core.advance(2)
    assert core.info(2).messages == 3
    assert core.last("s.*", 2) == core.get(4, 2)
