"""Schedules: each due time is one job, by whichever scheduler; listed, paused, resumed, replaced, removed."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio

import osapi
from osapi import JobStatus
from tests.promises.conftest import PATIENCE
from tests.promises.signed import KEYS, keys_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from tests.promises.conftest import World


@asynccontextmanager
async def scheduler(world: World, **keys: Any) -> AsyncGenerator[osapi.Scheduler]:
    """Run a scheduler on a connection of its own."""
    async with world.connect() as transport, osapi.Scheduler(transport, settings=world.settings, **keys) as running:
        yield running


async def until(client: osapi.Client, name: str, holds: Callable[[osapi.Schedule], bool]) -> osapi.ScheduleDetail:
    """Wait until something holds of a schedule."""
    with trio.fail_after(PATIENCE):
        while not holds((found := await client.schedules.get(name)).schedule):
            await trio.sleep(0.02)
    return found


async def test_each_due_time_is_one_job_with_several_schedulers(world: World) -> None:
    async with world.agent("a"), world.client() as client, scheduler(world), scheduler(world):
        made = await client.schedules.set("tick", "test.echo", {"n": 1}, every=2.0)
        first = made.coming[0]
        assert first == made.schedule.created + 2.0
        found = await until(client, "tick", lambda schedule: schedule.submitted >= 2)
        await client.schedules.pause("tick")
        jobs = {job.id: job for job in await client.list()}
    assert [fired.due for fired in found.schedule.firings] == [first, first + 2.0]
    for fired in found.schedule.firings:
        job = jobs[fired.job]
        assert (job.definition.operation, bytes(job.definition.data)) == ("test.echo", b'{"n":1}')
        assert job.definition.created >= fired.due
    keys = [job.definition.key for job in jobs.values()]
    assert len(keys) == len({*keys})


async def test_once_at_a_time(world: World) -> None:
    async with world.agent("a"), world.client() as client, scheduler(world):
        made = await client.schedules.set("once", "test.hostname.get", target="_all", at=time.time() + 1.2)
        assert made.coming == (made.schedule.timing.at,)
        over = await until(client, "once", lambda schedule: schedule.submitted == 1)
        assert over.coming == ()
        assert over.last is not None
        handle = await client.follow(over.last.job)
        assert [*await handle.result()] == ["a"]
        assert (await client.schedules.get("once")).job_status is JobStatus.COMPLETED
        again = await client.schedules.set("once", "test.hostname.get", at=made.schedule.timing.at)
        assert (again.coming, again.schedule.submitted) == ((), 1)


async def test_what_was_due_while_nobody_was_there_is_made_up_for_once_or_told_of(world: World) -> None:
    async with world.agent("a"), world.client() as client:
        await client.schedules.set("late", "test.hostname.get", at=time.time() + 1.0)
        await client.schedules.set("too-late", "test.hostname.get", at=time.time() + 1.0, catch_up=1.0)
        await client.schedules.set("often", "test.hostname.get", every=1.0)
        await trio.sleep(2.5)
        async with scheduler(world):
            late = await until(client, "late", lambda schedule: schedule.submitted == 1)
            missed = await until(client, "too-late", lambda schedule: schedule.missed == 1)
            often = await until(client, "often", lambda schedule: schedule.submitted >= 1)
    assert late.schedule.missed == 0
    assert missed.last is not None
    assert (missed.last.outcome, missed.last.job) == ("missed", "")
    assert "nobody submitted it within 1 s (catch_up)" in missed.last.reason
    first = often.schedule.firings[0]
    assert (first.outcome, first.before) == ("missed", often.schedule.firings[1].due)
    assert first.count == round(often.schedule.firings[1].due - first.due)


async def test_replaced_it_keeps_its_past_and_due_at_the_same_times_its_next(world: World) -> None:
    async with world.agent("a"), world.client() as client, world.client() as other:
        made = await client.schedules.set("r", "test.echo", 1, every=50.0)
        same = await other.schedules.set("r", "test.echo", 2, every=50.0, target="_all", by="bob")
        assert same.coming == made.coming
        assert (bytes(same.schedule.work.data), same.schedule.work.target, same.schedule.by) == (b"2", "_all", "bob")
        anew = await client.schedules.set("r", "test.echo", 2, cron="0 3 * * *", time_zone="Europe/Berlin")
        assert anew.coming[0] != made.coming[0]
        assert len(anew.coming) == 5
        assert anew.schedule.created == made.schedule.created
        listed = await client.schedules.all()
        assert [schedule.schedule for schedule in listed] == [anew.schedule]


async def test_removed_it_is_gone_and_its_jobs_stay(world: World) -> None:
    async with world.agent("a"), world.client() as client, scheduler(world):
        await client.schedules.set("gone", "test.hostname.get", every=1.0)
        found = await until(client, "gone", lambda schedule: schedule.submitted >= 1)
        await client.schedules.remove("gone")
        with pytest.raises(osapi.UnknownScheduleError, match="'gone'"):
            await client.schedules.get("gone")
        jobs = [job.id for job in await client.list()]
        assert found.schedule.job in jobs
        await trio.sleep(1.2)
        assert [job.id for job in await client.list()] == jobs
        anew = await client.schedules.set("gone", "test.hostname.get", every=1.0)
        assert anew.schedule.submitted == 0
        await until(client, "gone", lambda schedule: schedule.submitted >= 1)


async def test_with_keys_only_what_a_controller_signed_is_submitted(world: World) -> None:
    async with world.agent("a", **keys_of("a")), world.client(**KEYS) as client, world.client() as careless:
        at = time.time() + 1.0
        await careless.schedules.set("unsigned", "test.echo", 1, at=at)
        await client.schedules.set("signed", "test.echo", 2, at=at)
        async with scheduler(world, **KEYS):
            found = await until(client, "signed", lambda schedule: schedule.submitted == 1)
            answers = await (await client.follow(found.schedule.job)).result()
            await trio.sleep(0.3)
            assert [bytes(job.definition.data) for job in await client.list()] == [b"2"]
    assert answers["a"].unwrap() == 2


async def test_what_is_not_there_is_named(world: World) -> None:
    async with world.agent("a"), world.client() as client:
        await client.schedules.set("nightly", "test.hostname.get", cron="@daily")
        for call in (client.schedules.get, client.schedules.pause, client.schedules.resume, client.schedules.remove):
            with pytest.raises(osapi.UnknownScheduleError, match=r"did you mean nightly\?"):
                await call("nightli")
            with pytest.raises(osapi.InvalidNameError):
                await call("a/b")


REFUSED: list[tuple[type[Exception], dict[str, Any]]] = [
    (osapi.InvalidNameError, {"name": ""}),
    (osapi.InvalidNameError, {"name": "x" * 101}),
    (osapi.InvalidNameError, {"name": "-x"}),
    (osapi.UnknownOperationError, {"operation": "test.nothing"}),
    (osapi.InvalidTargetError, {"target": "_nobody"}),
    (osapi.InvalidPayloadError, {"operation": "test.length", "data": 5}),
    (osapi.PayloadTooLargeError, {"data": "x" * 300_000}),
    (osapi.InvalidSettingError, {"every": None}),
    (osapi.InvalidSettingError, {"cron": "@daily"}),
    (osapi.InvalidSettingError, {"every": 0.5}),
    (osapi.InvalidSettingError, {"every": float("nan")}),
    (osapi.InvalidSettingError, {"every": None, "cron": "x"}),
    (osapi.InvalidSettingError, {"every": None, "at": 5.0}),
    (osapi.InvalidSettingError, {"every": None, "at": 1e300}),
    (osapi.InvalidSettingError, {"every": None, "cron": "@daily", "time_zone": "Europe/Berln"}),
    (osapi.InvalidSettingError, {"every": None, "cron": "@daily", "time_zone": "Europe"}),
    (osapi.InvalidSettingError, {"every": None, "cron": "@daily", "time_zone": "../etc/passwd"}),
    (osapi.InvalidSettingError, {"time_zone": "Europe/Berlin"}),
    (osapi.InvalidSettingError, {"catch_up": 0.0}),
    (osapi.InvalidSettingError, {"overlap": "queue"}),
    (osapi.InvalidSettingError, {"within": 61.0}),
    (osapi.InvalidSettingError, {"start_within": 0.0}),
    (osapi.InvalidSettingError, {"timeout": -1.0}),
    (osapi.InvalidSettingError, {"by": "a\nb"}),
]


async def test_what_is_wrong_is_refused_and_nothing_is_stored(world: World) -> None:
    async with world.agent("a"), world.client() as client:
        for wrong, options in REFUSED:
            given: dict[str, Any] = {"name": "n", "operation": "test.echo", "data": 1, "every": 5.0, **options}
            with pytest.raises(wrong):
                await client.schedules.set(**given)
        assert await client.schedules.all() == []
