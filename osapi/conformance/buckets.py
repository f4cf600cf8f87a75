"""K1, K4, K6 and K9: what a bucket does with writes. `comparisons` has K2 and K3, `expiry` K5, `watches` K7."""

# ruff: noqa: D401 - the docstring of a check is the sentence that it proves

from __future__ import annotations

from typing import TYPE_CHECKING

from osapi.conformance.check import ConformanceError, check, expect, expect_equal, refusal
from osapi.conformance.ground import concurrently, fresh_bucket, value_of
from osapi.errors import ConflictError, InvalidKeyError, LimitReachedError, OsapiError
from osapi.transport import Write

if TYPE_CHECKING:
    from osapi.transport import KeyValue, Transport


@check("K1")
async def revisions_belong_to_the_bucket(transport: Transport) -> None:
    """Every write of any key, and every marker, takes the next revision of the bucket."""
    async with fresh_bucket(transport, history=5) as bucket:
        first = await bucket.put("a", b"1")
        seen = [
            await bucket.put("b", b"2"),
            await bucket.put("a", b"3"),
            await bucket.create("c", b"4"),
            await bucket.update("a", b"5", first + 2),
            await bucket.delete("b"),
            await bucket.purge("a"),
            await bucket.put("b", b"6"),
        ]
        expect_equal(seen, [*range(first + 1, first + 8)], f"revisions after the first, {first}")


@check("K1")
async def refused_writes_use_no_revision(transport: Transport) -> None:
    """A write that loses its comparison leaves the next revision to the next write."""
    async with fresh_bucket(transport) as bucket:
        revision = await bucket.put("a", b"1")
        await refusal(ConflictError, bucket.create("a", b"2"), "create over a value")
        await refusal(ConflictError, bucket.update("a", b"2", revision + 7), "update over another revision")
        await refusal(ConflictError, bucket.delete("a", revision=revision + 7), "delete of another revision")
        expect_equal(await bucket.put("b", b"3"), revision + 1, "the revision after three refusals")


@check("K1")
async def readers_show_the_revision_of_the_write(transport: Transport) -> None:
    """All ways of reading name the revision that the write returned, and info names the newest."""
    async with fresh_bucket(transport, history=3) as bucket:
        one, two, three = await bucket.put("a", b"1"), await bucket.put("b", b"2"), await bucket.put("a", b"3")
        newest, other = await bucket.get("a"), await bucket.get("b")
        expect(newest is not None and newest.revision == three, f"get of revision {three} gave {newest}")
        expect(newest is not None and newest.value == b"3", f"get of revision {three} gave {newest}")
        expect(other is not None and other.revision == two, f"get of revision {two} gave {other}")
        expect_equal([entry.revision for entry in await bucket.history("a")], [one, three], "history of `a`")
        info = await bucket.info()
        expect_equal((info.revision, info.keys, info.values), (three, 2, 3), "revision, keys and values of info")


@check("K1")
async def get_many_keeps_the_order_asked(transport: Transport) -> None:
    """One call for many keys answers for each in its place, with the revision and value that `get` gives."""
    async with fresh_bucket(transport) as bucket:
        one, two = await bucket.put("a", b"1"), await bucket.put("b", b"2")
        await bucket.put("gone", b"3")
        await bucket.delete("gone")
        answers = await bucket.get_many(["b", "missing", "a", "gone", "b"])
        seen = [answer and (answer.key, answer.value, answer.revision) for answer in answers]
        expect_equal(seen, [("b", b"2", two), None, ("a", b"1", one), None, ("b", b"2", two)], "get_many")
        expect_equal(await bucket.get_many([]), [], "get_many of nothing")


@check("K1")
async def get_many_has_no_largest_number_of_keys(transport: Transport) -> None:
    """More keys than one request to a broker can name (1,024 for NATS) are read all the same."""
    async with fresh_bucket(transport, storage="memory") as bucket:
        keys = [f"key.{number}" for number in range(1100)]
        await concurrently(bucket.put(key, key.encode()) for key in keys)
        answers = await bucket.get_many(keys)
        expect_equal([answer.value.decode() if answer else None for answer in answers], keys, "1,100 keys at once")


