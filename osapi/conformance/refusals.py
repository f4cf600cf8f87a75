"""T2: what is refused, with which error, and that nothing comes of it."""

# ruff: noqa: D401 - the docstring of a check is the sentence that it proves

from __future__ import annotations

from functools import partial
from math import inf, nan
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from osapi.conformance.check import check, expect, expect_equal, refusal
from osapi.conformance.ground import enter, fresh_bucket, fresh_consumer, fresh_stream, on, publish, unique, until
from osapi.errors import (
    InvalidKeyError,
    InvalidSettingError,
    InvalidSubjectError,
    LimitReachedError,
    MismatchError,
    MissingError,
    PayloadTooLargeError,
)
from osapi.transport import BucketConfig, ConsumerConfig, StreamConfig

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi.transport import Transport

BAD_KEYS = ("", ".", ".a", "a.", "a..b", "a b", "a\n", "ä", "a\0", "a*", "a:b")
BAD_PATTERNS = ("", ".a", "a.", "a..b", "a b", ">.a", "a.>.b", "a*", "ä.*")
# What follows the stream's own name; the first three would be good filters.
BAD_SUBJECTS = ("*", ">", "a.*.b", "", ".a", "a.", "a..b", "a b", "a\r\nPING")
BAD_FILTERS = ("", "a..b", "a b", ">.a", "a\r\nPING")
# More seconds than a server can count.
AGES = 1 << 40
BAD_NAMES = ("", "a b", "a.b", "*", ">", "a/b")


@check("T2")
async def bad_keys_are_refused(transport: Transport) -> None:
    """Every method of a bucket refuses a key that is not dotted tokens, also one with a wildcard."""
    async with fresh_bucket(transport) as bucket:
        calls: dict[str, Callable[[str], Awaitable[object]]] = {
            "get": bucket.get,
            "get_many": lambda key: bucket.get_many(["good", key]),
            "put": lambda key: bucket.put(key, b"1"),
            "create": lambda key: bucket.create(key, b"1"),
            "update": lambda key: bucket.update(key, b"1", 0),
            "delete": bucket.delete,
            "purge": bucket.purge,
            "history": bucket.history,
        }
        for name, call in calls.items():
            for key in (*BAD_KEYS, "*", "a.>"):
                await refusal(InvalidKeyError, call(key), f"{name} of the key {key!r}")
        expect_equal((await bucket.info()).values, 0, "values kept of bad keys")


@check("T2")
async def bad_key_patterns_are_refused(transport: Transport) -> None:
    """`keys` and `watch` refuse what is no pattern; `watch` also patterns that overlap."""
    async with fresh_bucket(transport) as bucket:
        for pattern in BAD_PATTERNS:
            await refusal(InvalidKeyError, bucket.keys(pattern), f"keys of the pattern {pattern!r}")
            await refusal(InvalidKeyError, enter(partial(bucket.watch, pattern)), f"watch of {pattern!r}")
        for one, other in (("a.*", "a.b"), ("a", "a"), (">", "b"), ("a.>", "a.b.*")):
            call = enter(partial(bucket.watch, one, other))
            await refusal(InvalidKeyError, call, f"watch of {one!r} and {other!r}, which overlap")


@check("T2")
async def bad_subjects_are_refused(transport: Transport) -> None:
    """A message is not published on a malformed subject, one with wildcards, or one outside the stream."""
    async with fresh_stream(transport) as stream:
        good, at = on(stream, "good"), transport.now()
        for subject in (*(on(stream, bad) for bad in BAD_SUBJECTS), "", unique("outside"), stream.config.name):
            await refusal(InvalidSubjectError, stream.publish(subject, b"1"), f"publish on {subject!r}")
            call = stream.schedule(good, b"1", target=subject, at=at)
            await refusal(InvalidSubjectError, call, f"schedule with the target {subject!r}")
            call = stream.schedule(subject, b"1", target=good, at=at)
            await refusal(InvalidSubjectError, call, f"schedule on {subject!r}")
        call = stream.schedule(good, b"1", target=good, at=at)
        await refusal(InvalidSubjectError, call, "schedule with its own subject as target")
        info = await stream.info()
        expect_equal((info.messages, info.last_sequence), (0, 0), "messages and sequence after refusals")


@check("T2")
async def bad_filters_are_refused(transport: Transport) -> None:
    """`last`, `purge` and consumers refuse what is no pattern of subjects."""
    async with fresh_stream(transport) as stream:
        await publish(stream, 1)
        for bad in BAD_FILTERS:
            pattern = on(stream, bad)
            config = ConsumerConfig(name="consumer", filters=(pattern,))
            await refusal(InvalidSubjectError, stream.last(pattern), f"last of {pattern!r}")
            await refusal(InvalidSubjectError, stream.purge(pattern), f"purge of {pattern!r}")
            await refusal(InvalidSubjectError, stream.consumer(config), f"a consumer of {pattern!r}")
        info = await stream.info()
        expect_equal((info.messages, info.consumers), (1, 0), "messages and consumers after refusals")


