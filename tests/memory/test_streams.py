from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from osapi.errors import InvalidSettingError, InvalidSubjectError, LimitReachedError, PayloadTooLargeError
from osapi.transport import Consumer, ConsumerConfig, Stream, StreamConfig

if TYPE_CHECKING:
    from osapi_memory import MemoryTransport
    from osapi_memory.streams import MemoryStream

BAD_SUBJECTS = ["", "s..a", "s.", "s.a b", "s.*", "s.>", "s.\x00", "t.a", "s", "s." + "a" * 1023, "s." + "é" * 512]


@pytest.fixture
async def stream(transport: MemoryTransport) -> MemoryStream:
    return await transport.stream(StreamConfig(name="s", subjects=("s.>", "u")))


@pytest.mark.parametrize("subject", BAD_SUBJECTS)
async def test_what_cannot_be_published_on_is_refused(stream: MemoryStream, subject: str) -> None:
    with pytest.raises(InvalidSubjectError):
        await stream.publish(subject, b"")
    with pytest.raises(InvalidSubjectError):
        await stream.schedule(subject, b"", target="s.a", at=0)
    with pytest.raises(InvalidSubjectError):
        await stream.schedule("s.a", b"", target=subject, at=0)
    assert (await stream.info()).last_sequence == 0


async def test_subjects_may_be_long_and_of_any_script(stream: MemoryStream) -> None:
    for subject in ("u", "s." + "a" * 1022, "s." + "é" * 511):
        await stream.publish(subject, b"")
    assert (await stream.info()).messages == 3


async def test_a_subject_outside_is_told_what_the_stream_has(stream: MemoryStream) -> None:
    with pytest.raises(InvalidSubjectError, match=r"is not of stream s; it has s.>, u"):
        await stream.publish("t", b"")


async def test_publish_get_last_and_purge(stream: MemoryStream) -> None:
    assert isinstance(stream, Stream)
    assert stream.config.name == "s"
    headers = {"h": "1"}
    receipt = await stream.publish("s.a", b"x", headers=headers, msg_id="id", ttl=60)
    headers["h"] = "2"
    message = await stream.get(receipt.sequence)
    assert message is not None
    assert (message.subject, message.payload, message.headers) == ("s.a", b"x", {"h": "1"})
    message.headers["h"] = "3"
    last = await stream.last("s.*")
    assert last is not None
    assert last.headers == {"h": "1"}
    assert (await stream.publish("s.b", b"", msg_id="id")).duplicate
    for call in (stream.last, stream.purge):
        with pytest.raises(InvalidSubjectError):
            await call("s..a")
    assert await stream.purge("s.>") == 1
    assert await stream.last("s.a") is None
    assert await stream.get(1) is None


@pytest.mark.parametrize(
    "settings",
    [
        {"ttl": 0},
        {"ttl": 1.5},
        {"msg_id": ""},
        {"msg_id": "a\nb"},
        {"headers": {"a b": ""}},
        {"headers": {"a": "b\r\nc"}},
        {"headers": {"": ""}},
    ],
)
async def test_what_would_not_survive_the_wire_is_refused(stream: MemoryStream, settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettingError):
        await stream.publish("s.a", b"", **settings)
    assert (await stream.info()).last_sequence == 0


async def test_headers_count_to_the_payload(stream: MemoryStream, transport: MemoryTransport) -> None:
    most = transport.max_payload
    await stream.publish("s.a", b"x" * most)
    await stream.publish("s.a", b"x" * (most - 12 - 6), headers={"a": "b"})
    too_much: list[tuple[bytes, dict[str, Any]]] = [
        (b"x" * (most + 1), {}),
        (b"x" * (most - 12 - 5), {"headers": {"a": "b"}}),
        (b"x" * most, {"msg_id": "a"}),
        (b"x" * most, {"ttl": 1}),
    ]
    for payload, settings in too_much:
        with pytest.raises(PayloadTooLargeError, match="message on s.a"):
            await stream.publish("s.a", payload, **settings)


async def test_schedules_need_a_target_of_their_own_and_a_moment(stream: MemoryStream) -> None:
    with pytest.raises(InvalidSubjectError, match="is the schedule's own subject"):
        await stream.schedule("s.a", b"", target="s.a", at=0)
    with pytest.raises(InvalidSettingError, match="is not a moment"):
        await stream.schedule("s.a", b"", target="s.b", at=float("nan"))
    await stream.schedule("s.a", b"x", target="s.b", at=0, headers={"h": "1"}, ttl=5)
    message = await stream.last("s.b")
    assert message is not None
    assert message.headers == {"h": "1"}


async def test_consumers_are_listed_by_name_and_deleted(stream: MemoryStream) -> None:
    for name in ("b", "a"):
        consumer = await stream.consumer(ConsumerConfig(name=name))
    assert isinstance(consumer, Consumer)
    assert consumer.config.name == "a"
    assert [info.config.name for info in await stream.consumers()] == ["a", "b"]
    assert await stream.delete_consumer("a")
    assert not await stream.delete_consumer("a")
    assert (await stream.info()).consumers == 1


async def test_a_consumers_settings_are_checked_and_replaced(stream: MemoryStream) -> None:
    with pytest.raises(InvalidSubjectError):
        await stream.consumer(ConsumerConfig(name="a", filters=("s.>", "s.a")))
    with pytest.raises(InvalidSettingError):
        await stream.consumer(ConsumerConfig(name="a", ack_wait=0))
    await stream.consumer(ConsumerConfig(name="a", ack_wait=1))
    await stream.consumer(ConsumerConfig(name="a", ack_wait=2))
    assert (await stream.consumers())[0].config.ack_wait == 2


async def test_the_limit_of_consumers_is_the_streams(transport: MemoryTransport) -> None:
    stream = await transport.stream(StreamConfig(name="t", subjects=("t.>",), max_consumers=1))
    await stream.consumer(ConsumerConfig(name="a"))
    with pytest.raises(LimitReachedError):
        await stream.consumer(ConsumerConfig(name="b"))
