"""S5: messages that wait in a stream for their time."""

# ruff: noqa: D401 - the docstring of a check is the sentence that it proves

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from osapi.conformance.check import check, expect, expect_equal
from osapi.conformance.ground import SILENCE, collect, fresh_stream, on, silence, until
from osapi.transport import ConsumerConfig

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from osapi.transport import Pull, Stream, Transport

# A broker that cuts times to whole seconds still fires after the silence that is asked for first.
LEAD = 2.0


@check("S5")
async def a_scheduled_message_appears_when_its_time_has_come(transport: Transport) -> None:
    """Not before, then once, on its target, with its payload and headers."""
    async with _targets(transport) as (stream, pull):
        at = transport.now() + LEAD
        receipt = await stream.schedule(
            on(stream, "later"), b"1", target=on(stream, "target.a"), at=at, headers={"X-Name": "value"}
        )
        await silence(pull, "a schedule before its time")
        expect_equal(await stream.last(on(stream, "target.a")), None, "the target before its time")
        (delivery,) = await collect(pull, 1, "a schedule whose time has come")
        seen = (delivery.subject, delivery.payload, delivery.headers.get("X-Name"))
        expect_equal(seen, (on(stream, "target.a"), b"1", "value"), "subject, payload and header")
        expect(delivery.sequence > receipt.sequence, f"sequence {delivery.sequence} after {receipt.sequence}")
        await silence(pull, "a schedule that has fired")


@check("S5")
async def a_past_time_has_come_already(transport: Transport) -> None:
    """A schedule for the past appears at once."""
    async with _targets(transport) as (stream, pull):
        await stream.schedule(on(stream, "later"), b"1", target=on(stream, "target.a"), at=transport.now() - 60)
        expect_equal([d.payload for d in await collect(pull, 1, "a past schedule")], [b"1"], "payload")


@check("S5")
async def a_schedule_is_kept_on_its_own_subject(transport: Transport) -> None:
    """Until its time it is a message of the stream, under the receipt's sequence; afterwards it is gone."""
    async with _targets(transport) as (stream, pull):
        at = transport.now() + LEAD
        receipt = await stream.schedule(on(stream, "later"), b"1", target=on(stream, "target.a"), at=at)
        waiting = await stream.last(on(stream, "later"))
        seen = waiting and (waiting.sequence, waiting.payload)
        expect_equal(seen, (receipt.sequence, b"1"), "sequence and payload of the waiting schedule")
        await collect(pull, 1, "a schedule whose time has come")
        await until(lambda: stream.last(on(stream, "later")), lambda m: m is None, "the end of a fired schedule")


@check("S5")
async def a_schedule_replaces_the_one_on_its_subject(transport: Transport) -> None:
    """Of two schedules on one subject only the second appears, be its time later or earlier."""
    async with _targets(transport) as (stream, pull):
        now = transport.now()
        for subject, first, second in (("put-off", 0.0, 1.0), ("brought-forward", 1.0, 0.0)):
            for payload, wait in ((b"replaced", first), (b"kept", second)):
                target = on(stream, f"target.{subject}")
                await stream.schedule(on(stream, subject), payload, target=target, at=now + LEAD + wait)
        deliveries = await collect(pull, 2, "two schedules that were replaced")
        expect_equal([delivery.payload for delivery in deliveries], [b"kept", b"kept"], "payloads")
        await silence(pull, "a replaced schedule", 1 + SILENCE)


@check("S5")
async def purging_its_subject_cancels_a_schedule(transport: Transport) -> None:
    """The purge counts it, and it never appears; other schedules do."""
    async with _targets(transport) as (stream, pull):
        at = transport.now() + LEAD
        for subject in ("one", "two"):
            payload = subject.encode()
            await stream.schedule(on(stream, f"later.{subject}"), payload, target=on(stream, "target.a"), at=at)
        expect_equal(await stream.purge(on(stream, "later.one")), 1, "messages purged")
        expect_equal([d.payload for d in await collect(pull, 1, "the other schedule")], [b"two"], "payload")
        await silence(pull, "a cancelled schedule", 1 + SILENCE)


@check("S5")
async def another_message_on_its_subject_cancels_a_schedule(transport: Transport) -> None:
    """Both stay where they are, and neither appears on the target."""
    async with _targets(transport) as (stream, pull):
        at = transport.now() + LEAD
        await stream.schedule(on(stream, "later"), b"1", target=on(stream, "target.a"), at=at)
        await stream.publish(on(stream, "later"), b"2")
        await silence(pull, "a schedule whose subject has got another message", LEAD + 1 + SILENCE)
        expect_equal((await stream.info()).messages, 2, "messages kept")


@check("S5")
async def schedules_appear_in_order_of_their_times(transport: Transport) -> None:
    """The order in which they were made does not matter, nor does it whether they share a target."""
    async with _targets(transport) as (stream, pull):
        now = transport.now()
        for subject, wait in (("third", 2.0), ("first", -60.0), ("second", 0.0)):
            payload = subject.encode()
            await stream.schedule(on(stream, subject), payload, target=on(stream, "target.a"), at=now + LEAD + wait)
        payloads = [delivery.payload for delivery in await collect(pull, 3, "three schedules")]
        expect_equal(payloads, [b"first", b"second", b"third"], "payloads")


@check("S5")
async def the_ttl_of_a_schedule_is_that_of_its_message(transport: Transport) -> None:
    """It begins when the message appears on the target, not when the schedule was made."""
    async with _targets(transport) as (stream, pull):
        at = transport.now() + LEAD
        await stream.schedule(on(stream, "later"), b"1", target=on(stream, "target.a"), at=at, ttl=1)
        await collect(pull, 1, "a schedule with a TTL shorter than its wait")
        await until(lambda: stream.last(on(stream, "target.a")), lambda m: m is None, "the TTL on the target")


@asynccontextmanager
async def _targets(transport: Transport) -> AsyncGenerator[tuple[Stream, Pull]]:
    """Create a stream with a consumer of its targets, and open a pull that has asked for all of them."""
    async with fresh_stream(transport) as stream:
        consumer = await stream.consumer(ConsumerConfig(name="consumer", filters=(on(stream, "target.>"),)))
        async with consumer.pull() as pull:
            pull.request(10)
            yield stream, pull