@check("K1")
async def concurrent_writers_get_revisions_of_their_own(transport: Transport) -> None:
    """No two writes share a revision, and none is left out."""
    async with fresh_bucket(transport) as bucket:
        start = await bucket.put("a", b"0")
        revisions = await concurrently(bucket.put(f"k{number % 3}", b"x") for number in range(20))
        expect_equal(sorted(revisions), [*range(start + 1, start + 21)], "revisions of 20 concurrent writes")


@check("K9")
async def writes_made_together_stand_each_for_itself(transport: Transport) -> None:
    """Each is stored or refused as `create`, `put` and `update` would have it, and each answer is in its place."""
    async with fresh_bucket(transport) as bucket:
        old = await bucket.put("old", b"1")
        await bucket.put("taken", b"1")
        await bucket.put("whatever", b"1")
        await bucket.put("gone", b"1")
        await bucket.delete("gone")
        writes = [
            Write("new", b"2"),
            Write("taken", b"2"),
            Write("old", b"2", old),
            Write("gone", b"2"),
            Write("not a key", b"2"),
            Write("never", b"2", old),
            Write("kept", b"2", 0, 3600),
            Write("whatever", b"2", None),
        ]
        answers = await bucket.write_many(writes)
        refused = [type(answer) if isinstance(answer, OsapiError) else None for answer in answers]
        wanted = [None, ConflictError, None, None, InvalidKeyError, ConflictError, None, None]
        expect_equal(refused, wanted, "what is refused of eight writes")
        for write, answer in zip(writes, answers, strict=True):
            if isinstance(answer, int):
                entry = await bucket.get(write.key)
                expect_equal(entry and (entry.value, entry.revision), (b"2", answer), f"what lies under {write.key}")
        taken = await bucket.get("taken")
        expect_equal(taken and taken.value, b"1", "what was there already")
        expect_equal(await bucket.write_many([]), [], "no writes at all")


@check("K9")
async def many_writes_at_once_are_made(transport: Transport) -> None:
    """A thousand writes are stored under revisions of their own; made again, all are refused."""
    async with fresh_bucket(transport, storage="memory") as bucket:
        writes = [Write(f"key.{number}", b"%d" % number) for number in range(1000)]
        revisions = await bucket.write_many(writes)
        expect_equal(len({revision for revision in revisions if isinstance(revision, int)}), 1000, "revisions")
        again = await bucket.write_many(writes[:10])
        expect_equal([type(answer) for answer in again], [ConflictError] * 10, "ten of the same again")


@check("K4")
async def delete_keeps_the_history_and_adds_a_marker(transport: Transport) -> None:
    """The kept revisions of a deleted key are its values and then the marker, oldest first."""
    async with fresh_bucket(transport, history=4) as bucket:
        await bucket.put("a", b"1")
        await bucket.put("a", b"2")
        marker = await bucket.delete("a")
        expect_equal(await _story(bucket, "a"), [(b"1", "put"), (b"2", "put"), (b"", "delete")], "history")
        expect_equal((await bucket.history("a"))[-1].revision, marker, "the revision of the delete marker")


@check("K4")
async def purge_drops_the_history_and_leaves_one_marker(transport: Transport) -> None:
    """All that is kept of a purged key is the marker; other keys are not touched."""
    async with fresh_bucket(transport, history=4) as bucket:
        await bucket.put("a", b"1")
        await bucket.put("b", b"1")
        await bucket.put("a", b"2")
        marker = await bucket.purge("a")
        expect_equal(await _story(bucket, "a"), [(b"", "purge")], "history of the purged key")
        expect_equal(await _story(bucket, "b"), [(b"1", "put")], "history of the other key")
        expect_equal((await bucket.history("a"))[-1].revision, marker, "the revision of the purge marker")


@check("K4")
async def removals_work_on_keys_that_never_were(transport: Transport) -> None:
    """Deleting or purging a key without a past leaves a marker and is no error."""
    async with fresh_bucket(transport) as bucket:
        await bucket.delete("a")
        await bucket.purge("b")
        expect_equal(await _story(bucket, "a"), [(b"", "delete")], "history after a delete")
        expect_equal(await _story(bucket, "b"), [(b"", "purge")], "history after a purge")
        expect_equal(await bucket.history("c"), [], "history of a key never named")


