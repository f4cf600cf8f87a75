"""C1, C2, C6 to C8 and C10: how a consumer shares, selects, starts, changes and ends. `redelivery` has C3 and C4."""

# ruff: noqa: D401 - the docstring of a check is the sentence that it proves

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from osapi.conformance.check import check, expect, expect_equal, refusal
from osapi.conformance.ground import (
    SILENCE,
    collect,
    fresh_consumer,
    fresh_stream,
    next_payloads,
    on,
    publish,
    silence,
    until,
)
from osapi.errors import InvalidInputError, InvalidSettingError, InvalidSubjectError, MismatchError, MissingError
from osapi.transport import ConsumerConfig

if TYPE_CHECKING:
    from osapi.transport import Transport


@check("C1")
async def pulls_of_one_consumer_share_its_messages(transport: Transport) -> None:
    """Every message goes to one of the pulls, also if the consumer was opened by name twice."""
    async with fresh_consumer(transport) as (stream, consumer):
        again = await stream.consumer(consumer.config)
        async with consumer.pull() as one, consumer.pull() as two, again.pull() as three:
            for pull in (one, two, three):
                pull.request(4)
            await until(consumer.info, lambda info: info.waiting >= 3, "three waiting pulls")
            await publish(stream, 12)
            seen = [d.payload for pull in (one, two, three) for d in await collect(pull, 4, "a share")]
            expect_equal(sorted(seen, key=int), [b"%d" % n for n in range(1, 13)], "messages of all pulls")
            for pull in (one, two, three):
                pull.request(1)
                await silence(pull, "a message that another pull has", 0.1)


@check("C1")
async def consumers_of_a_stream_do_not_share(transport: Transport) -> None:
    """Two durable consumers each receive every message, and keep their place apart."""
    async with fresh_stream(transport) as stream:
        one = await stream.consumer(ConsumerConfig(name="one"))
        two = await stream.consumer(ConsumerConfig(name="two"))
        await publish(stream, 3)
        for consumer in (one, two):
            async with consumer.pull() as pull:
                expect_equal(await next_payloads(pull, 3, "all messages"), [b"1", b"2", b"3"], "payloads")
        expect_equal([info.config.name for info in await stream.consumers()], ["one", "two"], "consumers by name")


@check("C1")
async def a_consumer_keeps_its_place(transport: Transport) -> None:
    """It is durable: a later pull, also of the consumer opened anew, goes on where the last one stopped."""
    async with fresh_consumer(transport) as (stream, consumer):
        await publish(stream, 3)
        async with consumer.pull() as pull:
            expect_equal(await next_payloads(pull, 1, "the first"), [b"1"], "the first pull")
        async with consumer.pull() as pull:
            expect_equal(await next_payloads(pull, 1, "the second"), [b"2"], "the second pull")
        again = await stream.consumer(consumer.config)
        async with again.pull() as pull:
            expect_equal(await next_payloads(pull, 1, "the third"), [b"3"], "the consumer opened anew")


@check("C1")
async def info_tells_where_a_consumer_stands(transport: Transport) -> None:
    """What is not yet delivered, unanswered, and delivered again is counted."""
    async with fresh_consumer(transport) as (stream, consumer):
        await publish(stream, 5)
        await until(consumer.info, lambda info: info.pending == 5, "messages not yet delivered")
        async with consumer.pull() as pull:
            pull.request(3)
            first, second, _ = await collect(pull, 3, "three of five")
            info = await consumer.info()
            expect_equal((info.pending, info.ack_pending, info.redelivered), (2, 3, 0), "pending, unanswered, again")
            first.ack()
            await until(consumer.info, lambda info: info.ack_pending == 2, "one answer of three")
            second.nak()
            # An answer is only posted: it has to arrive before the next request.
            await trio.sleep(SILENCE)
            pull.request(1)
            await collect(pull, 1, "a message to be delivered again")
            info = await consumer.info()
            expect_equal((info.pending, info.ack_pending, info.redelivered), (2, 2, 1), "pending, unanswered, again")


@check("C2")
async def waiting_pulls_are_served_in_turn(transport: Transport) -> None:
    """Of three that wait for several messages, each gets every third, not the first of them all."""
    async with (
        fresh_consumer(transport) as (stream, consumer),
        consumer.pull() as one,
        consumer.pull() as two,
        consumer.pull() as three,
    ):
        pulls = (one, two, three)
        for pull in pulls:
            pull.request(4)
        await until(consumer.info, lambda info: info.waiting >= 3, "three waiting pulls")
        await publish(stream, 12)
        turns = [sorted(int(d.payload) for d in await collect(pull, 4, "a fair share")) for pull in pulls]
        expect_equal(sorted(turns), [[1, 4, 7, 10], [2, 5, 8, 11], [3, 6, 9, 12]], "messages of each pull")


