"""S1 to S4, and S8: what a stream keeps, and what it does not. `schedules` has S5, `dead_letters` S6 and S7."""

# ruff: noqa: D401 - the docstring of a check is the sentence that it proves

from __future__ import annotations

from typing import TYPE_CHECKING

from osapi.conformance.check import check, expect, expect_equal, refusal
from osapi.conformance.ground import collect, concurrently, fresh_stream, on, publish, silence, until
from osapi.errors import InvalidSubjectError, LimitReachedError, OsapiError
from osapi.transport import ConsumerConfig, Outgoing

if TYPE_CHECKING:
    from osapi.transport import Stream, Transport

# The shortest TTL that JetStream has, for a message; an age and a window of the same length go with it.
SHORTEST = 1


@check("S1")
async def sequences_grow_by_one(transport: Transport) -> None:
    """Each stored message has the sequence after the last one, whatever its subject, also after a purge."""
    async with fresh_stream(transport) as stream:
        first = (await stream.publish(on(stream, "a"), b"1")).sequence
        seen = [(await stream.publish(on(stream, subject), b"x")).sequence for subject in ("b", "a", "c.d")]
        await stream.purge()
        seen.append((await stream.publish(on(stream, "a"), b"x")).sequence)
        expect_equal(seen, [*range(first + 1, first + 5)], f"sequences after the first, {first}")
        expect_equal((await stream.info()).last_sequence, first + 4, "last_sequence")


@check("S1")
async def concurrent_publishes_get_sequences_of_their_own(transport: Transport) -> None:
    """No two messages share a sequence, and none is left out."""
    async with fresh_stream(transport) as stream:
        receipts = await concurrently(stream.publish(on(stream, f"s{n}"), b"%d" % n) for n in range(20))
        sequences = sorted(receipt.sequence for receipt in receipts)
        expect_equal(sequences, [*range(sequences[0], sequences[0] + 20)], "sequences of 20 publishes")


@check("S1")
async def a_message_is_kept_as_it_was_published(transport: Transport) -> None:
    """Reading by sequence and by subject give the subject, bytes and headers; what is not kept is None."""
    async with fresh_stream(transport) as stream:
        payload = bytes(range(256))
        receipt = await stream.publish(on(stream, "a"), payload, headers={"X-Name": "a value: 1", "x-other": "2"})
        empty = await stream.publish(on(stream, "a"), b"")
        expect_equal(receipt.duplicate, False, "duplicate")
        message = await stream.get(receipt.sequence)
        if message is not None:
            seen = (message.subject, message.payload, message.sequence)
            expect_equal(seen, (on(stream, "a"), payload, receipt.sequence), "subject, payload, sequence")
            headers = (message.headers.get("X-Name"), message.headers.get("x-other"))
            expect_equal(headers, ("a value: 1", "2"), "headers")
            expect(abs(message.created - transport.now()) < 60, f"created {message.created}, now {transport.now()}")
        expect(message is not None, "get of the receipt's sequence gave None")
        last = await stream.last(on(stream, "a"))
        expect(last is not None and last.payload == b"", f"last gave {last}")
        expect_equal(await stream.get(empty.sequence + 1), None, "get of a sequence not yet used")
        expect_equal(await stream.last(on(stream, "b")), None, "last of a subject without messages")


@check("S1")
async def last_is_the_newest_that_matches(transport: Transport) -> None:
    """A pattern finds the highest sequence among its subjects."""
    async with fresh_stream(transport) as stream:
        for subject in ("a.1", "a.2", "a.1", "b.1", "a"):
            await stream.publish(on(stream, subject), subject.encode())
        for pattern, wanted in (("a.*", "a.1"), ("a.2", "a.2"), ("*.1", "b.1"), (">", "a")):
            message = await stream.last(on(stream, pattern))
            expect_equal(message and message.payload, wanted.encode(), f"last of {pattern}")


@check("S1")
async def purge_removes_what_matches(transport: Transport) -> None:
    """It says how many it removed; what does not match stays, with its sequence."""
    async with fresh_stream(transport) as stream:
        receipts = [await stream.publish(on(stream, subject), b"x") for subject in ("a.1", "b.1", "a.2", "a.1")]
        expect_equal(await stream.purge(on(stream, "a.1")), 2, "messages purged from one subject")
        expect_equal(await stream.purge(on(stream, "a.>")), 1, "messages purged by a pattern")
        expect_equal(await stream.purge(on(stream, "a.>")), 0, "messages purged once more")
        kept = [await stream.get(receipt.sequence) is not None for receipt in receipts]
        expect_equal(kept, [False, True, False, False], "which of four messages are kept")
        expect_equal((await stream.info()).messages, 1, "messages of info")


