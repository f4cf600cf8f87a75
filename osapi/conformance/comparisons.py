"""K2 and K3: writes that compare with what is there before they set."""

# ruff: noqa: D401 - the docstring of a check is the sentence that it proves

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio

from osapi.conformance.check import check, expect_equal, refusal
from osapi.conformance.ground import fresh_bucket, value_of
from osapi.errors import ConflictError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi.transport import Transport


@check("K2")
async def create_refuses_a_value(transport: Transport) -> None:
    """A key that has a value keeps it, and the error names the revision that it has."""
    async with fresh_bucket(transport) as bucket:
        revision = await bucket.create("a", b"first")
        conflict = await refusal(ConflictError, bucket.create("a", b"second"), "create over a value")
        expect_equal((conflict.key, conflict.actual), ("a", revision), "key and revision of the conflict")
        expect_equal(await value_of(bucket, "a"), b"first", "the value after a refused create")


@check("K2")
async def create_succeeds_over_a_delete_marker(transport: Transport) -> None:
    """A deleted key has no value, so it can be created, again and again."""
    async with fresh_bucket(transport) as bucket:
        for value in (b"first", b"second", b"third"):
            await bucket.create("a", value)
            expect_equal(await value_of(bucket, "a"), value, "the value after create")
            await bucket.delete("a")


@check("K2")
async def create_succeeds_over_a_purge_marker(transport: Transport) -> None:
    """A purged key has no value, so it can be created, also in a bucket with a history."""
    async with fresh_bucket(transport, history=4) as bucket:
        for value in (b"first", b"second"):
            await bucket.create("a", value)
            expect_equal(await value_of(bucket, "a"), value, "the value after create")
            await bucket.purge("a")


@check("K2")
async def create_succeeds_over_a_marker_of_a_key_that_never_was(transport: Transport) -> None:
    """Deleting what never was does not keep it from being created."""
    async with fresh_bucket(transport) as bucket:
        await bucket.delete("a")
        await bucket.purge("b")
        for key in ("a", "b"):
            await bucket.create(key, b"first")
            expect_equal(await value_of(bucket, key), b"first", "the value after create")


@check("K2")
async def one_of_concurrent_creates_wins(transport: Transport) -> None:
    """Of many that create the same key, new or deleted, one succeeds and all others see its value."""
    async with fresh_bucket(transport) as bucket:
        await bucket.put("deleted", b"old")
        await bucket.delete("deleted")
        for key in ("new", "deleted"):
            won = await _winners(partial(bucket.create, key))
            expect_equal(len(won), 1, f"winners of ten creates of a {key} key")
            expect_equal(await value_of(bucket, key), won[0], "the value of the winner")


@check("K3")
async def update_succeeds_over_the_newest_revision(transport: Transport) -> None:
    """The revision that a write returned is what the next update names; 0 for a key never written."""
    async with fresh_bucket(transport) as bucket:
        revision = await bucket.update("a", b"0", 0)
        for value in (b"1", b"2"):
            await bucket.put("other", b"x")
            revision = await bucket.update("a", value, revision)
        expect_equal(await value_of(bucket, "a"), b"2", "the value after updates")


@check("K3")
async def update_refuses_any_other_revision(transport: Transport) -> None:
    """An older, a newer and another key's revision are refused, and the error names the newest."""
    async with fresh_bucket(transport, history=5) as bucket:
        old = await bucket.put("a", b"old")
        newest = await bucket.put("a", b"new")
        other = await bucket.put("b", b"other")
        for revision in (0, old, other, other + 1):
            call = bucket.update("a", b"lost", revision)
            conflict = await refusal(ConflictError, call, f"update over {revision}, the newest being {newest}")
            seen = (conflict.key, conflict.expected, conflict.actual)
            expect_equal(seen, ("a", revision, newest), "key, expected and actual revision of the conflict")
        conflict = await refusal(ConflictError, bucket.update("new", b"lost", other), "update of a key never written")
        expect_equal(conflict.actual, 0, "the newest revision of a key never written")
        expect_equal(await value_of(bucket, "a"), b"new", "the value after refused updates")
        expect_equal(await value_of(bucket, "new"), None, "a key that was never written")


@check("K3")
async def markers_count_as_the_newest_revision(transport: Transport) -> None:
    """After a delete or a purge only the marker's own revision may be updated, not 0 nor the value's."""
    async with fresh_bucket(transport, history=5) as bucket:
        for key, remove in (("deleted", bucket.delete), ("purged", bucket.purge)):
            value = await bucket.put(key, b"old")
            marker = await remove(key)
            for stale in (0, value):
                call = bucket.update(key, b"lost", stale)
                conflict = await refusal(ConflictError, call, f"update of a {key} key over {stale}")
                expect_equal(conflict.actual, marker, f"the newest revision of a {key} key")
            await bucket.update(key, b"new", marker)
            expect_equal(await value_of(bucket, key), b"new", f"the value after updating a {key} key")


@check("K3")
async def removals_compare_too(transport: Transport) -> None:
    """Delete and purge with a revision succeed only if that is the newest."""
    async with fresh_bucket(transport, history=5) as bucket:
        for key, remove in (("deleted", bucket.delete), ("purged", bucket.purge)):
            old = await bucket.put(key, b"old")
            newest = await bucket.put(key, b"new")
            for stale in (old, newest + 1):
                conflict = await refusal(ConflictError, remove(key, revision=stale), f"removal of revision {stale}")
                expect_equal(conflict.actual, newest, f"the newest revision of the {key} key")
            expect_equal(await value_of(bucket, key), b"new", "the value after a refused removal")
            await remove(key, revision=newest)
            expect_equal(await value_of(bucket, key), None, "the value after a removal")


@check("K3")
async def one_of_concurrent_updates_wins(transport: Transport) -> None:
    """Of many that update the same revision, one succeeds."""
    async with fresh_bucket(transport) as bucket:
        revision = await bucket.put("a", b"old")
        won = await _winners(lambda value: bucket.update("a", value, revision))
        expect_equal(len(won), 1, "winners of ten updates of one revision")
        expect_equal(await value_of(bucket, "a"), won[0], "the value of the winner")


async def _winners(write: Callable[[bytes], Awaitable[int]]) -> list[bytes]:
    """Write ten values at once and return those that were not refused."""
    won: list[bytes] = []

    async def run(value: bytes) -> None:
        try:
            await write(value)
        except ConflictError:
            return
        won.append(value)

    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(run, b"%d" % number)
    return won
