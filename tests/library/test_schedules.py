"""Schedules in virtual time: overlaps, pauses, long waits, and what is found half done, lost or damaged."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi.flow.ticks import schedule_bucket, schedule_stream
from osapi.rules.codec import HOLDER, SCHEDULE
from osapi.rules.idempotency import holder_key
from osapi.rules.records import VERSION, Holder
from osapi.rules.schedule_records import Pending
from osapi.settings import job_bucket
from osapi_memory import Faults
from tests.library import operations as ops

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from osapi.transport import BucketConfig, KeyValue
    from tests.library.conftest import World

DAY = 86_400.0


@asynccontextmanager
async def scheduler(world: World) -> AsyncGenerator[None]:
    async with world.broker.connect() as wire, osapi.Scheduler(wire, settings=world.settings):
        yield


async def change(bucket: KeyValue, name: str, **changes: Any) -> osapi.Schedule:
    """Store a schedule as if somebody had been interrupted."""
    entry = await bucket.get(name)
    assert entry is not None
    changed = replace(SCHEDULE.decode(entry.value), **changes)
    await bucket.put(name, SCHEDULE.encode(changed))
    return changed


def told(detail: osapi.ScheduleDetail) -> list[tuple[str, str]]:
    return [(fired.outcome, fired.reason) for fired in detail.schedule.firings]


async def test_it_is_skipped_while_the_job_before_has_not_ended(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client, scheduler(world):
        await client.schedules.set("slow", "test.sleep", ops.Sleep(15.0), every=10.0)
        await client.schedules.set("crowd", "test.sleep", ops.Sleep(15.0), every=10.0, overlap="allow")
        await trio.sleep(35)
        slow, crowd = await client.schedules.get("slow"), await client.schedules.get("crowd")
    first = slow.schedule.firings[0]
    assert told(slow) == [("submitted", ""), ("skipped", f"job {first.job} had not ended"), ("submitted", "")]
    assert told(crowd) == [("submitted", "")] * 3


async def test_a_job_that_nobody_ends_is_not_waited_for_beyond_its_time(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        async with scheduler(world):
            await client.schedules.set("s", "test.hostname.get", every=10.0, within=15.0)
            await trio.sleep(12)
        # Nobody is left who would say that the job has expired, as when a whole site goes down.
        await trio.sleep(30)
        async with scheduler(world):
            await trio.sleep(1)
            found = await client.schedules.get("s")
    assert [outcome for outcome, _ in told(found)] == ["submitted", "missed", "submitted"]
    assert (found.schedule.job, found.job_status) == (found.schedule.firings[-1].job, osapi.JobStatus.SUBMITTED)


async def test_what_cannot_be_submitted_is_told_of_and_tried_again_next_time(
    autojump_clock: object, world: World
) -> None:
    async with world.client() as client, scheduler(world):
        await client.schedules.set("all", "test.hostname.get", target="_all", every=10.0)
        await trio.sleep(11)
        async with world.agent("a"):
            await trio.sleep(10)
        found = await client.schedules.get("all")
    (refused, reason), submitted = told(found)
    assert (refused, submitted, found.schedule.refused) == ("refused", ("submitted", ""), 1)
    assert "_all" in reason
    assert found.job_status is osapi.JobStatus.COMPLETED


async def test_paused_it_is_not_due_and_resumed_it_makes_up_for_nothing(autojump_clock: object, world: World) -> None:
    async with (
        world.agent("a"),
        world.client() as client,
        world.broker.connect() as wire,
        scheduler(world),
    ):
        made = await client.schedules.set("p", "test.hostname.get", every=10.0)
        stream = await wire.stream(schedule_stream(world.settings))
        assert (await stream.info()).messages == 1
        paused = await client.schedules.pause("p")
        assert (paused.paused, paused.coming, (await stream.info()).messages) == (True, (), 0)
        assert (await client.schedules.pause("p")).schedule == paused.schedule
        assert (await client.schedules.set("p", "test.hostname.get", every=10.0)).paused
        await trio.sleep(25)
        assert (await client.schedules.get("p")).schedule.firings == ()
        resumed = await client.schedules.resume("p")
        assert resumed.coming[0] == made.schedule.anchor + 30.0
        assert (await client.schedules.resume("p")).schedule == resumed.schedule
        await trio.sleep(6)
        assert [outcome for outcome, _ in told(await client.schedules.get("p"))] == ["submitted"]


async def test_a_time_that_passes_while_it_is_paused_is_told_of(autojump_clock: object, world: World) -> None:
    async with world.client() as client, scheduler(world):
        at = now(world) + 10.0
        await client.schedules.set("q", "test.hostname.get", at=at)
        await client.schedules.pause("q")
        await trio.sleep(20)
        over = await client.schedules.resume("q")
        assert (over.coming, told(over)) == ((), [("missed", "it was paused")])
        again = await client.schedules.resume((await client.schedules.pause("q")).name)
        assert len(told(again)) == 1
        with pytest.raises(osapi.InvalidSettingError, match="has passed"):
            await client.schedules.set("q", "test.hostname.get", at=at - 1.0)


def now(world: World) -> float:
    return world.broker.now()


async def test_it_may_lie_far_beyond_the_lifetime_of_jobs(autojump_clock: object, world: World) -> None:
    async with world.client() as client, scheduler(world):
        made = await client.schedules.set("far", "test.hostname.get", at=now(world) + 100 * DAY)
        await client.schedules.set("monthly", "test.hostname.get", every=30 * DAY)
        await trio.sleep(100 * DAY - 1)
        async with world.agent("a"):
            await trio.sleep(2)
            far, monthly = await client.schedules.get("far"), await client.schedules.get("monthly")
    assert [fired.due for fired in far.schedule.firings] == [*made.coming]
    assert far.job_status is osapi.JobStatus.COMPLETED
    assert (monthly.schedule.submitted, monthly.job_status) == (3, None)


async def test_a_long_absence_is_told_of_in_one_line(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        await client.schedules.set("often", "test.hostname.get", every=60.0)
        await client.schedules.set("calendar", "test.hostname.get", cron="*/5 * * * *")
        await trio.sleep(30 * DAY + 30)
        async with scheduler(world):
            await trio.sleep(1)
        often, calendar = await client.schedules.get("often"), await client.schedules.get("calendar")
    assert [fired.count for fired in often.schedule.firings] == [30 * 1440 - 1, 1]
    assert [fired.outcome for fired in calendar.schedule.firings] == ["missed", "submitted"]
    assert calendar.schedule.missed == pytest.approx(30 * 288, abs=1)


async def test_of_the_past_the_newest_is_kept_and_all_is_counted(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client, scheduler(world):
        await client.schedules.set("often", "test.hostname.get", every=1.0)
        await trio.sleep(50.5)
        found = await client.schedules.get("often")
    assert found.schedule.submitted == 50
    assert len(found.schedule.firings) == 20


# --- What is found half done -------------------------------------------------------------------------------


async def test_what_was_decided_is_carried_out_by_another(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client, world.broker.connect() as wire:
        made = await client.schedules.set("s", "test.echo", "old", every=100.0)
        bucket = await wire.bucket(schedule_bucket(world.settings))
        due = now(world) - 5.0
        await change(bucket, "s", pending=Pending(due=due, at=due, key="k"))
        async with scheduler(world):
            await trio.sleep(1)
            found = await client.schedules.get("s")
            job = await client.get(found.schedule.job)
        assert (job.definition.key, found.schedule.pending, found.coming) == ("k", None, made.coming)


async def test_what_was_submitted_before_its_schedule_was_replaced_is_that_job(
    autojump_clock: object, world: World
) -> None:
    async with world.agent("a"), world.client() as client, world.broker.connect() as wire:
        job = await client.submit("test.echo", "old", key="k")
        await client.schedules.set("s", "test.echo", "new", every=100.0)
        bucket = await wire.bucket(schedule_bucket(world.settings))
        await change(bucket, "s", pending=Pending(due=now(world), at=now(world), key="k"))
        async with scheduler(world):
            await trio.sleep(1)
            found = await client.schedules.get("s")
        assert (found.schedule.job, told(found)) == (job.id, [("submitted", "")])
        assert len(await client.list()) == 1


async def test_who_took_the_key_and_died_is_waited_for_and_then_told_of(autojump_clock: object, world: World) -> None:
    """Nobody can be frozen, and whoever had the key may be about to write the job: it is not refused, nor a second."""
    async with world.client() as client, world.broker.connect() as wire:
        await client.schedules.set("s", "test.echo", 1, target="_all", at=now(world) + 9000.0)
        bucket, jobs = (
            await wire.bucket(schedule_bucket(world.settings)),
            await wire.bucket(job_bucket(world.settings)),
        )
        await jobs.put(holder_key("k"), HOLDER.encode(Holder(v=VERSION, job="0123", digest="d")))
        await change(bucket, "s", pending=Pending(due=now(world), at=now(world), key="k"))
        async with scheduler(world):
            await trio.sleep(3000)
            assert (await client.schedules.get("s")).schedule.firings == ()
            await trio.sleep(300)
            ((outcome, reason),) = told(await client.schedules.get("s"))
    assert (outcome, "nobody can tell any more" in reason) == ("missed", True)


async def test_what_was_refused_once_is_refused_for_good(autojump_clock: object, world: World) -> None:
    async with world.client() as client, world.broker.connect() as wire:
        await client.schedules.set("s", "test.echo", 1, target="_all", every=100.0)
        bucket = await wire.bucket(schedule_bucket(world.settings))
        pending = Pending(due=now(world), at=now(world), key="k")
        async with scheduler(world):
            await change(bucket, "s", pending=pending)
            await trio.sleep(101)
        # Who refused it was about to say so when it died, and now there are agents.
        await change(bucket, "s", pending=pending)
        async with world.agent("a"), scheduler(world):
            await trio.sleep(1)
            found = await client.schedules.get("s")
        assert [outcome for outcome, _ in told(found)][-1] == "refused"
        assert await client.list() == []


async def test_a_tick_that_was_lost_is_made_anew(autojump_clock: object, world: World) -> None:
    async with world.agent("a"), world.client() as client, world.broker.connect() as wire:
        made = await client.schedules.set("s", "test.hostname.get", every=100.0)
        stream = await wire.stream(schedule_stream(world.settings))
        assert await stream.purge() == 1
        async with scheduler(world):
            await trio.sleep(101)
            found = await client.schedules.get("s")
            assert [fired.due for fired in found.schedule.firings] == [made.coming[0]]
            assert await wire.delete_stream(world.settings.schedule_stream)
            await trio.sleep(100)
            assert (await client.schedules.get("s")).schedule.submitted == 2


class Doubtful:
    """A transport whose bucket of schedules stores what is written, lets somebody else go on, and loses its answer."""

    def __init__(self, wire: Any) -> None:
        self._wire = wire
        self.others: list[Callable[[], Awaitable[object]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)

    async def bucket(self, config: BucketConfig) -> Any:
        inner: Any = await self._wire.bucket(config)
        return DoubtfulBucket(inner, self.others) if config.name.endswith("schedules") else inner


class DoubtfulBucket:
    def __init__(self, inner: Any, others: list[Callable[[], Awaitable[object]]]) -> None:
        self._inner = inner
        self._others = others

    def __getattr__(self, name: str) -> Any:
        async def call(*given: Any, **options: Any) -> Any:
            answer = await getattr(self._inner, name)(*given, **options)
            if name in ("create", "update", "purge") and self._others:
                await self._others.pop()()
                raise osapi.UncertainError("the answer was lost")
            return answer

        return call


async def test_a_tick_that_others_rely_on_outlives_a_lost_answer(autojump_clock: object, world: World) -> None:
    async with world.broker.connect() as wire, world.agent("a"), world.client() as other:
        doubtful: Any = Doubtful(wire)
        async with osapi.Client(doubtful, ops.operations, settings=world.settings) as client:

            async def go_on() -> None:
                bucket = await wire.bucket(schedule_bucket(world.settings))
                await change(bucket, "s", by="somebody else")

            doubtful.others = [go_on]
            made = await client.schedules.set("s", "test.hostname.get", every=100.0)
            assert (made.schedule.by, made.schedule.submitted) == ("", 0)
            stream = await wire.stream(schedule_stream(world.settings))
            assert (await stream.info()).messages == 1
            doubtful.others = [trio.lowlevel.checkpoint]
            await client.schedules.remove("s")
            assert (await stream.info()).messages == 0
            assert await other.schedules.all() == []


async def test_what_one_that_died_was_at_another_does(autojump_clock: object, world: World) -> None:
    async def live(wire: Any) -> None:
        with suppress(osapi.ClosedError):
            async with osapi.Scheduler(wire, settings=world.settings):
                await trio.sleep_forever()

    slow = world.broker.connect(faults=Faults(seed=1, delay=2.0))
    async with (
        world.agent("a"),
        world.client() as client,
        scheduler(world),
        slow as wire,
        trio.open_nursery() as nursery,
    ):
        for number in range(8):
            await client.schedules.set(f"s{number}", "test.hostname.get", at=now(world) + 60.0)
        nursery.start_soon(live, wire)
        await trio.sleep(62)
        wire.crash()
        await trio.sleep(3)
        assert {found.schedule.submitted for found in await client.schedules.all()} == {0, 1}
        await trio.sleep(30)
        assert {found.schedule.submitted for found in await client.schedules.all()} == {1}
        assert len(await client.list()) == 8


async def test_what_cannot_be_read_keeps_nothing_else_from_being_due(
    autojump_clock: object, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.agent("a"), world.client() as client, world.broker.connect() as wire:
        for name in ("damaged", "elsewhere", "good", "gone"):
            await client.schedules.set(name, "test.hostname.get", cron="* * * * *")
        bucket, stream = (
            await wire.bucket(schedule_bucket(world.settings)),
            await wire.stream(schedule_stream(world.settings)),
        )
        await bucket.put("damaged", b"{}")
        await bucket.put("no=token", b"{}")
        await bucket.purge("gone")
        zone = replace((await client.schedules.get("elsewhere")).schedule.timing, time_zone="Mars/Olympus")
        moved = await change(bucket, "elsewhere", timing=zone)
        assert (await client.schedules.get("elsewhere")).coming == (moved.next,)
        async with scheduler(world):
            await stream.publish("schedules.due.=zz", b"")
            await trio.sleep(70)
            assert (await client.schedules.get("good")).schedule.submitted >= 1
            await change(bucket, "elsewhere", timing=replace(zone, time_zone="UTC"))
            await trio.sleep(70)
            assert (await client.schedules.get("elsewhere")).schedule.submitted >= 1
        with pytest.raises(osapi.RecordError):
            await client.schedules.all()
        await client.schedules.remove("damaged")
        assert [found.name for found in await client.schedules.all()] == ["elsewhere", "good"]
    for told in ("schedule damaged cannot be followed here", "Mars/Olympus", "a tick is dropped"):
        assert told in caplog.text


async def test_of_changes_at_once_none_is_lost(autojump_clock: object, world: World) -> None:
    async def resume(client: osapi.Client, name: str) -> None:
        with suppress(osapi.UnknownScheduleError):
            await client.schedules.resume(name)

    async with (
        world.broker.connect(faults=Faults(seed=1, delay=0.7)) as wire,
        osapi.Client(wire, ops.operations, settings=world.settings) as client,
        world.client() as other,
        scheduler(world),
    ):
        for number in range(20):
            name = f"s{number}"
            await client.schedules.set(name, "test.hostname.get", every=10.0)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.schedules.pause, name)
                await trio.sleep(number / 100)
                nursery.start_soon(partial(other.schedules.set, name, "test.hostname.get", every=20.0))
            found = await client.schedules.get(name)
            assert (found.paused, found.schedule.timing.every) == (True, 20.0)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.schedules.remove, name)
                await trio.sleep(number / 100)
                nursery.start_soon(resume, other, name)
        await trio.sleep(60)
        assert await client.schedules.all() == []
        assert await client.list() == []