@check("S1")
async def info_counts_what_is_kept(transport: Transport) -> None:
    """Messages, bytes, first and last sequence and consumers are those of now."""
    async with fresh_stream(transport) as stream:
        empty = await stream.info()
        expect_equal((empty.messages, empty.consumers), (0, 0), "messages and consumers of a new stream")
        await publish(stream, 3)
        await stream.consumer(ConsumerConfig(name="consumer"))
        info = await stream.info()
        expect_equal((info.messages, info.consumers), (3, 1), "messages and consumers")
        expect_equal(info.last_sequence - info.first_sequence, 2, "last minus first sequence")
        expect(info.bytes > empty.bytes, f"bytes grew from {empty.bytes} to {info.bytes} with three messages")


@check("S2")
async def a_repeated_msg_id_is_not_stored_again(transport: Transport) -> None:
    """It answers with the first sequence, uses none, and the first message stays as it was."""
    async with fresh_stream(transport) as stream:
        first = await stream.publish(on(stream, "a"), b"first", msg_id="one")
        again = await stream.publish(on(stream, "a"), b"again", msg_id="one")
        other = await stream.publish(on(stream, "a"), b"other", msg_id="two")
        expect_equal((first.duplicate, again.duplicate, other.duplicate), (False, True, False), "duplicate")
        expect_equal((again.sequence, other.sequence), (first.sequence, first.sequence + 1), "sequences")
        kept = await stream.get(first.sequence)
        expect_equal(kept and kept.payload, b"first", "the payload of the first")
        expect_equal((await stream.info()).messages, 2, "messages kept")


@check("S2")
async def a_msg_id_is_the_streams_whatever_the_subject(transport: Transport) -> None:
    """The same id on another subject of the stream is a duplicate; in another stream it is not."""
    async with fresh_stream(transport) as stream, fresh_stream(transport) as other:
        first = await stream.publish(on(stream, "a"), b"1", msg_id="one")
        again = await stream.publish(on(stream, "b"), b"2", msg_id="one")
        expect_equal((again.duplicate, again.sequence), (True, first.sequence), "the same id on another subject")
        expect_equal(await stream.last(on(stream, "b")), None, "the message on the other subject")
        elsewhere = await other.publish(on(other, "a"), b"3", msg_id="one")
        expect_equal(elsewhere.duplicate, False, "the same id in another stream")


@check("S2")
async def a_msg_id_outlives_a_purge(transport: Transport) -> None:
    """What was published and purged is still a duplicate, of a message that is no more."""
    async with fresh_stream(transport) as stream:
        first = await stream.publish(on(stream, "a"), b"1", msg_id="one")
        await stream.purge()
        again = await stream.publish(on(stream, "a"), b"2", msg_id="one")
        expect_equal((again.duplicate, again.sequence), (True, first.sequence), "the same id after a purge")
        expect_equal((await stream.info()).messages, 0, "messages kept")


@check("S2")
async def a_msg_id_is_forgotten_after_the_window(transport: Transport) -> None:
    """Once `duplicate_window` has passed it is stored anew; asking in between does not put that off."""
    async with fresh_stream(transport, duplicate_window=SHORTEST) as stream:
        first = await stream.publish(on(stream, "a"), b"1", msg_id="one")
        again = await until(
            lambda: stream.publish(on(stream, "a"), b"2", msg_id="one"),
            lambda receipt: not receipt.duplicate,
            "the end of a duplicate_window of 1 s",
        )
        expect_equal(again.sequence, first.sequence + 1, "the sequence after the window")


@check("S2")
async def concurrent_publishes_of_one_msg_id_store_one(transport: Transport) -> None:
    """All of them answer with the same sequence, and one is not a duplicate."""
    async with fresh_stream(transport) as stream:
        receipts = await concurrently(stream.publish(on(stream, "a"), b"%d" % n, msg_id="one") for n in range(10))
        expect_equal({receipt.sequence for receipt in receipts}, {receipts[0].sequence}, "sequences")
        expect_equal(sum(not receipt.duplicate for receipt in receipts), 1, "receipts that are no duplicates")
        expect_equal((await stream.info()).messages, 1, "messages kept")


