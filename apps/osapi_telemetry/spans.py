"""A span for each attempt, a child of the request that asked for it; needs opentelemetry-api.

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
    parent = _propagator.extract({tracing.HEADER: attempt.traceparent})
    attributes: dict[str, str | int] = {
        "job.id": attempt.job_id,
        "job.category": attempt.operation.partition(".")[0],
        "job.operation": attempt.operation,
        "job.type": attempt.kind,
        "job.attempt": attempt.number,
        "host.name": attempt.host,
    }
    with tracer.start_as_current_span(
        "job.process",
        parent,
        SpanKind.CONSUMER,
        attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        told = tracing.traceparent.set(carrier.get(tracing.HEADER) or attempt.traceparent)
        try:
            yield
        finally:
            tracing.traceparent.reset(told)
            if attempt.status is not None:
                span.set_attribute("job.status", attempt.status)
            if attempt.status in _FAILED:
                span.set_status(StatusCode.ERROR)
