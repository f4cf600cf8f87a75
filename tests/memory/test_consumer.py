"""What JetStream was seen to do with consumers, but for redelivery, one bullet after the other, on the core."""

from __future__ import annotations

from math import inf

import pytest
from msgspec.structs import replace

from osapi.errors import LimitReachedError, MismatchError, MissingError
from osapi.transport import ConsumerConfig, StreamConfig
from osapi_memory.stream_core import StreamCore
from tests.memory.consumer_world import World


def test_crossing_filters_deliver_once() -> None:
    world = World(filters=("s.*.x", "s.y.z"))
    world.pull(count=9)
    world.publish("s.y.x", "s.y.z", "s.y.y")
    assert [sequence for _, sequence, _ in world.taken()] == [1, 2]


def test_update_replaces_the_whole_configuration() -> None:
    world = World(ack_wait=5, max_deliver=3)
    world.open(ack_wait=5.0)
    world.stream.consumer(ConsumerConfig(name="c", max_ack_pending=7), world.now)
    assert world.consumer.config == ConsumerConfig(name="c", max_ack_pending=7)


def test_update_of_deliver_and_max_waiting_is_refused() -> None:
    world = World()
    with pytest.raises(MismatchError, match="deliver is 'all', not 'new'; max_waiting is 512, not 1"):
        world.open(deliver="new", max_waiting=1)


def test_a_waiting_pull_survives_an_update() -> None:
    world = World(filters=("s.a",))
    world.pull(count=1)
    world.open(filters=("s.b",))
    world.publish("s.a", "s.b")
    assert world.taken() == [("p", 2, 1)]


def test_other_filters_do_not_bring_back_what_was_passed_over() -> None:
    world = World(filters=("s.a",))
    world.publish("s.b", "s.a", "s.b")
    world.pull(count=2)
    world.open(filters=("s.b",))
    world.pull(count=9)
    assert world.taken() == [("p", 2, 1)]


def test_other_filters_apply_to_what_a_consumer_that_lags_behind_has_not_seen() -> None:
    world = World(filters=("s.a",))
    world.publish("s.a", "s.b", "s.a", "s.b")
    world.pull(count=1)
    world.open(filters=("s.b",))
    world.pull(count=9)
    assert [sequence for _, sequence, _ in world.taken()] == [1, 2, 4]


def test_a_message_pending_from_former_filters_frees_its_slot_when_it_is_removed() -> None:
    world = World(filters=("s.a",))
    world.pull(count=1)
    world.publish("s.a")
    world.open(filters=("s.b",))
    world.stream.purge(">", world.now)
    assert world.ack_pending == 0


def test_an_expired_message_frees_its_slot() -> None:
    world = World(max_ack_pending=1)
    world.pull(count=9)
    world.publish("s.a", ttl=1)
    world.publish("s.b")
    world.wait(1)
    assert world.taken() == [("p", 1, 1), ("p", 2, 1)]


def test_a_message_dropped_by_a_limit_frees_its_slot_for_the_next() -> None:
    world = World(stream={"max_msgs": 2}, max_ack_pending=1)
    world.pull(count=9)
    world.publish("s.a", "s.b")
    assert world.taken() == [("p", 1, 1)]
    world.publish("s.c")
    assert world.taken() == [("p", 2, 1)]


def test_what_expires_together_is_not_delivered_in_each_others_place() -> None:
    world = World(max_ack_pending=1)
    world.pull(count=9)
    world.publish("s.a", "s.b", ttl=1)
    world.now = 5
    world.publish("s.c")
    assert world.taken() == [("p", 1, 1), ("p", 3, 1)]


def test_waiting_pulls_are_served_round_robin_per_message() -> None:
    world = World()
    world.pull("p", count=3)
    world.pull("q", count=2)
    world.publish("s.a", "s.a", "s.a", "s.a", "s.a")
    assert [name for name, _, _ in world.taken()] == ["p", "q", "p", "q", "p"]