@check("S3")
async def max_age_removes_a_message_everywhere(transport: Transport) -> None:
    """Neither a look-up nor a consumer that never saw it finds it."""
    async with fresh_stream(transport, max_age=SHORTEST, duplicate_window=SHORTEST) as stream:
        consumer = await stream.consumer(ConsumerConfig(name="consumer"))
        receipt = await stream.publish(on(stream, "a"), b"old")
        await _gone(stream, receipt.sequence)
        expect_equal(await stream.last(on(stream, "a")), None, "last of an aged subject")
        expect_equal((await stream.info()).messages, 0, "messages kept")
        async with consumer.pull() as pull:
            pull.request(1)
            await silence(pull, "a consumer of an aged message")
            await stream.publish(on(stream, "a"), b"new")
            expect_equal([d.payload for d in await collect(pull, 1, "the next")], [b"new"], "the next message")


@check("S3")
async def a_message_is_gone_when_its_ttl_has_passed(transport: Transport) -> None:
    """Its own TTL removes it for look-ups and for consumers; its neighbours stay."""
    async with fresh_stream(transport) as stream:
        consumer = await stream.consumer(ConsumerConfig(name="consumer"))
        await stream.publish(on(stream, "a"), b"stays")
        receipt = await stream.publish(on(stream, "a"), b"expires", ttl=SHORTEST)
        await stream.publish(on(stream, "b"), b"stays too", ttl=3600)
        expect(await stream.get(receipt.sequence) is not None, "a message within its TTL is not there")
        await _gone(stream, receipt.sequence)
        last = await stream.last(on(stream, "a"))
        expect_equal(last and last.payload, b"stays", "the newest message that is left on the subject")
        async with consumer.pull() as pull:
            pull.request(3)
            payloads = [delivery.payload for delivery in await collect(pull, 2, "what is left")]
            expect_equal(payloads, [b"stays", b"stays too"], "what a consumer receives")
            await silence(pull, "an expired message")


@check("S3")
async def an_expired_message_gives_its_slot_back(transport: Transport) -> None:
    """A message that expires unanswered does not count against `max_ack_pending` any more."""
    async with fresh_stream(transport) as stream:
        consumer = await stream.consumer(ConsumerConfig(name="consumer", max_ack_pending=1))
        await stream.publish(on(stream, "a"), b"expires", ttl=SHORTEST)
        await stream.publish(on(stream, "a"), b"next")
        async with consumer.pull() as pull:
            pull.request(2)
            expect_equal([d.payload for d in await collect(pull, 1, "the first")], [b"expires"], "the first")
            expect_equal([d.payload for d in await collect(pull, 1, "the next")], [b"next"], "the next")
            expect_equal((await consumer.info()).ack_pending, 1, "unanswered messages")


@check("S3")
async def an_expired_message_is_not_delivered_again(transport: Transport) -> None:
    """A message that expires unanswered does not come back after `ack_wait`, nor is it counted."""
    async with fresh_stream(transport) as stream:
        consumer = await stream.consumer(ConsumerConfig(name="consumer", ack_wait=SHORTEST))
        receipt = await stream.publish(on(stream, "a"), b"expires", ttl=SHORTEST)
        async with consumer.pull() as pull:
            pull.request(1)
            await collect(pull, 1, "the message")
            await _gone(stream, receipt.sequence)
            pull.request(1)
            await silence(pull, "an expired message", 2 * SHORTEST)
        await until(consumer.info, lambda info: info.ack_pending == 0, "an expired message is not pending")


@check("S4")
async def old_messages_make_room_for_new_ones(transport: Transport) -> None:
    """With `discard` "old" the newest that fit the limit are kept."""
    async with fresh_stream(transport, max_msgs=3) as stream:
        await publish(stream, 5)
        info = await stream.info()
        expect_equal((info.messages, info.last_sequence - info.first_sequence), (3, 2), "messages and their span")
        expect_equal([await stream.get(info.first_sequence - 1)], [None], "the message before the first")
    async with fresh_stream(transport, max_bytes=5000) as stream:
        receipts = [await stream.publish(on(stream, "a"), b"x" * 1000) for _ in range(10)]
        kept = [await stream.get(receipt.sequence) is not None for receipt in receipts]
        expect((await stream.info()).bytes <= 5000, "a stream of 5,000 bytes holds more")
        expect(not kept[0] and kept[-1] and kept == sorted(kept), f"of ten messages are kept {kept}")
        before = await stream.info()
        call = stream.publish(on(stream, "a"), b"x" * 5000)
        await refusal(LimitReachedError, call, "a message that is larger than the stream may be")
        expect_equal(await stream.info(), before, "the stream after a message that is larger than it may be")


