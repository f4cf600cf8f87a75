"""K5, and what K2, K3 and K4 say about expiry: values whose time is over."""

# ruff: noqa: D401 - the docstring of a check is the sentence that it proves

from __future__ import annotations

from typing import TYPE_CHECKING

from osapi.conformance.check import check, expect, expect_equal, refusal
from osapi.conformance.ground import collect, fresh_bucket, silence, until, value_of
from osapi.errors import ConflictError

if TYPE_CHECKING:
    from osapi.transport import KeyValue, Transport

# The shortest TTL that JetStream has; everything waits for it, and much longer than it.
SHORTEST = 1
LONG = 3600


@check("K5")
async def a_value_is_gone_when_its_ttl_has_passed(transport: Transport) -> None:
    """However a value with a TTL was written, no way of reading shows it afterwards; other keys stay."""
    async with fresh_bucket(transport) as bucket:
        revision = await bucket.put("stays", b"1")
        await bucket.put("put", b"1", ttl=SHORTEST)
        await bucket.create("created", b"1", ttl=SHORTEST)
        await bucket.update("stays", b"2", revision, ttl=LONG)
        expect_equal(await value_of(bucket, "put"), b"1", "a value within its TTL")
        for key in ("put", "created"):
            await _gone(bucket, key)
            expect_equal(await bucket.history(key), [], f"history of the key that was {key}")
        expect_equal(await bucket.keys(), ["stays"], "keys")
        expect_equal(await bucket.get_many(["put", "created"]), [None, None], "get_many")


@check("K5")
async def a_value_is_gone_when_the_ttl_of_the_bucket_has_passed(transport: Transport) -> None:
    """The bucket's TTL ends every value, also one that would have lived longer by its own."""
    async with fresh_bucket(transport, ttl=SHORTEST) as bucket:
        await bucket.put("a", b"1")
        await bucket.put("b", b"1", ttl=LONG)
        await _gone(bucket, "a")
        await _gone(bucket, "b")


@check("K5")
async def a_ttl_is_that_of_one_value(transport: Transport) -> None:
    """A later write without a TTL stays, though the value before it had one."""
    async with fresh_bucket(transport) as bucket:
        await bucket.put("a", b"1", ttl=SHORTEST)
        revision = await bucket.put("a", b"2")
        await bucket.put("b", b"1", ttl=SHORTEST)
        await bucket.update("b", b"2", revision + 1)
        await bucket.put("sentinel", b"1", ttl=SHORTEST)
        await _gone(bucket, "sentinel")
        expect_equal(await bucket.keys("a") + await bucket.keys("b"), ["a", "b"], "keys written again")


@check("K5")
async def the_value_before_an_expired_one_is_back(transport: Transport) -> None:
    """In a bucket with a history the older value, with its old revision, is the newest again."""
    async with fresh_bucket(transport, history=3) as bucket:
        old = await bucket.put("a", b"old")
        await bucket.put("a", b"new", ttl=SHORTEST)
        expect_equal(await value_of(bucket, "a"), b"new", "the newest value")
        entry = await until(lambda: bucket.get("a"), lambda e: e is None or e.value != b"new", "expiry")
        expect(entry is not None and entry.revision == old, f"get should give revision {old}, but gave {entry}")
        expect_equal(await bucket.keys(), ["a"], "keys")
        expect_equal([entry.revision for entry in await bucket.history("a")], [old], "history")
        conflict = await refusal(ConflictError, bucket.create("a", b"x"), "create where an old value is back")
        expect_equal(conflict.actual, old, "the newest revision")
        await bucket.update("a", b"newer", old)


@check("K5")
async def an_expiry_with_marker_ttl_is_seen(transport: Transport) -> None:
    """A watcher receives an `expire` marker with a revision of its own; it is what is left of the key."""
    async with fresh_bucket(transport, marker_ttl=LONG) as bucket, bucket.watch() as watch:
        revision = await bucket.put("a", b"1", ttl=SHORTEST)
        put, expired = await collect(watch, 2, "the value and its expiry")
        expect_equal((put.change, put.revision), ("put", revision), "change and revision of the value")
        seen = (expired.key, expired.value, expired.change)
        expect_equal(seen, ("a", b"", "expire"), "key, value and change of the marker")
        expect(expired.revision > revision, f"marker's revision {expired.revision} after {revision}")
        expect_equal([entry.change for entry in await bucket.history("a")], ["expire"], "history")
        expect_equal(await bucket.get("a"), None, "get of an expired key")
        expect_equal(await bucket.keys(), [], "keys")


