"""K7 and K8: the changes of a bucket as a watch shows them."""

# ruff: noqa: D401 - the docstring of a check is the sentence that it proves

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from osapi.conformance.check import check, expect, expect_equal, refusal
from osapi.conformance.ground import bounded, collect, concurrently, fresh_bucket, silence
from osapi.errors import ClosedError, ConflictError

if TYPE_CHECKING:
    from osapi.transport import Entry, Transport, Watch


@check("K7")
async def the_first_set_is_the_newest_of_each_key_by_revision(transport: Transport) -> None:
    """A watch begins with one entry per key, in order of revision, whatever the keys and the history."""
    async with fresh_bucket(transport, history=5) as bucket:
        for key in ("b", "a", "c", "b"):
            revision = await bucket.put(key, key.encode())
        async with bucket.watch() as watch:
            seen = [(entry.key, entry.revision) for entry in await _first_set(watch, 3)]
        expect_equal(seen, [("a", revision - 2), ("c", revision - 1), ("b", revision)], "the first set")


@check("K7")
async def the_first_set_has_markers(transport: Transport) -> None:
    """The newest entry of a removed key is its marker."""
    async with fresh_bucket(transport) as bucket:
        await bucket.put("a", b"1")
        await bucket.put("b", b"1")
        await bucket.delete("a")
        await bucket.purge("c")
        async with bucket.watch() as watch:
            seen = [(entry.key, entry.change) for entry in await _first_set(watch, 3)]
        expect_equal(seen, [("b", "put"), ("a", "delete"), ("c", "purge")], "the first set")


@check("K7")
async def caught_up_turns_true_with_the_end_of_the_first_set(transport: Transport) -> None:
    """It is false until the first set was received, and no batch goes beyond it."""
    async with fresh_bucket(transport) as bucket:
        for number in range(30):
            await bucket.put(f"k{number}", b"1")
        async with bucket.watch() as watch:
            await bucket.put("later", b"1")
            first = await _first_set(watch, 30)
            expect("later" not in {entry.key for entry in first}, "a later change came as part of the first set")
            expect_equal([entry.key for entry in await collect(watch, 1, "the change")], ["later"], "next change")
            expect(watch.caught_up, "caught_up is false again")


@check("K7")
async def an_empty_first_set_is_caught_up_at_once(transport: Transport) -> None:
    """Where nothing matches, and where only new changes are wanted, there is nothing to catch up with."""
    async with fresh_bucket(transport) as bucket:
        async with bucket.watch() as watch:
            expect(watch.caught_up, "caught_up is false in an empty bucket")
        await bucket.put("a.b", b"1")
        async with bucket.watch("x.>") as watch:
            expect(watch.caught_up, "caught_up is false though no key matches")
        async with bucket.watch(start="new") as watch:
            expect(watch.caught_up, "caught_up is false though only new changes are wanted")


@check("K7")
async def every_change_comes_once_and_in_order(transport: Transport) -> None:
    """Every write of every writer, markers included, is received by revision, none twice, none left out."""
    async with fresh_bucket(transport) as bucket, bucket.watch() as watch:
        revisions: list[int] = []
        for round_ in range(5):
            revisions += await concurrently(bucket.put(f"k{key}", b"%d" % round_) for key in range(6))
            revisions += [await bucket.delete("k0"), await bucket.purge("k1")]
        seen = await collect(watch, 40, "40 changes")
        expect_equal([entry.revision for entry in seen], sorted(revisions), "revisions of 40 changes")
        await silence(watch, "after all changes")


@check("K7")
async def a_change_is_told_as_it_was(transport: Transport) -> None:
    """Each entry has the key, value, kind and revision of its write."""
    async with fresh_bucket(transport, history=3) as bucket, bucket.watch() as watch:
        first = await bucket.put("a.b", b"1")
        await bucket.update("a.b", b"", first)
        await bucket.delete("a.b")
        await bucket.purge("a.b")
        await refusal(ConflictError, bucket.update("a.b", b"lost", first), "a stale update")
        await bucket.create("a.b", b"2")
        seen = [(e.key, e.value, e.change, e.revision - first) for e in await collect(watch, 5, "five changes")]
        wanted = [(b"1", "put"), (b"", "put"), (b"", "delete"), (b"", "purge"), (b"2", "put")]
        expect_equal(seen, [("a.b", *change, number) for number, change in enumerate(wanted)], "changes")


@check("K7")
async def a_key_that_changes_meanwhile_comes_at_least_as_changed(transport: Transport) -> None:
    """What is written while the first set is read is never missed, and never comes before what it replaced."""
    async with fresh_bucket(transport) as bucket:
        for number in range(20):
            await bucket.put(f"k{number}", b"old")
        async with bucket.watch() as watch, trio.open_nursery() as nursery:

            async def overwrite() -> None:
                for number in range(20):
                    await bucket.put(f"k{number}", b"new")

            nursery.start_soon(overwrite)
            story: dict[str, list[bytes]] = {}
            with bounded("twenty keys that change while they are read"):
                while sum(values[-1] == b"new" for values in story.values()) < 20:
                    for entry in await watch.receive():
                        story.setdefault(entry.key, []).append(entry.value)
        for key, values in story.items():
            expect(values in ([b"old", b"new"], [b"new"]), f"`{key}` was seen as {values}")