@check("T2")
async def a_ttl_out_of_range_is_refused(transport: Transport) -> None:
    """A TTL of 0, a negative one, or one of millennia is no way to say none; nor can a message wait that long."""
    async with fresh_bucket(transport) as bucket, fresh_stream(transport) as stream:
        subject, target = on(stream, "a"), on(stream, "b")
        calls: dict[str, Callable[[int], Awaitable[object]]] = {
            "put": lambda ttl: bucket.put("a", b"1", ttl=ttl),
            "create": lambda ttl: bucket.create("a", b"1", ttl=ttl),
            "update": lambda ttl: bucket.update("a", b"1", 0, ttl=ttl),
            "purge": lambda ttl: bucket.purge("a", ttl=ttl),
            "publish": lambda ttl: stream.publish(subject, b"1", ttl=ttl),
            "schedule": lambda ttl: stream.schedule(subject, b"1", target=target, at=transport.now(), ttl=ttl),
        }
        for name, call in calls.items():
            for ttl in (0, -1, AGES):
                await refusal(InvalidSettingError, call(ttl), f"{name} with a ttl of {ttl}")
        for at in (inf, nan, float(AGES), -float(AGES)):
            await refusal(
                InvalidSettingError, stream.schedule(subject, b"1", target=target, at=at), f"schedule at {at}"
            )
        kept = ((await bucket.info()).values, (await stream.info()).messages)
        expect_equal(kept, (0, 0), "values and messages after refusals")


@check("T2")
async def headers_that_are_no_headers_are_refused(transport: Transport) -> None:
    """A name with a blank, a value of two lines, and what a server takes for an order do not get into a message."""
    wrong = ({"": "x"}, {"a b": "x"}, {"a:": "x"}, {"a": "x\r\ny"}, {"Nats-Msg-Id": "x"}, {"nats-rollup": "all"})
    async with fresh_stream(transport) as stream:
        subject, target = on(stream, "a"), on(stream, "b")
        for headers in wrong:
            call = stream.publish(subject, b"1", headers=headers)
            await refusal(InvalidSettingError, call, f"publish with headers {headers}")
            call = stream.schedule(subject, b"1", target=target, at=transport.now(), headers=headers)
            await refusal(InvalidSettingError, call, f"schedule with headers {headers}")
        expect_equal((await stream.info()).messages, 0, "messages after refusals")


@check("T2")
async def bad_settings_are_refused(transport: Transport) -> None:
    """Names that cannot be, negative durations and no history at all make nothing."""
    bucket = BucketConfig(name=unique("bucket"))
    stream = StreamConfig(name=unique("stream"), subjects=(unique("subject"),))
    consumer = ConsumerConfig(name="consumer")
    names: list[dict[str, Any]] = [{"name": name} for name in BAD_NAMES]
    for settings in [*names, {"history": 0}, {"ttl": -1.0}, {"ttl": AGES}, {"marker_ttl": -1.0}]:
        await refusal(InvalidSettingError, transport.bucket(replace(bucket, **settings)), f"a bucket with {settings}")
    for settings in [*names, {"max_age": -1.0}, {"max_age": AGES}]:
        await refusal(InvalidSettingError, transport.stream(replace(stream, **settings)), f"a stream with {settings}")
    for subject in ("", "a..b", "a b", ">.a"):
        call = transport.stream(replace(stream, subjects=(subject,)))
        await refusal(InvalidSubjectError, call, f"a stream of {subject!r}")
    async with fresh_stream(transport) as there:
        for settings in [*names, {"ack_wait": -1.0}, {"ack_wait": AGES}, {"backoff": (-1.0,)}]:
            bad = replace(consumer, **settings)
            await refusal(InvalidSettingError, there.consumer(bad), f"a consumer with {settings}")
    made = (await transport.delete_bucket(bucket.name), await transport.delete_stream(stream.name))
    expect_equal(made, (False, False), "whether a bucket or a stream came of bad settings")


@check("T2")
async def values_and_messages_have_a_largest_size(transport: Transport) -> None:
    """What is above `max_value_size` or `max_msg_size` is refused; what is well below is taken. Headers count."""
    async with fresh_bucket(transport, max_value_size=1000) as bucket:
        await bucket.put("a", bytes(500))
        await refusal(PayloadTooLargeError, bucket.put("a", bytes(1001)), "put of 1,001 bytes of 1,000")
        entry = await bucket.get("a")
        expect_equal(entry and len(entry.value), 500, "bytes kept")
        revision = await bucket.put("a", bytes(1000))
        update = bucket.update("a", bytes(1000), revision)
        await refusal(PayloadTooLargeError, update, "1,000 bytes of 1,000, and a revision to be compared")
    async with fresh_stream(transport, max_msg_size=1000) as stream:
        await stream.publish(on(stream, "a"), bytes(500))
        call = stream.publish(on(stream, "a"), bytes(1001))
        await refusal(PayloadTooLargeError, call, "publish of 1,001 bytes of 1,000")
        call = stream.publish(on(stream, "a"), bytes(1000), headers={"A": "1"})
        await refusal(PayloadTooLargeError, call, "publish of 1,000 bytes of 1,000, and a header")
        expect_equal((await stream.info()).messages, 1, "messages kept")