def test_deliver_new_keeps_what_arrives_while_nobody_pulls_and_replays_nothing() -> None:
    world = World()
    world.publish("s.a")
    world.settings = {"deliver": "new"}
    world.stream.delete_consumer("c", world.now)
    world.consumer = world.open()
    world.publish("s.b")
    world.open()
    world.pull(count=9)
    assert world.taken() == [("p", 2, 1)]


def test_deliver_all_with_filters_starts_with_what_matches_in_order() -> None:
    world = World()
    world.publish("s.b", "s.a", "s.c", "s.b")
    world.stream.delete_consumer("c", world.now)
    world.settings = {"filters": ("s.a", "s.b")}
    world.consumer = world.open()
    world.pull(count=9)
    assert [sequence for _, sequence, _ in world.taken()] == [1, 2, 4]


def test_max_waiting_limits_open_pulls() -> None:
    world = World(max_waiting=1)
    pull = world.pull()
    with pytest.raises(LimitReachedError, match="max_waiting is 1"):
        world.pull("q")
    world.stream.close_pull(world.consumer, pull, world.now)
    world.pull("q")


def test_closing_a_pull_gives_its_requests_back_and_its_messages_come_again_after_ack_wait() -> None:
    world = World(ack_wait=2)
    pull = world.pull(count=2)
    world.publish("s.a")
    world.stream.close_pull(world.consumer, pull, world.now)
    world.publish("s.b")
    world.pull("q", count=2)
    assert world.taken() == [("p", 1, 1), ("q", 2, 1)]
    world.wait(2)
    assert world.taken() == [("q", 1, 2)]


def test_inactive_threshold_counts_from_creation_and_from_the_last_close_and_is_held_off_by_a_pull() -> None:
    world = World(inactive_threshold=2)
    world.wait(1.9)
    pull = world.pull()
    world.wait(10)
    world.stream.close_pull(world.consumer, pull, world.now)
    world.wait(1.9)
    assert world.stream.names(world.now) == ["c"]
    world.wait(0.1)
    assert world.stream.names(world.now) == []
    with pytest.raises(MissingError, match="stream s has no consumer c"):
        world.pull()


def test_opening_an_idle_consumer_again_starts_its_threshold_anew() -> None:
    world = World(inactive_threshold=2)
    world.wait(1.9)
    world.open()
    world.wait(1.9)
    assert world.stream.names(world.now) == ["c"]


def test_deleting_a_consumer_ends_its_pulls_and_late_answers_mean_nothing() -> None:
    world = World(ack_wait=1)
    pull = world.pull(count=1)
    world.pull("q")
    world.publish("s.a")
    assert world.stream.delete_consumer("c", world.now)
    assert not world.stream.delete_consumer("c", world.now)
    assert world.ended == ["p", "q"]
    world.ack(1)
    world.nak(1)
    world.stream.in_progress(world.consumer, 1, world.now)
    world.stream.close_pull(world.consumer, pull, world.now)
    world.wait(10)
    assert world.stream.next_due() == inf
    world.publish("s.a")
    assert world.taken() == [("p", 1, 1)]


def test_a_thousand_consumers_by_default_and_more_if_the_stream_says_so() -> None:
    for settings, limit in (({}, 1000), ({"max_consumers": 2}, 2), ({"max_consumers": 1200}, 1200)):
        stream = StreamCore(replace(StreamConfig(name="s", subjects=("s.>",)), **settings))
        for number in range(limit):
            stream.consumer(ConsumerConfig(name=f"c{number}"), 1)
        with pytest.raises(LimitReachedError, match=f"has {limit} consumers: set max_consumers"):
            stream.consumer(ConsumerConfig(name="one-too-many"), 1)
        stream.consumer(ConsumerConfig(name="c0", ack_wait=5), 1)


def test_consumers_share_nothing_but_the_log() -> None:
    world = World(filters=("s.a",))
    world.stream.consumer(ConsumerConfig(name="d", filters=("s.>",)), world.now)
    world.pull(count=9)
    world.publish("s.a", "s.b")
    world.ack(1)
    assert world.stream.consumer_info("d", world.now).pending == 2
    assert world.stream.consumer_info("c", world.now).pending == 0
