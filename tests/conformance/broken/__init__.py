"""Backends with one plausible bug each, which the conformance suite has to catch."""

from __future__ import annotations

from tests.conformance.broken import buckets, calls, consumers, dead_letters, redelivery, streams, watches
from tests.conformance.broken.proxy import Proxy, opener

__all__ = ["FAULTS", "Proxy", "opener"]

FAULTS: tuple[type[Proxy], ...] = tuple(
    value
    for module in (calls, buckets, watches, streams, dead_letters, consumers, redelivery)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, Proxy) and value.breaks
)
