"""What an endpoint is, what its handler is given, and what it gives back."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trio
from quart import url_for

from osapi.ids import Ids
from osapi_api.rates import Rates

if TYPE_CHECKING:
    from collections.abc import Mapping

    import osapi
    from osapi.transport import Transport
    from osapi_api.audit import Audit
    from osapi_api.options import Options
    from osapi_api.security import Identity, Security
    from osapi_telemetry import RequestObserver


_PATH_PART = re.compile(r"<(?:\w+:)?(\w+)>")

# Tells events, one after the other, by calling what it is given with each.
Write = Callable[["ServerSentEvent"], Awaitable[None]]
Tell = Callable[[Write], Awaitable[None]]


@dataclass(frozen=True)
class ServerSentEvent:
    """One event of a stream; `data` can be encoded as JSON, `id` says where to go on after it."""

    event: str = ""
    data: Any = None
    id: str = ""


@dataclass
class Api:
    """What all requests share.

    `waiting` counts those that wait for a job, `readers` those that read a stream of events. `draining` ends readiness,
    `stopping` the streams.
    """

    client: osapi.Client
    transport: Transport
    operations: osapi.Operations
    security: Security
    settings: osapi.Settings
    options: Options
    audit: Audit | None = None
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    observer: RequestObserver | None = None
    waiting: int = 0
    readers: int = 0
    draining: bool = False
    stopping: trio.Event = field(default_factory=trio.Event)
    ids: Ids = field(default_factory=Ids)
    rates: Rates = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count how often each asks."""
        self.rates = Rates(self.options.rate, self.options.burst)


@dataclass(frozen=True)
class Call:
    """One request whose caller may make it: `query` and `body` are decoded as the endpoint's types.

    `key` is under what its job is submitted once, None if its caller did not ask for that. `last_event` is the id of
    the last event that its caller has read of a stream, empty if there is none.
    """

    api: Api
    path: Mapping[str, str]
    query: Any
    body: Any
    prefer_async: bool
    identity: Identity | None
    key: str | None = None
    last_event: str = ""

    def url(self, endpoint: str, **values: Any) -> str:
        """Return the path of another endpoint, wherever the API is mounted."""
        return url_for(f".{endpoint}", **values)


@dataclass(frozen=True)
class Reply:
    """An answer: a body that can be encoded as JSON, or none, or a stream of events.

    With a `content_type` the body is sent as it is, bytes or what an async generator yields of them.
    """

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content_type: str = ""
    events: Tell | None = None


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method on one path; without a permission anybody may ask.

    `path` is in werkzeug's notation, `path_types` has the types of those of its parts that go into a payload. `query`
    and `body` are the types that they are read as, None where there is none; a body of type `Any` is given to the
    handler as the bytes that came, `body_schema` describes them, and `body_omits` names those of its fields that the
    path gives. `takes_key` says that it submits a job, once if the request has an idempotency key; `unlimited` is what
    probes ask, however often. `events` names the events that it answers with as they happen, each with its type.
    `answers` maps each status to the type of its body.
    """

    name: str
    method: str
    path: str
    summary: str
    handler: Callable[[Call], Awaitable[Reply]]
    answers: Mapping[int, Any]
    permission: str | None = None
    path_types: Mapping[str, Any] = field(default_factory=dict[str, Any])
    query: Any = None
    body: Any = None
    body_schema: Any = None
    body_omits: tuple[str, ...] = ()
    takes_key: bool = False
    events: Mapping[str, Any] = field(default_factory=dict[str, Any])
    unlimited: bool = False


def template(path: str) -> str:
    """Return a path in werkzeug's notation as OpenAPI writes it: `/job/{job_id}`."""
    return _PATH_PART.sub(r"{\1}", path)
