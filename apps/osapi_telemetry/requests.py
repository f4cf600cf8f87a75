"""What a program may know of each request that it answers, to trace it or to measure it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from msgspec import Struct


class Request(Struct, kw_only=True):
    """One request while it is answered.

    `route` is the path as the description of the API has it, `/api/job/{job_id}`, empty where nothing is at the path.
    `traceparent` says which trace it belongs to (W3C Trace Context), empty if its sender did not. `status` is that of
    the answer, None before, and for good if the sender left.
    """

    method: str
    scheme: str
    path: str
    route: str
    traceparent: str = ""
    status: int | None = None


# The block is entered before the handler runs and left when the answer is there. It must not wait, and not fail.
RequestObserver = Callable[[Request], AbstractContextManager[object]]
