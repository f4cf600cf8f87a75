"""A span for each request, and one for each attempt, a child of the request that asked for it; needs opentelemetry-api.

The names are those of the Go system for attempts, and for requests opentelemetry's own
(https://opentelemetry.io/docs/specs/semconv/http/http-spans/).

Where the spans go is the program's affair: it configures opentelemetry's SDK, or none, and then this costs little.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from osapi import SlotStatus, tracing

if TYPE_CHECKING:
    from collections.abc import Generator
    from contextlib import AbstractContextManager

    import osapi
    from osapi_telemetry.requests import Request

# Whatever else a stranger calls a method would be a name of its own where spans are counted.
_METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})

_FAILED: Final = (SlotStatus.FAILED, SlotStatus.EXPIRED)
_propagator: Final = TraceContextTextMapPropagator()


def trace_attempt(attempt: osapi.Attempt) -> AbstractContextManager[None]:
    """Trace an attempt: `osapi.Agent(..., observer=trace_attempt)`, with the provider that the program has set."""
    return trace_attempt_with(trace.get_tracer("osapi"), attempt)


@contextmanager
def trace_attempt_with(tracer: trace.Tracer, attempt: osapi.Attempt) -> Generator[None]:
    """Trace an attempt with a tracer of one's own.

    What the handler submits belongs to its span. The error's sentence is not in it: it may quote what nobody shall see.
    """
    attributes: dict[str, str | int] = {
        "job.id": attempt.job_id,
        "job.category": attempt.operation.partition(".")[0],
        "job.operation": attempt.operation,
        "job.type": attempt.kind,
        "job.attempt": attempt.number,
        "host.name": attempt.host,
    }
    with _span(tracer, "job.process", SpanKind.CONSUMER, attempt.traceparent, attributes) as span:
        try:
            yield
        finally:
            if attempt.status is not None:
                span.set_attribute("job.status", attempt.status)
            if attempt.status in _FAILED:
                span.set_status(StatusCode.ERROR)


def trace_request(request: Request) -> AbstractContextManager[None]:
    """Trace a request: `create_app(..., observer=trace_request)`, with the provider that the program has set."""
    return trace_request_with(trace.get_tracer("osapi"), request)


@contextmanager
def trace_request_with(tracer: trace.Tracer, request: Request) -> Generator[None]:
    """Trace a request with a tracer of one's own.

    The jobs that it submits belong to its span. Of what was asked only the path is in it.
    """
    known = request.method in _METHODS
    attributes: dict[str, str | int] = {
        "http.request.method": request.method if known else "_OTHER",
        "url.scheme": request.scheme,
        "url.path": request.path,
    }
    if request.route:
        attributes["http.route"] = request.route
    name = f"{request.method if known else 'HTTP'} {request.route}".rstrip()
    with _span(tracer, name, SpanKind.SERVER, request.traceparent, attributes) as span:
        try:
            yield
        finally:
            if request.status is not None:
                span.set_attribute("http.response.status_code", request.status)
            if request.status is not None and request.status >= 500:
                span.set_attribute("error.type", str(request.status))
                span.set_status(StatusCode.ERROR)


@contextmanager
def _span(
    tracer: trace.Tracer, name: str, kind: SpanKind, parent: str, attributes: dict[str, str | int]
) -> Generator[trace.Span]:
    """Open a span, to which belongs what is submitted inside; of an exception nothing is told."""
    with tracer.start_as_current_span(
        name,
        _propagator.extract({tracing.HEADER: parent}),
        kind,
        attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        told = tracing.traceparent.set(carrier.get(tracing.HEADER) or parent)
        try:
            yield span
        finally:
            tracing.traceparent.reset(told)
