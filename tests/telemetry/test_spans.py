"""A span for each attempt, a child of the request, and the parent of what the handler submits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

import osapi
from osapi import tracing
from osapi_memory import Broker
from osapi_telemetry.spans import trace_attempt
from tests.promises.conftest import until

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


async def test_an_attempt_is_a_span_of_the_caller_s_trace(spans: InMemorySpanExporter) -> None:
    operations = osapi.Operations()
    seen: list[str] = []

    @operations.modify("user.login.run", secrets=("password",))
    async def login(job: osapi.Job, data: dict[str, str]) -> None:
        seen.append(tracing.traceparent.get())
        if data:
            raise ValueError("hunter22")

    async with Broker() as broker, broker.connect() as one, broker.connect() as two:
        agent = osapi.Agent(one, operations, hostname="a", observer=trace_attempt)
        async with agent, osapi.Client(two, operations) as client:
            tracing.traceparent.set(PARENT)
            handle = await client.submit("user.login.run", {})
            await handle.result()
            await (await client.submit("user.login.run", {"password": "hunter22"})).result()
            await until(lambda: len(spans.get_finished_spans()) == 2)
    first, second = spans.get_finished_spans()
    assert first.name == "job.process"
    assert first.parent is not None
    assert f"{first.parent.trace_id:032x}-{first.parent.span_id:016x}" == PARENT[3:-3]
    assert first.attributes == {
        "job.id": handle.id,
        "job.category": "user",
        "job.operation": "user.login.run",
        "job.type": "modify",
        "job.attempt": 1,
        "job.status": "completed",
        "host.name": "a",
    }
    assert first.context is not None
    assert seen[0] == f"00-{first.context.trace_id:032x}-{first.context.span_id:016x}-01"
    assert (first.status.status_code, second.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
    assert "hunter22" not in second.to_json()


async def test_without_an_sdk_the_trace_is_handed_on_as_it_came() -> None:
    attempt = osapi.Attempt(job_id="1", operation="a.b", kind="query", host="a", number=1, traceparent=PARENT)
    before = tracing.traceparent.get()
    with trace_attempt(attempt):
        assert tracing.traceparent.get().startswith(PARENT[:36])
    assert tracing.traceparent.get() == before