@check("T2")
async def opening_again_is_no_refusal(transport: Transport) -> None:
    """The same settings open what is there, with all that it holds, and so may many clients."""
    async with fresh_bucket(transport, history=3) as bucket, fresh_stream(transport, max_msgs=10) as stream:
        await bucket.put("a", b"1")
        await publish(stream, 1)
        entry = await (await transport.bucket(bucket.config)).get("a")
        expect(entry is not None, "a bucket opened again does not have the value")
        expect_equal((await (await transport.stream(stream.config)).info()).messages, 1, "messages, opened again")


@check("T2")
async def other_settings_are_a_mismatch(transport: Transport) -> None:
    """A bucket or stream that exists is not opened with other settings, and stays as it is."""
    async with fresh_bucket(transport, history=3) as bucket, fresh_stream(transport, max_msgs=10) as stream:
        other_bucket, other_stream = replace(bucket.config, history=5), replace(stream.config, max_msgs=5)
        await refusal(MismatchError, transport.bucket(other_bucket), "a bucket with another history")
        await refusal(MismatchError, transport.stream(other_stream), "a stream with another max_msgs")
        expect_equal((await bucket.info()).config.history, 3, "history after a refusal")
        expect_equal((await stream.info()).config.max_msgs, 10, "max_msgs after a refusal")


@check("T2")
async def a_subject_belongs_to_one_stream(transport: Transport) -> None:
    """A stream that would take a subject from another is not made."""
    async with fresh_stream(transport) as stream:
        other = StreamConfig(name=unique("stream"), subjects=(unique("free"), on(stream, "a.b")))
        await refusal(MismatchError, transport.stream(other), "a stream with a subject of another")
        expect_equal(await transport.delete_stream(other.name), False, "whether the stream was made")


@check("T2")
async def what_was_deleted_is_missing(transport: Transport) -> None:
    """Deleting says whether it was there; afterwards its figures are not, and its name is free."""
    async with fresh_bucket(transport) as bucket, fresh_consumer(transport) as (stream, consumer):
        name = consumer.config.name
        seen = [await stream.delete_consumer(name), await stream.delete_consumer(name)]
        expect_equal(seen, [True, False], "deleting a consumer twice")
        await refusal(MissingError, consumer.info(), "info of a deleted consumer")
        await refusal(MissingError, enter(consumer.pull), "pull of a deleted consumer")
        seen = [await transport.delete_stream(stream.config.name) for _ in range(2)]
        expect_equal(seen, [True, False], "deleting a stream twice")
        await refusal(MissingError, stream.info(), "info of a deleted stream")
        await refusal(MissingError, stream.consumers(), "consumers of a deleted stream")
        seen = [await transport.delete_bucket(bucket.config.name) for _ in range(2)]
        expect_equal(seen, [True, False], "deleting a bucket twice")
        await refusal(MissingError, bucket.info(), "info of a deleted bucket")
        again = await transport.bucket(replace(bucket.config, history=7))
        expect_equal((await again.info()).values, 0, "values of a bucket made anew")


@check("T2")
async def max_consumers_is_a_limit(transport: Transport) -> None:
    """One consumer more is refused; one that exists can still be opened, and a deleted one makes room."""
    async with fresh_stream(transport, max_consumers=2) as stream:
        for name in ("one", "two", "one"):
            await stream.consumer(ConsumerConfig(name=name))
        await refusal(LimitReachedError, stream.consumer(ConsumerConfig(name="three")), "a third consumer of two")
        expect_equal(len(await stream.consumers()), 2, "consumers after a refusal")
        await stream.delete_consumer("one")
        await stream.consumer(ConsumerConfig(name="three"))


@check("T2")
async def max_waiting_is_a_limit(transport: Transport) -> None:
    """Where so many pulls wait, another one is refused; when one was closed there is room again."""
    async with fresh_consumer(transport, max_waiting=2) as (_, consumer), consumer.pull() as one:
        one.request(1)
        async with consumer.pull() as two:
            two.request(1)
            await until(consumer.info, lambda info: info.waiting == 2, "two waiting pulls")
            await refusal(LimitReachedError, enter(consumer.pull), "a third pull of two")
        await until(consumer.info, lambda info: info.waiting == 1, "one waiting pull")
        await enter(consumer.pull)
