"""Where spans go: to stdout as a JSON object a line, or to a collector over OTLP; needs opentelemetry-sdk.

Spans are sent by a thread of opentelemetry's own, in batches, so that no job waits for whoever takes them. What it
cannot get rid of is dropped, the oldest first.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Literal

import trio
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

_LAST: Final = 5.0  # seconds that what is left may take at the end


@asynccontextmanager
async def exporting(exporter: Literal["stdout", "otlp"], endpoint: str = "", *, service: str) -> AsyncGenerator[Tracer]:
    """Return what makes spans, for `osapi_telemetry.spans`, and send them for the length of the block.

    `endpoint` is that of a collector that speaks OTLP over gRPC: `host:port` or `http://host:port` in plain text,
    `https://host:port` with TLS. The end of the block sends what is left, for five seconds at most; what remains then
    is lost.

    Raises:
        ModuleNotFoundError: otlp without `opentelemetry-exporter-otlp-proto-grpc`.

    """
    resource = Resource.create({"service.name": service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_exporter(exporter, endpoint)))
    try:
        yield provider.get_tracer("osapi")
    finally:
        with trio.move_on_after(_LAST, shield=True):
            await trio.to_thread.run_sync(provider.shutdown, abandon_on_cancel=True)


def _exporter(exporter: str, endpoint: str) -> SpanExporter:
    if exporter == "stdout":
        return ConsoleSpanExporter(formatter=_line)
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - heavy

    return OTLPSpanExporter(endpoint=endpoint, insecure=not endpoint.startswith("https://"))


def _line(span: ReadableSpan) -> str:
    return f"{span.to_json(indent=None)}\n"