@check("K7")
async def a_watch_shows_only_what_matches(transport: Transport) -> None:
    """Several patterns make one watch, of their keys and no others, in order of revision."""
    async with fresh_bucket(transport) as bucket:
        for key in ("x.1", "a.1", "b.1.2", "b", "a"):
            await bucket.put(key, b"1")
        async with bucket.watch("a.*", "b.>") as watch:
            expect_equal([e.key for e in await _first_set(watch, 2)], ["a.1", "b.1.2"], "the first set")
            for key in ("x.2", "b.2", "a.1.1", "a.2", "b"):
                await bucket.put(key, b"2")
            expect_equal([e.key for e in await collect(watch, 2, "changes")], ["b.2", "a.2"], "changes")
            await silence(watch, "keys that do not match")


@check("K7")
async def a_watch_of_new_changes_leaves_out_the_old(transport: Transport) -> None:
    """`start="new"` begins with the first change after the block was entered."""
    async with fresh_bucket(transport) as bucket:
        await bucket.put("a", b"old")
        async with bucket.watch(start="new") as watch:
            revision = await bucket.put("a", b"new")
            seen = await collect(watch, 1, "the new change")
            expect_equal((seen[0].value, seen[0].revision), (b"new", revision), "value and revision")


@check("K7")
async def watches_do_not_disturb_each_other(transport: Transport) -> None:
    """Each open watch receives every change, whoever has read, left or come late."""
    async with fresh_bucket(transport) as bucket, bucket.watch() as one:
        async with bucket.watch() as short:
            first = await bucket.put("a", b"1")
            await collect(short, 1, "the short watch")
        async with bucket.watch() as late:
            second = await bucket.put("b", b"2")
            for watch in (one, late):
                seen = [entry.revision for entry in await collect(watch, 2, "both changes")]
                expect_equal(seen, [first, second], "revisions")


@check("K7")
async def receive_nowait_does_not_wait(transport: Transport) -> None:
    """It returns what has come, once, and nothing when there is nothing."""
    async with fresh_bucket(transport) as bucket, bucket.watch() as watch:
        expect_equal(list(watch.receive_nowait()), [], "receive_nowait of an unchanged bucket")
        revision = await bucket.put("a", b"1")
        seen: list[Entry] = []
        with bounded("receive_nowait of a change"):
            while not seen:
                seen.extend(watch.receive_nowait())
                await trio.sleep(0.01)
        expect_equal([entry.revision for entry in seen], [revision], "receive_nowait of a change")
        expect_equal(list(watch.receive_nowait()), [], "receive_nowait once more")


@check("K7")
async def leaving_the_block_ends_the_watch(transport: Transport) -> None:
    """A watch whose block has ended raises, and does not wait for ever."""
    async with fresh_bucket(transport) as bucket:
        async with bucket.watch() as watch:
            pass
        with bounded("receive of a closed watch"):
            await refusal(ClosedError, watch.receive(), "receive of a closed watch")


@check("K8")
async def a_watch_goes_on_after_a_revision(transport: Transport) -> None:
    """Started with a revision it gives all that is kept and newer, in order, and then what comes."""
    async with fresh_bucket(transport, history=10) as bucket:
        for key in ("a", "b", "a", "a"):
            newest = await bucket.put(key, b"1")
        async with bucket.watch(start=newest - 3) as watch:
            revisions = [await bucket.delete("b"), await bucket.put("c", b"1")]
            seen = [entry.revision for entry in await collect(watch, 5, "what is newer")]
            expect_equal(seen, [newest - 2, newest - 1, newest, *revisions], "revisions")


@check("K8")
async def a_watch_after_a_revision_skips_only_what_was_overwritten(transport: Transport) -> None:
    """With a history of 1 the newest of each key that changed since is still given."""
    async with fresh_bucket(transport) as bucket:
        for key in ("a", "b", "c", "b", "c"):
            newest = await bucket.put(key, b"1")
        async with bucket.watch("a", "b", "c", start=newest - 3) as watch:
            seen = [entry.revision for entry in await collect(watch, 2, "what is newer")]
            expect_equal(seen, [newest - 1, newest], "revisions")
            await silence(watch, "what is older")


@check("K8")
async def a_watch_after_the_newest_revision_waits_for_the_next(transport: Transport) -> None:
    """What was given before is not given again."""
    async with fresh_bucket(transport) as bucket:
        newest = await bucket.put("a", b"1")
        async with bucket.watch(start=newest) as watch:
            await silence(watch, "an unchanged bucket")
            await bucket.put("a", b"2")
            expect_equal([e.value for e in await collect(watch, 1, "the change")], [b"2"], "next change")


async def _first_set(watch: Watch, count: int) -> list[Entry]:
    """Receive until the watch has caught up, and fail unless that gives so many entries."""
    entries: list[Entry] = []
    expect(not watch.caught_up, "caught_up is true before the first set was received")
    with bounded(f"the first set of {count}"):
        while not watch.caught_up:
            entries.extend(await watch.receive())
    expect(len(entries) == count, f"the first set should have {count} entries, but has {[e.key for e in entries]}")
    return entries
