from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from osapi.errors import ConflictError, InvalidKeyError, InvalidSettingError, PayloadTooLargeError
from osapi.transport import BucketConfig, KeyValue

if TYPE_CHECKING:
    from osapi_memory import MemoryTransport

BAD_KEYS = ["", "a..b", ".a", "a.", "a b", "a.*", ">", "é", "a" * 1025]


async def test_each_method_checks_the_key(transport: MemoryTransport) -> None:
    bucket = await transport.bucket(BucketConfig(name="b"))
    assert isinstance(bucket, KeyValue)
    assert bucket.config == BucketConfig(name="b")
    for key in BAD_KEYS:
        for call in (
            bucket.get(key),
            bucket.get_many(["a", key]),
            bucket.put(key, b""),
            bucket.create(key, b""),
            bucket.update(key, b"", 0),
            bucket.delete(key),
            bucket.purge(key),
            bucket.history(key),
        ):
            with pytest.raises(InvalidKeyError):
                await call
    for pattern in ("", "a.>.b", "a*", "a b"):
        with pytest.raises(InvalidKeyError):
            await bucket.keys(pattern)
        with pytest.raises(InvalidKeyError):
            async with bucket.watch(pattern):
                raise AssertionError
    assert (await bucket.info()).revision == 0


async def test_the_life_of_a_key(transport: MemoryTransport) -> None:
    bucket = await transport.bucket(BucketConfig(name="b", history=3))
    assert await bucket.create("a.b", b"1") == 1
    assert await bucket.update("a.b", b"2", 1) == 2
    assert await bucket.put("a.c", b"3") == 3
    assert [entry and entry.value for entry in await bucket.get_many(["a.c", "x", "a.b"])] == [b"3", None, b"2"]
    assert sorted(await bucket.keys("a.*")) == ["a.b", "a.c"]
    assert await bucket.delete("a.b", revision=2) == 4
    with pytest.raises(ConflictError):
        await bucket.delete("a.b", revision=2)
    assert await bucket.get("a.b") is None
    assert [entry.revision for entry in await bucket.history("a.b")] == [1, 2, 4]
    assert await bucket.purge("a.b", revision=4, ttl=5) == 5
    assert [entry.change for entry in await bucket.history("a.b")] == ["purge"]
    assert await bucket.keys() == ["a.c"]
    info = await bucket.info()
    assert (info.keys, info.values, info.revision) == (2, 2, 5)


async def test_values_are_checked_before_they_are_sent(transport: MemoryTransport) -> None:
    bucket = await transport.bucket(BucketConfig(name="b"))
    await bucket.put("a", b"x" * transport.max_payload)
    for call in (bucket.put, bucket.create):
        with pytest.raises(PayloadTooLargeError, match="value of b"):
            await call("b", b"x" * (transport.max_payload + 1))
        with pytest.raises(InvalidSettingError):
            await call("b", b"", ttl=0)
    with pytest.raises(InvalidSettingError):
        await bucket.purge("b", ttl=0)
    assert (await bucket.info()).revision == 1