@check("C6")
async def deliver_new_starts_at_creation(transport: Transport) -> None:
    """What was there before is not delivered; what comes before the first pull is."""
    async with fresh_stream(transport) as stream:
        await publish(stream, 2)
        consumer = await stream.consumer(ConsumerConfig(name="consumer", deliver="new"))
        expect_equal((await consumer.info()).pending, 0, "messages for a new consumer")
        await stream.publish(on(stream, "a"), b"new")
        async with consumer.pull() as pull:
            expect_equal(await next_payloads(pull, 1, "the new message"), [b"new"], "the first message")


@check("C6")
async def deliver_new_keeps_what_comes_while_nobody_pulls(transport: Transport) -> None:
    """Between two pulls, and when it is opened anew, nothing is lost and nothing starts again."""
    async with fresh_consumer(transport, deliver="new") as (stream, consumer):
        await publish(stream, 1)
        async with consumer.pull() as pull:
            expect_equal(await next_payloads(pull, 1, "the first"), [b"1"], "the first pull")
        await publish(stream, 3)
        again = await stream.consumer(consumer.config)
        async with again.pull() as pull:
            payloads = await next_payloads(pull, 3, "what came while nobody pulled")
            expect_equal(payloads, [b"1", b"2", b"3"], "the second pull")
            pull.request(1)
            await silence(pull, "a message delivered already")


@check("C6")
async def deliver_all_starts_with_the_oldest(transport: Transport) -> None:
    """What was there before the consumer is delivered first."""
    async with fresh_stream(transport) as stream:
        await publish(stream, 2)
        consumer = await stream.consumer(ConsumerConfig(name="consumer"))
        await stream.publish(on(stream, "a"), b"3")
        async with consumer.pull() as pull:
            expect_equal(await next_payloads(pull, 3, "all messages"), [b"1", b"2", b"3"], "payloads")


@check("C7")
async def new_settings_replace_the_old_as_a_whole(transport: Transport) -> None:
    """A setting that is not given again has its default again."""
    async with fresh_stream(transport) as stream:
        only = (on(stream, "a"),)
        first = ConsumerConfig(name="consumer", filters=only, ack_wait=60, max_deliver=3, max_ack_pending=1)
        await stream.consumer(first)
        await publish(stream, 2, "a")
        consumer = await stream.consumer(ConsumerConfig(name="consumer", ack_wait=20))
        config = (await consumer.info()).config
        seen = (config.filters, config.ack_wait, config.max_deliver, config.max_ack_pending)
        expect_equal(seen, ((), 20, -1, 1000), "filters, ack_wait, max_deliver, max_ack_pending")
        expect_equal(len(await stream.consumers()), 1, "consumers of the stream")
        await stream.publish(on(stream, "b"), b"3")
        async with consumer.pull() as pull:
            pull.request(3)
            payloads = [delivery.payload for delivery in await collect(pull, 3, "messages of all subjects")]
            expect_equal(payloads, [b"1", b"2", b"3"], "payloads")


@check("C7")
async def an_open_pull_goes_on_under_new_settings(transport: Transport) -> None:
    """Replacing the filters neither ends a waiting pull nor leaves it with the old ones."""
    async with fresh_stream(transport) as stream:
        consumer = await stream.consumer(ConsumerConfig(name="consumer", filters=(on(stream, "a"),)))
        async with consumer.pull() as pull:
            pull.request(2)
            await until(consumer.info, lambda info: info.waiting >= 1, "a waiting pull")
            await stream.consumer(ConsumerConfig(name="consumer", filters=(on(stream, "b"),)))
            for subject in ("a", "b"):
                await stream.publish(on(stream, subject), subject.encode())
            expect_equal([d.payload for d in await collect(pull, 1, "the new filter")], [b"b"], "payload")
            await silence(pull, "the old filter")
            await stream.consumer(ConsumerConfig(name="consumer"))
            await stream.publish(on(stream, "c"), b"c")
            expect_equal([d.payload for d in await collect(pull, 1, "no filter")], [b"c"], "payload")


