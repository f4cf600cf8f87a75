"""Promise 10: what is wrong is refused with a clear error; nothing is lost, nothing half done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi import SlotStatus
from osapi.settings import job_bucket, response_bucket, stream_config
from tests.library import operations as ops

if TYPE_CHECKING:
    from tests.library.conftest import World


async def nothing_stored(world: World) -> bool:
    async with world.broker.connect() as wire:
        stream = await wire.stream(stream_config(world.settings))
        jobs = await wire.bucket(job_bucket(world.settings))
        answers = await wire.bucket(response_bucket(world.settings))
        found = [(await stream.info()).messages, (await jobs.info()).values, (await answers.info()).values]
    return found == [0, 0, 0]


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ("", osapi.InvalidTargetError, "target '': is empty"),
        ("group:", osapi.InvalidTargetError, "target 'group:': "),
        ("group:web..dev", osapi.InvalidTargetError, "target 'group:web..dev': "),
        ("a b", osapi.InvalidTargetError, "target 'a b': "),
        ("_some", osapi.InvalidTargetError, "target '_some': names that start with `_` are reserved"),
        ("h" * 300, osapi.InvalidTargetError, "300 characters"),
        ("gr.oup:web", osapi.InvalidTargetError, "target 'gr.oup:web': "),
        (None, osapi.InvalidTargetError, "target None: is of type NoneType"),
        ("web-99", osapi.UnknownHostError, "no agent is registered as 'web-99'; did you mean web-01?"),
        ("group:mail", osapi.NoAgentsError, "no agent matches group:mail; the labels in use are group:web"),
    ],
)
async def test_targets(autojump_clock: object, world: World, target: Any, error: type[Exception], message: str) -> None:
    async with world.agent("web-01", "web"), world.client() as client:
        with pytest.raises(error) as caught:
            await client.submit("test.hostname.get", target=target)
        assert message in str(caught.value)
        assert isinstance(caught.value, osapi.OsapiError)
        assert await nothing_stored(world)


async def test_a_label_where_there_is_none(autojump_clock: object, world: World) -> None:
    async with world.agent("web-01"), world.client() as client:
        with pytest.raises(osapi.NoAgentsError, match="no agent matches group:mail; none has any label$"):
            await client.submit("test.hostname.get", target="group:mail")


async def test_a_broadcast_to_nobody(autojump_clock: object, world: World) -> None:
    async with world.client() as client:
        with pytest.raises(osapi.NoAgentsError, match="no agent matches _all: none is registered"):
            await client.submit("test.hostname.get", target="_all")
        assert await nothing_stored(world)


@pytest.mark.parametrize("registry", [ops.operations, None])
async def test_an_unknown_operation(autojump_clock: object, world: World, registry: osapi.Operations | None) -> None:
    async with world.agent("web-01"), world.client(operations=registry) as client:
        with pytest.raises(osapi.UnknownOperationError, match="did you mean test.hostname.get"):
            await client.submit("test.hostname.gat")
        assert await nothing_stored(world)


async def test_an_operation_when_none_is_known(autojump_clock: object, world: World) -> None:
    async with world.client(operations=None) as client:
        with pytest.raises(osapi.UnknownOperationError, match="no operation is known: start an agent"):
            await client.submit("test.hostname.get")


@pytest.mark.parametrize(
    ("operation", "data", "message"),
    [
        ("test.sleep", {"seconds": "long"}, "Expected `float`, got `str` - at `$.seconds`"),
        ("test.sleep", {}, "missing required field `seconds`"),
        ("test.sleep", None, "it takes Sleep"),
        ("test.hostname.get", {"x": 1}, "it takes no data"),
        ("test.echo", object(), "object"),
        ("test.echo", {1, 2, object()}, "object"),
        ("test.echo", "\ud800", "surrogates"),
    ],
)
async def test_a_payload_that_does_not_fit(
    autojump_clock: object, world: World, operation: str, data: Any, message: str
) -> None:
    async with world.agent("web-01"), world.client() as client:
        with pytest.raises(osapi.InvalidPayloadError) as caught:
            await client.submit(operation, data)
        assert message in str(caught.value)
        assert await nothing_stored(world)


async def test_a_payload_that_only_the_agent_can_judge_fails_the_job(autojump_clock: object, world: World) -> None:
    async with world.agent("web-01"), world.client(operations=None) as client:
        answer = (await (await client.submit("test.sleep", {"seconds": "secret"})).result())["web-01"]
        assert answer.status is SlotStatus.FAILED
        assert "Expected `float`, got `str` - at `$.seconds`" in answer.error
        assert "secret" not in answer.error
        with pytest.raises(osapi.InvalidPayloadError, match="is not JSON"):
            await client.submit("test.sleep", object())


async def test_a_payload_over_the_size_limit(autojump_clock: object, world: World) -> None:
    async with world.agent("web-01"), world.client() as client:
        with pytest.raises(osapi.PayloadTooLargeError, match="at most 1048576 bytes are accepted"):
            await client.submit("test.echo", "x" * 2_000_000)
        assert await nothing_stored(world)


async def test_a_result_over_the_size_limit_fails_the_job(autojump_clock: object, world: World) -> None:
    settings = replace(world.settings, max_result=1000)
    async with world.agent("web-01", settings=settings), world.client() as client:
        # Two bytes are the quotes.
        assert (await (await client.submit("test.big", 998)).result())["web-01"].unwrap() == "x" * 998
        answer = (await (await client.submit("test.big", 999)).result())["web-01"]
    assert answer.status is SlotStatus.FAILED
    assert answer.error == (
        "the result cannot be stored: payload 'result of test.big': is 1001 bytes; at most 1000 bytes are accepted"
    )


async def test_a_handler_that_returns_what_its_annotation_forbids(autojump_clock: object, world: World) -> None:
    async with world.agent("web-01"), world.client() as client:
        answer = (await (await client.submit("test.liar")).result())["web-01"]
    assert answer.status is SlotStatus.FAILED
    assert "it promises Hostname" in answer.error
    assert "Expected `str`, got `int` - at `$.hostname`" in answer.error


async def test_a_handler_that_raises(autojump_clock: object, world: World, caplog: pytest.LogCaptureFixture) -> None:
    async with world.agent("web-01"), world.client() as client:
        answer = (await (await client.submit("test.flaky", ops.Flaky(1, error="boom"))).result())["web-01"]
    assert (answer.status, answer.error) == (SlotStatus.FAILED, "ValueError: boom")
    assert "ValueError: boom" in caplog.text, "its traceback is in the agent's log"


@pytest.mark.parametrize("within", [0.0, -1.0, 3601.0, float("nan"), float("inf")])
async def test_a_time_that_no_job_can_take(autojump_clock: object, world: World, within: float) -> None:
    async with world.agent("web-01"), world.client() as client:
        with pytest.raises(osapi.InvalidSettingError, match="use more than 0, at most 3600"):
            await client.submit("test.hostname.get", within=within)
        assert await nothing_stored(world)


async def test_a_policy_that_cannot_be_kept(autojump_clock: object, world: World) -> None:
    async with world.agent("web-01"), world.client() as client:
        with pytest.raises(osapi.InvalidSettingError, match="policy's attempts"):
            await client.submit("test.hostname.get", policy=osapi.Policy(attempts=0))
        assert await nothing_stored(world)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 10_001}, "limit"),
        ({"offset": -1}, "offset"),
        ({"status": "done"}, "'done': is no status of a job; use submitted, "),
    ],
)
async def test_listing(autojump_clock: object, world: World, options: dict[str, Any], message: str) -> None:
    async with world.client() as client:
        with pytest.raises(osapi.InvalidSettingError, match=message):
            await client.list(**options)


@pytest.mark.parametrize("job_id", ["", "*", ">", "jobs.x", "a" * 40, "../etc"])
async def test_job_ids(autojump_clock: object, world: World, job_id: str) -> None:
    async with world.client() as client:
        for call in (client.get, client.delete, client.retry):
            with pytest.raises(osapi.InvalidKeyError, match="is not the id of a job"):
                await call(job_id)
        with pytest.raises(osapi.UnknownJobError):
            await client.get("01890a5d-ac96-774b-bcce-b302099a8057")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"hostname": ""}, osapi.InvalidNameError, "is empty"),
        ({"hostname": "h" * 300}, osapi.InvalidNameError, "300 characters"),
        ({"hostname": "_any"}, osapi.InvalidNameError, "reserved"),
        ({"hostname": "a", "labels": {"gr.oup": "web"}}, osapi.InvalidLabelError, "gr.oup"),
        ({"hostname": "a", "labels": {"group": ""}}, osapi.InvalidLabelError, "group:"),
        ({"hostname": "a", "labels": {"group": "web..dev"}}, osapi.InvalidLabelError, "web..dev"),
        ({"hostname": "a", "max_jobs": 0}, osapi.InvalidSettingError, "max_jobs"),
    ],
)
async def test_agents(
    autojump_clock: object, world: World, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    async with world.broker.connect() as transport:
        with pytest.raises(error) as caught:
            osapi.Agent(transport, ops.operations, **options)
    assert message in str(caught.value)


async def test_an_agent_name_with_upper_case_is_lowered(autojump_clock: object, world: World) -> None:
    async with world.agent("WEB-01.Example.COM"), world.client() as client:
        answers = await (await client.submit("test.hostname.get", target="web-01.EXAMPLE.com")).result()
    assert answers["web-01.example.com"].data == ops.Hostname("web-01.example.com")


async def test_a_full_bucket_refuses_a_job_aloud_and_takes_the_next_when_there_is_room(
    autojump_clock: object, world: World
) -> None:
    world.settings = osapi.Settings(max_bytes=10_000, ack_wait=10.0)
    async with world.client() as client:
        submitted: list[osapi.JobHandle] = []
        with pytest.raises(osapi.LimitReachedError):
            for _ in range(100):
                submitted.append(await client.submit("test.length", "x" * 500))
        assert 5 < len(submitted) < 20
        await client.delete(submitted[0].id)
        submitted[0] = await client.submit("test.length", "x" * 500)
        async with world.agent("a"):
            for handle in submitted:
                assert (await handle.result())["a"].status is SlotStatus.COMPLETED


async def test_records_that_cannot_be_read_are_left_alone(
    autojump_clock: object, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.broker.connect() as wire, world.agent("a") as agent, world.client() as client:
        jobs = await wire.bucket(job_bucket(world.settings))
        stream = await wire.stream(stream_config(world.settings))
        await jobs.put("jobs.01", b'{"v":2,"body":"from the future"}')
        await stream.publish("jobs.query.any._.01", b"")
        await trio.sleep(30)
        assert agent.counters.unreadable == 1
        assert "has format 2, this osapi reads format 1" in caplog.text
        assert [info.ack_pending for info in await stream.consumers()] == [0, 0]
        assert list(await (await client.submit("test.hostname.get")).result()) == ["a"]


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"job_ttl": 0.5}, "job_ttl"),
        ({"job_ttl": float("nan")}, "job_ttl"),
        ({"ack_wait": 0.0}, "ack_wait"),
        ({"heartbeat": 0.0}, "heartbeat"),
        ({"drain": -1.0}, "drain"),
        ({"persist": -1.0}, "persist"),
        ({"within": 4000.0}, "within"),
        ({"registry_ttl": 15.0}, "registry_ttl"),
    ],
)
def test_settings_that_contradict_are_refused_by_name(values: dict[str, float], name: str) -> None:
    with pytest.raises(osapi.InvalidSettingError, match=name):
        osapi.Settings(**values)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("url", ["", "memory", "http://localhost", "redis://user:secret@host"])
def test_urls(url: str) -> None:
    with pytest.raises(osapi.InvalidSettingError, match="names no installed transport") as caught:
        osapi.connect(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("subject", ["jobs.query.all._.ZZZ", "jobs.query.host.a.ZZZ", "jobs.query.any._.ZZZ"])
async def test_a_stray_message_ends_no_agent(subject: str, autojump_clock: object, world: World) -> None:
    async with world.agent("a") as agent, world.client() as client, world.broker.connect() as wire:
        stream = await wire.stream(stream_config(world.settings))
        await stream.publish(subject, b"")
        await trio.sleep(1)
        assert agent.counters.unreadable == 1
        assert list(await (await client.submit("test.hostname.get")).result()) == ["a"]


@pytest.mark.parametrize("hostname", ["group:web", "_any", "", "a b", "host:*"])
async def test_only_a_hostname_names_an_agent(hostname: str, autojump_clock: object, world: World) -> None:
    async with world.agent("a", "web"), world.client() as client:
        with pytest.raises(osapi.InvalidNameError):
            client.fleet.registration(hostname)