@check("K4")
async def removed_keys_have_no_value(transport: Transport) -> None:
    """No way of reading values shows a removed key, though its marker has the newest revision."""
    async with fresh_bucket(transport, history=4) as bucket:
        for key in ("kept", "deleted", "purged"):
            await bucket.put(key, b"1")
        await bucket.delete("deleted")
        await bucket.purge("purged")
        expect_equal([await value_of(bucket, key) for key in ("deleted", "purged")], [None, None], "get")
        expect_equal(await bucket.get_many(["deleted", "purged"]), [None, None], "get_many")
        expect_equal(await bucket.keys(), ["kept"], "keys")


@check("K4")
async def an_empty_value_is_no_marker(transport: Transport) -> None:
    """A key whose value has no bytes has a value."""
    async with fresh_bucket(transport) as bucket:
        await bucket.put("a", b"")
        expect_equal(await value_of(bucket, "a"), b"", "an empty value")
        expect_equal(await bucket.keys(), ["a"], "keys")
        await refusal(ConflictError, bucket.create("a", b"x"), "create over an empty value")


@check("K4")
async def history_keeps_as_many_revisions_as_the_bucket_says(transport: Transport) -> None:
    """Beyond the bucket's `history` the oldest revisions of a key go, markers counting as one."""
    async with fresh_bucket(transport, history=2) as bucket:
        for value in (b"1", b"2", b"3"):
            await bucket.put("a", value)
        expect_equal(await _story(bucket, "a"), [(b"2", "put"), (b"3", "put")], "history")
        await bucket.delete("a")
        expect_equal(await _story(bucket, "a"), [(b"3", "put"), (b"", "delete")], "history after a delete")


@check("K4")
async def keys_match_whole_tokens(transport: Transport) -> None:
    """`*` stands for one token and a final `>` for one or more, never for a part of one."""
    async with fresh_bucket(transport) as bucket:
        for key in ("a", "a.b", "a.bc", "a.b.c", "x.b", "A.b"):
            await bucket.put(key, b"1")
        for pattern, wanted in (
            (">", ["A.b", "a", "a.b", "a.b.c", "a.bc", "x.b"]),
            ("a.>", ["a.b", "a.b.c", "a.bc"]),
            ("a.*", ["a.b", "a.bc"]),
            ("*.b", ["A.b", "a.b", "x.b"]),
            ("*.b.>", ["a.b.c"]),
            ("a.b", ["a.b"]),
            ("b", []),
        ):
            expect_equal(sorted(await bucket.keys(pattern)), wanted, f"keys that match {pattern}")


@check("K6")
async def a_full_bucket_refuses_new_keys(transport: Transport) -> None:
    """Beyond `max_bytes` a new key is refused and nothing of it is kept."""
    async with fresh_bucket(transport, max_bytes=8000) as bucket:
        full = await _fill(bucket)
        before = await bucket.info()
        await refusal(LimitReachedError, bucket.create("another", b"x" * 1000), "create in a full bucket")
        expect_equal(await bucket.get_many([full, "another"]), [None, None], "the refused keys")
        expect_equal((await bucket.info()).revision, before.revision, "the newest revision after a refusal")


@check("K6")
async def a_full_bucket_takes_overwriting_and_markers(transport: Transport) -> None:
    """What takes the place of a value still fits into a full bucket, and what it frees can be used again."""
    async with fresh_bucket(transport, max_bytes=8000) as bucket:
        full = await _fill(bucket)
        revision = await bucket.put("k0", b"y" * 1000)
        # JetStream keeps the expected revision with the value, as a header, so the same size would not fit.
        await bucket.update("k0", b"z" * 800, revision)
        expect_equal(await value_of(bucket, "k0"), b"z" * 800, "the overwritten value")
        await bucket.delete("k1")
        await bucket.purge("k2")
        expect_equal(await bucket.get_many(["k1", "k2"]), [None, None], "the removed values")
        await bucket.put(full, b"x" * 1000)


async def _fill(bucket: KeyValue) -> str:
    """Put values of 1,000 bytes into a bucket of 8,000 until one is refused, and return its key."""
    for number in range(9):
        try:
            await bucket.put(f"k{number}", b"x" * 1000)
        except LimitReachedError:
            expect(number >= 4, f"a bucket of 8,000 bytes refused value {number + 1} of 1,000 bytes")
            return f"k{number}"
    raise ConformanceError("a bucket of 8,000 bytes took nine values of 1,000 bytes")


async def _story(bucket: KeyValue, key: str) -> list[tuple[bytes, str]]:
    return [(entry.value, entry.change) for entry in await bucket.history(key)]
