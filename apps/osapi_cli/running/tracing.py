"""Spans of a program that is configured to tell them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from opentelemetry.trace import Tracer

    from osapi_cli.wiring import Tracing


@asynccontextmanager
async def tracer(tracing: Tracing | None, *, service: str) -> AsyncGenerator[Tracer | None]:
    """Return what makes spans, None where none are wanted, and send them for the length of the block."""
    if tracing is None:
        yield None
        return
    from osapi_telemetry.exporting import exporting  # noqa: PLC0415 - most do without

    async with exporting(tracing.exporter, tracing.endpoint, service=service) as made:
        yield made
