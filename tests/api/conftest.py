"""A broker, two agents, a client and the API over it."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import msgspec
import pytest

import osapi
import osapi_api
from osapi_api.app import EXTENSION
from osapi_memory import Broker
from tests.api.operations import operations

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from quart_trio import QuartTrio

    from osapi.transport import Transport

    Connect = Callable[[], AbstractAsyncContextManager[Transport]]

KEY = "0123456789abcdef0123456789abcdef"
SECURITY = osapi_api.Security(KEY, roles={"operator": ["test:read", "test:write"], "nobody": []})
AGENTS = {"web-01": {"group": "web.dev"}, "db-01": {"group": "db.dev"}}


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str]


class Rest:
    """Requests to an app, by default with a token of the role admin."""

    def __init__(self, app: QuartTrio, client: osapi.Client, transport: Any, prefix: str = "/api") -> None:
        self.app = app
        self.client = client
        self.transport = transport
        self.prefix = prefix

    def end_streams(self) -> None:
        """Let streams of events end as soon as they begin, as those of a server do that stops."""
        for api in self.app.extensions[EXTENSION]:
            api.stopping.set()

    async def __call__(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> Answer:
        """Make a request; keyword arguments are headers, with `_` for `-`."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is None:
            token = token_of("admin")
        if token:
            given["Authorization"] = f"Bearer {token}"
        if body is not None:
            given.setdefault("Content-Type", "application/json")
            body = body if isinstance(body, bytes) else msgspec.json.encode(body)
        client: Any = self.app.test_client()
        response = await client.open(self.prefix + path, method=method, headers=given, data=body)
        raw = await response.get_data()
        assert response.headers["X-Request-ID"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        is_stream = response.headers.get("Content-Type") == "text/event-stream"
        found = raw if is_stream else msgspec.json.decode(raw) if raw else None
        if response.status_code >= 400 and response.headers["Content-Type"] == "application/problem+json":
            check_problem(found, response.status_code, response.headers["X-Request-ID"])
        return Answer(response.status_code, found, response.headers)


def check_problem(body: Any, status: int, request_id: str) -> None:
    """Every problem has these members, and they agree."""
    assert body.keys() == {"type", "title", "status", "detail", "error", "request_id"}
    assert body["status"] == status
    assert body["error"] == body["detail"]
    assert body["error"]
    assert body["request_id"] == request_id


def token_of(*roles: str, permissions: list[str] | None = None) -> str:
    """Return a valid token."""
    return SECURITY.generate("tester", roles=roles, permissions=permissions)


@asynccontextmanager
async def fleet(
    *,
    agents: Mapping[str, Mapping[str, str]] = AGENTS,
    max_jobs: int = 10,
    options: osapi_api.Options | None = None,
    connect: Connect | None = None,
    **settings: Any,
) -> AsyncGenerator[Rest]:
    """Run agents, and open the API to them."""
    shared = osapi.Settings(**settings)
    async with AsyncExitStack() as stack:
        if connect is None:
            connect = (await stack.enter_async_context(Broker())).connect
        transport = await stack.enter_async_context(connect())
        for name, labels in agents.items():
            wire = await stack.enter_async_context(connect())
            agent = osapi.Agent(wire, operations, hostname=name, labels=labels, max_jobs=max_jobs, settings=shared)
            await stack.enter_async_context(agent)
        client = await stack.enter_async_context(osapi.Client(transport, operations, settings=shared))
        app = osapi_api.create_app(
            client, transport=transport, operations=operations, security=SECURITY, settings=shared, options=options
        )
        yield Rest(app, client, transport)


@pytest.fixture
async def api() -> AsyncIterator[Rest]:
    async with fleet() as rest:
        yield rest


@pytest.fixture(params=["memory", "nats"])
async def both(request: pytest.FixtureRequest) -> AsyncIterator[Rest]:
    """The same over the broker in memory, and over a namespace of its own on a real server."""
    quick: dict[str, Any] = {"heartbeat": 0.1, "storage": "memory"}
    if request.param == "memory":
        async with fleet(**quick) as rest:
            yield rest
        return
    url = f"{request.getfixturevalue('nats_server')}/?namespace=api-{uuid4().hex[:8]}"
    async with fleet(connect=lambda: osapi.connect(url), **quick) as rest:
        yield rest
    settings = osapi.Settings()
    async with osapi.connect(url) as transport:
        for name in settings.buckets:
            await transport.delete_bucket(name)
        for name in settings.streams:
            await transport.delete_stream(name)
