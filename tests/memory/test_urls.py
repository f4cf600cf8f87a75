from __future__ import annotations

import pytest
import trio

from osapi.errors import InvalidSettingError, MissingError
from osapi.transport import BucketConfig, Transport
from osapi_memory import open_transport

CONFIG = BucketConfig(name="b")


async def test_each_private_broker_is_fresh() -> None:
    async with open_transport("memory://") as one, open_transport("memory://") as other:
        await (await one.bucket(CONFIG)).put("a", b"")
        assert await (await other.bucket(CONFIG)).get("a") is None


async def test_a_name_is_shared_by_all_blocks() -> None:
    async with open_transport("memory://x") as one, open_transport("memory://x") as other:
        await (await one.bucket(CONFIG)).put("a", b"")
        assert await (await other.bucket(CONFIG)).get("a") is not None
    async with open_transport("memory://x") as later:
        assert await (await later.bucket(CONFIG)).keys() == []


async def test_the_first_block_may_end_first_and_time_goes_on(autojump_clock: object) -> None:
    async def hold(*, task_status: trio.TaskStatus[Transport]) -> None:
        async with open_transport("memory://x") as transport:
            task_status.started(transport)
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        first = await nursery.start(hold)
        async with open_transport("memory://x") as transport:
            bucket = await transport.bucket(BucketConfig(name="b", marker_ttl=1))
            async with bucket.watch() as watch:
                await (await first.bucket(BucketConfig(name="b", marker_ttl=1))).put("a", b"", ttl=3)
                assert [entry.change for entry in await watch.receive()] == ["put"]
                assert [entry.change for entry in await watch.receive()] == ["expire"]
    assert trio.current_time() == pytest.approx(3)


def test_runs_of_trio_do_not_share() -> None:
    async def run() -> list[str]:
        async with open_transport("memory://x") as transport:
            bucket = await transport.bucket(CONFIG)
            before = await bucket.keys()
            await bucket.put("a", b"")
            return before

    assert [trio.run(run), trio.run(run)] == [[], []]


@pytest.mark.parametrize(
    "url",
    [
        "memory:",
        "memory:/x",
        "memory://x/y",
        "memory://x?y=1",
        "memory://u@x",
        "memory://x:1",
        "nats://x",
        "memory://x#y",
    ],
)
def test_anything_else_in_a_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidSettingError, match=r"use memory:// for a private broker, or memory://name"):
        open_transport(url)


async def test_an_error_of_the_block_goes_on_as_it_is() -> None:
    with pytest.raises(MissingError, match="mine"):
        async with open_transport("memory://x"):
            raise MissingError("mine")
