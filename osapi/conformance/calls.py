"""T3 to T5: calls that are repeated, too large ones, and what the broker is. `cancellation` has T1, `refusals` T2."""

# ruff: noqa: D401 - the docstring of a check is the sentence that it proves

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from osapi.conformance.check import check, expect, expect_equal, refusal
from osapi.conformance.ground import cancelled_after, fresh_bucket, fresh_stream, on
from osapi.errors import ConflictError, PayloadTooLargeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi.transport import Transport


@check("T3")
async def repeating_a_publish_resolves_what_became_of_it(transport: Transport) -> None:
    """With the same `msg_id`, each message is stored once, whenever the first call was given up."""
    async with fresh_stream(transport) as stream:
        for number in range(20):
            call = partial(stream.publish, on(stream, f"s{number}"), b"%d" % number, msg_id=str(number))
            await cancelled_after(number % 10, call)
            await call()
        expect_equal((await stream.info()).messages, 20, "messages kept of 20, each published twice")


@check("T3")
async def repeating_an_update_resolves_what_became_of_it(transport: Transport) -> None:
    """With the same revision it either succeeds, or its conflict names the revision of the first call."""
    async with fresh_bucket(transport) as bucket:
        revision = await bucket.create("a", b"0")
        for number in range(1, 21):
            value = b"%d" % number
            await cancelled_after(number % 10, partial(bucket.update, "a", value, revision))
            try:
                revision = await bucket.update("a", value, revision)
            except ConflictError as conflict:
                revision = conflict.actual
            entry = await bucket.get("a")
            seen = entry and (entry.value, entry.revision)
            expect_equal(seen, (value, revision), "value and revision after a repeated update")


@check("T3")
async def repeating_a_write_that_took_effect_changes_nothing(transport: Transport) -> None:
    """A second `create` or `update` of the same is refused, and names what the first one stored."""
    async with fresh_bucket(transport, history=5) as bucket:
        created = await bucket.create("a", b"1")
        conflict = await refusal(ConflictError, bucket.create("a", b"1"), "the same create again")
        expect_equal(conflict.actual, created, "the revision of the first create")
        updated = await bucket.update("a", b"2", created)
        conflict = await refusal(ConflictError, bucket.update("a", b"2", created), "the same update again")
        expect_equal((conflict.expected, conflict.actual), (created, updated), "the revisions of the first update")
        expect_equal(len(await bucket.history("a")), 2, "revisions kept")


@check("T4")
async def the_largest_payload_is_taken(transport: Transport) -> None:
    """A message without headers may have `max_payload` bytes."""
    async with fresh_stream(transport, storage="memory") as stream:
        receipt = await stream.publish(on(stream, "a"), bytes(transport.max_payload))
        message = await stream.get(receipt.sequence)
        expect_equal(message and len(message.payload), transport.max_payload, "bytes kept of the largest payload")


@check("T4")
async def a_larger_payload_is_refused(transport: Transport) -> None:
    """One byte more is refused by every call that sends a payload, and the transport goes on."""
    large = bytes(transport.max_payload + 1)
    async with fresh_bucket(transport) as bucket, fresh_stream(transport) as stream:
        revision = await bucket.put("a", b"1")
        sequence = (await stream.publish(on(stream, "a"), b"1")).sequence
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "put": lambda: bucket.put("a", large),
            "create": lambda: bucket.create("new", large),
            "update": lambda: bucket.update("a", large, revision),
            "publish": lambda: stream.publish(on(stream, "a"), large),
            "schedule": lambda: stream.schedule(on(stream, "b"), large, target=on(stream, "a"), at=transport.now()),
        }
        for what, call in calls.items():
            error = await refusal(PayloadTooLargeError, call(), f"{what} of {len(large)} bytes")
            expect_equal(error.limit, transport.max_payload, f"the limit that {what} names")
        expect_equal(await bucket.put("a", b"2"), revision + 1, "the next revision")
        after = await stream.publish(on(stream, "a"), b"2")
        expect_equal(after.sequence, sequence + 1, "the next sequence")


@check("T4")
async def headers_count_as_payload(transport: Transport) -> None:
    """A payload that fits alone is refused with headers that do not fit beside it."""
    async with fresh_stream(transport, storage="memory") as stream:
        subject, headers = on(stream, "a"), {"X-Large": "x" * 1000}
        fits, does_not = bytes(transport.max_payload - 2000), bytes(transport.max_payload - 500)
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "publish": lambda: stream.publish(subject, does_not, headers=headers),
            "schedule": lambda: stream.schedule(
                on(stream, "b"), does_not, target=subject, at=transport.now(), headers=headers
            ),
        }
        for what, call in calls.items():
            await refusal(PayloadTooLargeError, call(), f"{what} of headers that do not fit beside the payload")
        await stream.publish(subject, fits, headers=headers)
        expect_equal((await stream.info()).messages, 1, "messages kept")


@check("T5")
async def a_broker_says_where_and_what_it_is(transport: Transport) -> None:
    """Its URL has a scheme and names no user, and its version begins with a number; both stay as they are."""
    broker = transport.broker
    scheme, separator, rest = broker.url.partition("://")
    expect(bool(scheme and separator) and "@" not in rest, f"{broker.url!r} as the URL of the broker")
    expect(broker.version[:1].isdigit(), f"{broker.version!r} as the version of the broker")
    expect_equal(transport.broker, broker, "the broker, once more")
