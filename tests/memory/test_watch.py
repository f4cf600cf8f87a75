from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

import osapi_memory.watch
from osapi.errors import ClosedError, InvalidKeyError
from osapi.transport import BucketConfig, Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio.testing import MockClock

    from osapi.transport import Entry
    from osapi_memory import Broker, MemoryTransport
    from osapi_memory.key_value import MemoryKeyValue


@pytest.fixture
async def bucket(transport: MemoryTransport) -> MemoryKeyValue:
    return await transport.bucket(BucketConfig(name="b"))


def revisions(entries: Sequence[Entry]) -> list[int]:
    return [entry.revision for entry in entries]


async def test_first_the_newest_of_each_key_in_order_of_revision_then_the_changes(bucket: MemoryKeyValue) -> None:
    for key in ("b", "a", "c", "a"):
        await bucket.put(key, b"")
    await bucket.delete("c")
    async with bucket.watch() as watch:
        assert isinstance(watch, Watch)
        caught_up = [watch.caught_up]
        await bucket.put("b", b"")
        assert revisions(await watch.receive()) == [1, 4, 5]
        assert [*caught_up, watch.caught_up] == [False, True]
        assert revisions(await watch.receive()) == [6]
        assert watch.receive_nowait() == []


async def test_an_empty_first_set_is_caught_up_at_once(bucket: MemoryKeyValue) -> None:
    async with bucket.watch() as watch:
        assert watch.caught_up


async def test_only_new_or_from_a_revision_even_one_that_lies_ahead(bucket: MemoryKeyValue) -> None:
    for key in ("a", "b", "c"):
        await bucket.put(key, b"")
    async with bucket.watch(start="new") as new, bucket.watch(start=1) as later, bucket.watch("a", start=4) as ahead:
        assert (new.caught_up, later.caught_up, ahead.caught_up) == (True, False, True)
        assert revisions(await later.receive()) == [2, 3]
        await bucket.put("a", b"")
        await bucket.put("a", b"")
        assert revisions(await new.receive()) == [4, 5]
        assert revisions(await later.receive()) == [4, 5]
        assert revisions(await ahead.receive()) == [5]


async def test_only_what_matches_and_overlapping_patterns_are_refused(bucket: MemoryKeyValue) -> None:
    async with bucket.watch("a.*", "b") as watch:
        for key in ("a.x", "a", "b", "c"):
            await bucket.put(key, b"")
        assert revisions(await watch.receive()) == [1, 3]
    with pytest.raises(InvalidKeyError, match=r"overlaps 'a.b' of the same watch"):
        async with bucket.watch("a.*", "a.b"):
            raise AssertionError


async def test_a_cancelled_receive_loses_nothing(bucket: MemoryKeyValue, autojump_clock: MockClock) -> None:
    async with bucket.watch() as watch:
        with trio.move_on_after(1):
            await watch.receive()
        await bucket.put("a", b"")
        with trio.CancelScope() as scope:
            scope.cancel()
            await watch.receive()
        assert revisions(await watch.receive()) == [1]


async def test_a_receive_that_is_cancelled_just_as_an_entry_comes_returns_it(bucket: MemoryKeyValue) -> None:
    taken: list[int] = []

    async def receive() -> None:
        with scope:
            taken.extend(revisions(await watch.receive()))

    async with bucket.watch() as watch, trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        await bucket.put("a", b"")
        scope.cancel()
        await wait_all_tasks_blocked()
        assert taken == [1]


async def test_two_tasks_may_not_receive_at_once(bucket: MemoryKeyValue) -> None:
    async with bucket.watch() as watch, trio.open_nursery() as nursery:
        nursery.start_soon(watch.receive)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await watch.receive()
        nursery.cancel_scope.cancel()


async def test_leaving_the_block_ends_the_watch(bucket: MemoryKeyValue) -> None:
    await bucket.put("a", b"")
    async with bucket.watch() as watch:
        pass
    await bucket.put("b", b"")
    for _ in range(2):
        with pytest.raises(ClosedError, match="the watch's block has ended"):
            await watch.receive()
        with pytest.raises(ClosedError):
            watch.receive_nowait()


async def test_deleting_the_bucket_ends_the_watch_after_what_has_come(
    bucket: MemoryKeyValue, transport: MemoryTransport
) -> None:
    async with bucket.watch() as watch, trio.open_nursery() as nursery:
        await bucket.put("a", b"")
        await transport.delete_bucket("b")
        assert revisions(await watch.receive()) == [1]
        with pytest.raises(ClosedError, match="bucket b was deleted"):
            await watch.receive()
        nursery.cancel_scope.cancel()


async def test_the_end_wakes_who_waits(bucket: MemoryKeyValue, transport: MemoryTransport) -> None:
    async def receive() -> None:
        with pytest.raises(ClosedError, match="bucket b was deleted"):
            await watch.receive()

    async with bucket.watch() as watch, trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        await transport.delete_bucket("b")


async def test_a_slow_watcher_costs_bounded_memory_and_misses_only_what_was_overwritten(
    bucket: MemoryKeyValue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(osapi_memory.watch, "MAX_BEHIND", 3)
    async with bucket.watch() as watch:
        for key in "abcabcde":
            await bucket.put(key, b"")
        assert revisions(await watch.receive()) == [1, 2, 3]
        assert revisions(await watch.receive()) == [4, 5, 6]
        assert revisions(await watch.receive()) == [7, 8]
        for key in "aaaaab":
            await bucket.put(key, b"")
        assert revisions(await watch.receive()) == [9, 10, 11]
        assert revisions(await watch.receive()) == [13, 14]
        await bucket.put("a", b"")
        assert revisions(await watch.receive()) == [15]


async def test_it_resumes_after_the_last_revision_it_gave(
    bucket: MemoryKeyValue, transport: MemoryTransport, broker: Broker
) -> None:
    async with broker.connect() as elsewhere:
        other = await elsewhere.bucket(BucketConfig(name="b"))
        async with bucket.watch() as watch:
            await other.put("a", b"")
            transport.disconnect()
            for key in ("a", "b", "a"):
                await other.put(key, b"")
            assert revisions(await watch.receive()) == [1]
            transport.reconnect()
            await other.put("c", b"")
            assert revisions(await watch.receive()) == [3, 4, 5]
            transport.disconnect()
            transport.reconnect()
            assert watch.receive_nowait() == []


async def test_it_ends_if_the_bucket_was_deleted_meanwhile_and_with_a_crash(
    bucket: MemoryKeyValue, transport: MemoryTransport, broker: Broker
) -> None:
    async with broker.connect() as elsewhere, bucket.watch() as watch:
        transport.disconnect()
        await elsewhere.delete_bucket("b")
        transport.reconnect()
        with pytest.raises(ClosedError, match="bucket b was deleted"):
            await watch.receive()
        victim = await elsewhere.bucket(BucketConfig(name="b"))
        await victim.put("a", b"")
        async with victim.watch() as doomed:
            elsewhere.crash()
            with pytest.raises(ClosedError, match="the transport has ended"):
                await doomed.receive()