@check("S4")
async def old_messages_of_a_subject_make_room_on_it(transport: Transport) -> None:
    """`max_msgs_per_subject` counts each subject for itself."""
    async with fresh_stream(transport, max_msgs_per_subject=2) as stream:
        for subject in ("a", "a", "b", "a", "a"):
            newest = await stream.publish(on(stream, subject), b"x")
        kept = [await stream.get(newest.sequence - back) is not None for back in (4, 3, 2, 1, 0)]
        expect_equal(kept, [False, False, True, True, True], "which of five messages are kept")


@check("S4")
async def a_full_stream_refuses(transport: Transport) -> None:
    """With `discard` "new" a message beyond `max_msgs` or `max_bytes` is refused until there is room."""
    for limit in ({"max_msgs": 4}, {"max_bytes": 5000}):
        async with fresh_stream(transport, discard="new", **limit) as stream:
            for number in range(4):
                await stream.publish(on(stream, "a"), b"x" * 1000, msg_id=str(number))
            before = await stream.info()
            call = stream.publish(on(stream, "b"), b"x" * 1000, msg_id="refused")
            await refusal(LimitReachedError, call, f"a message beyond {limit}")
            after = await stream.info()
            seen = (after.messages, after.first_sequence, after.last_sequence)
            expect_equal(seen, (4, before.first_sequence, before.last_sequence), "what is kept after a refusal")
            await stream.purge()
            receipt = await stream.publish(on(stream, "b"), b"x" * 1000, msg_id="refused")
            expect_equal(receipt.duplicate, False, "duplicate of a message that was refused before")


@check("S4")
async def a_full_subject_refuses(transport: Transport) -> None:
    """With `discard` "new" a message beyond `max_msgs_per_subject` is refused; other subjects have room."""
    async with fresh_stream(transport, discard="new", max_msgs_per_subject=1) as stream:
        await stream.publish(on(stream, "a"), b"kept")
        call = stream.publish(on(stream, "a"), b"refused")
        await refusal(LimitReachedError, call, "a message beyond max_msgs_per_subject")
        await stream.publish(on(stream, "b"), b"kept")
        last = await stream.last(on(stream, "a"))
        expect_equal(last and last.payload, b"kept", "the message on the full subject")


async def _gone(stream: Stream, sequence: int) -> None:
    await until(lambda: stream.get(sequence), lambda message: message is None, f"the expiry of message {sequence}")


@check("S8")
async def messages_published_together_stand_each_for_itself(transport: Transport) -> None:
    """Each is stored or refused as `publish` would have it, and each answer is in its place."""
    async with fresh_stream(transport) as stream:
        first = await stream.publish(on(stream, "a"), b"1", msg_id="first")
        messages = [
            Outgoing(on(stream, "a"), b"2", {"X-Name": "two"}),
            Outgoing("elsewhere", b"2"),
            Outgoing(on(stream, "a"), b"2", msg_id="first"),
            Outgoing(on(stream, "b"), b"3", msg_id="another", ttl=3600),
        ]
        answers = await stream.publish_many(messages)
        seen = [
            type(answer) if isinstance(answer, OsapiError) else (answer.sequence - first.sequence, answer.duplicate)
            for answer in answers
        ]
        expect_equal(seen[1:3], [InvalidSubjectError, (0, True)], "the answers to what is not of the stream, and known")
        expect_equal(sorted(map(str, (seen[0], seen[3]))), ["(1, False)", "(2, False)"], "the receipts of the others")
        for message, answer in zip(messages, answers, strict=True):
            if not isinstance(answer, OsapiError) and not answer.duplicate:
                kept = await stream.get(answer.sequence)
                told = kept and (kept.subject, kept.payload, kept.headers.get("X-Name"))
                wanted = message.subject, message.payload, (message.headers or {}).get("X-Name")
                expect_equal(told, wanted, f"what is kept under {answer.sequence}")
        expect_equal((await stream.info()).messages, 3, "messages")
        expect_equal(await stream.publish_many([]), [], "no messages at all")


@check("S8")
async def many_messages_at_once_are_stored(transport: Transport) -> None:
    """A thousand messages have sequences of their own, and nothing lies between them."""
    async with fresh_stream(transport, storage="memory") as stream:
        answers = await stream.publish_many([Outgoing(on(stream, f"s{n}"), b"%d" % n) for n in range(1000)])
        sequences = sorted(answer.sequence for answer in answers if not isinstance(answer, OsapiError))
        expect_equal(sequences, [*range(sequences[0], sequences[0] + 1000)], "sequences of 1,000 messages")
        last = await stream.last(on(stream, "s999"))
        expect_equal(last and last.payload, b"999", "one of them")
