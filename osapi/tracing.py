"""W3C Trace Context: which trace a job belongs to, handed from the request to the notification to the agent.

It goes with the task that submits, as a context variable, and with the message, as its header `traceparent`
(https://www.w3.org/TR/trace-context/). Nothing of it is stored in the job: a definition that an older agent does not
know in full is refused by it. Nothing here needs opentelemetry.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final

HEADER: Final = "traceparent"

_FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")

traceparent: Final[ContextVar[str]] = ContextVar("osapi.traceparent", default="")


def trace_id(text: str) -> str:
    """Return the id of the trace that a `traceparent` names, empty if it is none."""
    found = _FORM.fullmatch(text)
    return found[1] if found and found[1].strip("0") and found[2].strip("0") else ""


def headers() -> dict[str, str] | None:
    """Return the headers of a message that belongs to the trace of this task, None without one."""
    current = traceparent.get()
    return {HEADER: current} if current else None