@check("C7")
async def deliver_and_max_waiting_cannot_change(transport: Transport) -> None:
    """A consumer with another of these is refused with `MismatchError`, and stays as it was."""
    async with fresh_stream(transport) as stream:
        first = ConsumerConfig(name="consumer", filters=(on(stream, "a"),), max_waiting=20)
        consumer = await stream.consumer(first)
        for what, config in (
            ("deliver", ConsumerConfig(name="consumer", deliver="new", max_waiting=20)),
            ("max_waiting", ConsumerConfig(name="consumer", max_waiting=30)),
        ):
            await refusal(MismatchError, stream.consumer(config), f"a consumer with another {what}")
            kept = (await consumer.info()).config
            seen = (kept.deliver, kept.max_waiting, kept.filters)
            expect_equal(seen, ("all", 20, first.filters), f"settings after another {what} was refused")


@check("C8")
async def overlapping_filters_are_refused(transport: Transport) -> None:
    """Filters of which one has all that the other has do not make a consumer."""
    async with fresh_stream(transport) as stream:
        for filters in (("a.*", "a.b"), ("a.b.c", "a.>"), ("a.b", "x", "a.b"), (">", "a")):
            config = ConsumerConfig(name="consumer", filters=tuple(on(stream, pattern) for pattern in filters))
            error = await refusal(InvalidInputError, stream.consumer(config), f"filters {filters}")
            named = isinstance(error, InvalidSettingError | InvalidSubjectError)
            expect(named, f"filters {filters}: expected InvalidSettingError or InvalidSubjectError, saw {error!r}")
        expect_equal(await stream.consumers(), [], "consumers after refusals")


@check("C8")
async def crossing_filters_deliver_once_or_are_refused(transport: Transport) -> None:
    """Wildcards that merely cross may be refused; where they are taken, what matches both comes once."""
    async with fresh_stream(transport) as stream:
        filters = (on(stream, "a.*"), on(stream, "*.b"))
        try:
            consumer = await stream.consumer(ConsumerConfig(name="consumer", filters=filters))
        except (InvalidSettingError, InvalidSubjectError):
            return
        for subject in ("a.b", "x.b", "a.x", "x.x"):
            await stream.publish(on(stream, subject), subject.encode())
        async with consumer.pull() as pull:
            payloads = await next_payloads(pull, 3, "what matches either filter")
            expect_equal(payloads, [b"a.b", b"x.b", b"a.x"], "payloads")
            pull.request(1)
            await silence(pull, "what matches both filters, again")


@check("C8")
async def a_consumer_receives_what_matches_any_of_its_filters(transport: Transport) -> None:
    """Each match comes once, in the order of the stream, and nothing else does."""
    async with fresh_stream(transport) as stream:
        filters = tuple(on(stream, pattern) for pattern in ("a", "b.*", "c.>"))
        consumer = await stream.consumer(ConsumerConfig(name="consumer", filters=filters))
        for subject in ("c.1.2", "a.1", "b.1", "c", "a", "b.1.2", "b", "c.1"):
            await stream.publish(on(stream, subject), subject.encode())
        await until(consumer.info, lambda info: info.pending == 4, "messages that match")
        async with consumer.pull() as pull:
            payloads = await next_payloads(pull, 4, "what matches")
            expect_equal(payloads, [b"c.1.2", b"b.1", b"a", b"c.1"], "payloads")
            pull.request(1)
            await silence(pull, "what does not match")


@check("C10")
async def an_unused_consumer_is_removed(transport: Transport) -> None:
    """After its last pull was closed it is gone within a while, with its name and its place."""
    async with fresh_consumer(transport, inactive_threshold=1) as (stream, consumer):
        async with consumer.pull() as pull:
            pull.request(1)
        await until(stream.consumers, lambda consumers: not consumers, "the end of an unused consumer")
        await refusal(MissingError, consumer.info(), "info of a removed consumer")


@check("C10")
async def a_consumer_in_use_is_kept(transport: Transport) -> None:
    """As long as one of its pulls is open, and waits, the threshold does not count."""
    async with fresh_consumer(transport, inactive_threshold=1) as (stream, consumer), consumer.pull() as pull:
        pull.request(1)
        async with consumer.pull() as other:
            other.request(1)
        await trio.sleep(3)
        await publish(stream, 1)
        expect_equal([d.payload for d in await collect(pull, 1, "a message")], [b"1"], "payload after 3 s")
