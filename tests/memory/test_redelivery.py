"""What JetStream was seen to do with answers and redelivery, one bullet after the other, on the core."""

from __future__ import annotations

from tests.memory.consumer_world import World


def test_nak_ignores_backoff() -> None:
    world = World(backoff=(10.0, 20.0))
    world.pull(count=2)
    world.publish("s.a")
    world.nak(1)
    assert world.taken() == [("p", 1, 1), ("p", 1, 2)]


def test_nak_with_delay_keeps_its_slot() -> None:
    world = World(max_ack_pending=1)
    world.pull(count=9)
    world.publish("s.a", "s.b")
    world.nak(1, delay=5)
    world.wait(4)
    assert world.taken() == [("p", 1, 1)]
    world.wait(1)
    assert world.taken() == [("p", 1, 2)]


def test_nak_with_delay_takes_back_one_that_lines_up_again() -> None:
    world = World(ack_wait=1)
    world.pull(count=1)
    world.publish("s.a")
    world.wait(1)
    world.nak(1, delay=5)
    world.pull("q", count=1)
    assert world.taken() == [("p", 1, 1)]
    world.wait(5)
    assert world.taken() == [("q", 1, 2)]


def test_nak_and_in_progress_for_what_is_not_pending_are_ignored() -> None:
    world = World()
    world.pull(count=3)
    world.publish("s.a")
    world.ack(1)
    world.nak(1)
    world.nak(7)
    world.stream.in_progress(world.consumer, 1, world.now)
    world.wait(100)
    assert world.taken() == [("p", 1, 1)]


def test_backoff_0_replaces_ack_wait_and_the_last_one_repeats() -> None:
    world = World(ack_wait=50, backoff=(1.0, 3.0))
    world.pull(count=9)
    world.publish("s.a")
    moments = [world.now]
    for _ in range(3):
        world.taken()
        while not world.given:
            world.wait(0.5)
        moments.append(world.now)
    assert moments == [1, 2, 5, 8]


def test_in_progress_starts_the_wait_anew() -> None:
    world = World(ack_wait=2)
    world.pull(count=9)
    world.publish("s.a")
    for _ in range(5):
        world.wait(1.5)
        world.stream.in_progress(world.consumer, 1, world.now)
    assert world.taken() == [("p", 1, 1)]
    world.wait(2)
    assert world.taken() == [("p", 1, 2)]


def test_in_progress_comes_too_late_for_one_that_lines_up_again() -> None:
    world = World(ack_wait=1)
    pull = world.pull(count=1)
    world.publish("s.a")
    world.wait(1)
    world.stream.in_progress(world.consumer, 1, world.now)
    world.request(pull, 1)
    assert world.taken() == [("p", 1, 1), ("p", 1, 2)]


def test_an_ack_of_an_older_delivery_counts() -> None:
    world = World(ack_wait=1)
    world.pull(count=2)
    world.publish("s.a")
    world.wait(1)
    world.ack(1)
    assert world.ack_pending == 0


def test_a_late_ack_counts_even_before_the_timer_has_run() -> None:
    world = World(ack_wait=1)
    world.pull(count=9)
    world.publish("s.a")
    world.now = 50
    world.ack(1)
    assert world.taken() == [("p", 1, 1)]


def test_redeliveries_come_first_and_in_order() -> None:
    world = World(ack_wait=1)
    pull = world.pull(count=2)
    world.publish("s.a", "s.b", "s.c")
    world.wait(1)
    world.request(pull, 3)
    assert world.taken() == [("p", 1, 1), ("p", 2, 1), ("p", 1, 2), ("p", 2, 2), ("p", 3, 1)]


def test_redeliveries_need_no_slot_of_their_own() -> None:
    world = World(ack_wait=1, max_ack_pending=1)
    world.pull(count=9)
    world.publish("s.a")
    world.wait(1)
    assert world.taken() == [("p", 1, 1), ("p", 1, 2)]


def test_max_deliver_is_lazy_the_slot_is_free_at_the_next_pull() -> None:
    world = World(ack_wait=1, max_deliver=2)
    pull = world.pull(count=2)
    world.publish("s.a")
    world.wait(5)
    assert (len(world.taken()), world.ack_pending) == (2, 1)
    world.request(pull, 1)
    assert (len(world.taken()), world.ack_pending) == (0, 0)


def test_max_deliver_of_1_is_not_lazy() -> None:
    world = World(ack_wait=1, max_deliver=1)
    world.pull(count=1)
    world.publish("s.a")
    world.wait(1)
    assert world.ack_pending == 0


def test_a_late_ack_after_max_deliver_is_ignored() -> None:
    world = World(ack_wait=1, max_deliver=1)
    world.pull(count=2)
    world.publish("s.a")
    world.wait(1)
    world.ack(1)
    assert world.taken() == [("p", 1, 1)]


def test_answered_messages_do_not_pile_up_deadlines() -> None:
    world = World()
    world.pull(count=5000)
    for sequence in range(1, 5001):
        world.publish("s.a")
        world.ack(sequence)
    assert world.consumer.deadlines < 2000