@check("K5")
async def an_expiry_without_marker_ttl_is_not_seen(transport: Transport) -> None:
    """A watcher receives nothing when a value expires, and goes on with the next change."""
    async with fresh_bucket(transport) as bucket, bucket.watch() as watch:
        await bucket.put("a", b"1", ttl=SHORTEST)
        await collect(watch, 1, "the value")
        await _gone(bucket, "a")
        await silence(watch, "an expiry without a marker")
        revision = await bucket.put("b", b"2")
        expect_equal([e.revision for e in await collect(watch, 1, "the next change")], [revision], "next change")


@check("K5")
async def a_watch_does_not_begin_with_what_has_expired(transport: Transport) -> None:
    """The first set of a watch has only what is there."""
    async with fresh_bucket(transport) as bucket:
        await bucket.put("a", b"1", ttl=SHORTEST)
        await bucket.put("b", b"1")
        await _gone(bucket, "a")
        async with bucket.watch() as watch:
            expect_equal([entry.key for entry in await collect(watch, 1, "the first set")], ["b"], "first set")
            expect(watch.caught_up, "caught_up should be true after the one entry that is left")


@check("K2")
async def create_succeeds_after_an_expiry(transport: Transport) -> None:
    """An expired key can be created, whether its expiry left a marker or not."""
    for marker_ttl in (0, LONG):
        async with fresh_bucket(transport, marker_ttl=marker_ttl) as bucket:
            await bucket.create("a", b"1", ttl=SHORTEST)
            await _gone(bucket, "a")
            await bucket.create("a", b"2")
            expect_equal(await value_of(bucket, "a"), b"2", f"value created with a marker_ttl of {marker_ttl}")


@check("K3")
async def after_an_unmarked_expiry_the_newest_revision_is_zero(transport: Transport) -> None:
    """The expired revision is refused and 0 is taken: nothing is left to compare with."""
    async with fresh_bucket(transport) as bucket:
        expired = await bucket.put("a", b"1", ttl=SHORTEST)
        await _gone(bucket, "a")
        conflict = await refusal(ConflictError, bucket.update("a", b"lost", expired), "update of an expired revision")
        expect_equal(conflict.actual, 0, "the newest revision of an expired key")
        await bucket.update("a", b"2", 0)
        expect_equal(await value_of(bucket, "a"), b"2", "the value after an update of 0")


@check("K3")
async def after_a_marked_expiry_the_newest_revision_is_the_marker(transport: Transport) -> None:
    """Neither 0 nor the expired revision is taken, only the marker's."""
    async with fresh_bucket(transport, marker_ttl=LONG) as bucket:
        expired = await bucket.put("a", b"1", ttl=SHORTEST)
        await _gone(bucket, "a")
        for stale in (0, expired):
            await refusal(ConflictError, bucket.update("a", b"lost", stale), f"update over {stale} of a marked expiry")
        marker = (await bucket.history("a"))[-1]
        await bucket.update("a", b"2", marker.revision)
        expect_equal(await value_of(bucket, "a"), b"2", "the value after an update of the marker")


@check("K4")
async def a_purge_marker_lives_as_long_as_it_was_told(transport: Transport) -> None:
    """The marker of a purge with a TTL goes, and the key is as if it had never been."""
    async with fresh_bucket(transport) as bucket:
        await bucket.put("a", b"1")
        await bucket.purge("a", ttl=SHORTEST)
        await until(lambda: bucket.history("a"), lambda kept: not kept, "the end of a purge marker")
        await bucket.update("a", b"2", 0)


async def _gone(bucket: KeyValue, key: str) -> None:
    """Wait until a key has no value, and for whatever else its expiry brings about."""
    await until(lambda: bucket.get(key), lambda entry: entry is None, f"the expiry of `{key}`")
    if bucket.config.marker_ttl:
        await until(lambda: bucket.history(key), bool, f"the marker of `{key}`")
