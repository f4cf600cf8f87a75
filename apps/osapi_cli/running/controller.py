"""The controller: a client with its background, and the API over it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import trio

import osapi
from osapi.nursery import background
from osapi_agent import facts, operations
from osapi_api import Audit, create_app, serve
from osapi_cli.running.broker import open_broker
from osapi_cli.running.health import Reached, cannot_listen, probes
from osapi_cli.running.notices import teller
from osapi_cli.running.pki import accept_all, controller_keys, succeed
from osapi_cli.running.tracing import tracer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from quart_trio import QuartTrio

    from osapi.transport import Transport
    from osapi_cli.running.lifetime import Lifetime
    from osapi_cli.running.pki import Keys
    from osapi_cli.wiring import ControllerPlan
    from osapi_telemetry import Metrics, RequestObserver


async def run(lifetime: Lifetime, plan: ControllerPlan, *, patience: float) -> None:
    """Run the controller until it is told to stop.

    Raises:
        UnavailableError: no broker, or an address that cannot be listened on.
        KeyFileError, ProblemError: the keys, as in `pki.controller_keys`.
        MismatchError, AccessRefusedError: the broker has other settings, or refuses us.

    """
    keys = controller_keys(plan.pki)
    reached = Reached(lifetime)
    async with (
        probes(reached, plan.metrics, "controller.metrics"),
        open_broker(plan.broker, lifetime, patience=patience) as transport,
        blocks(transport, plan, keys, reached.metrics) as client,
        api(lifetime, plan, transport, client) as url,
    ):
        reached.place(transport, plan.settings)
        lifetime.is_ready(f"the API is at {url}")
        await lifetime.stopping.wait()


@asynccontextmanager
async def blocks(
    transport: Transport, plan: ControllerPlan, keys: Keys, metrics: Metrics
) -> AsyncGenerator[osapi.Client]:
    """Open all that a controller has in the background, for the length of a block; its API goes inside.

    What else a controller shall do is one more line here: a block that works while it is open, or a task. With several
    controllers, one of them sweeps, one conducts rollouts, one tells of conditions, and all share
    the schedules.
    """
    async with (
        _client(transport, plan, keys) as client,
        # It keeps the stories of dead letters, too.
        osapi.Sweeper(transport, settings=plan.settings, signer=keys.signer, trust=keys.trust),
        osapi.Scheduler(transport, settings=plan.settings, signer=keys.signer, trust=keys.trust),
        background() as nursery,
    ):
        metrics.watch_client(client)
        await nursery.start(client.rollouts.conduct)
        if plan.pki is not None and plan.pki.auto_accept:
            nursery.start_soon(accept_all, client)
        if plan.notifying is None:
            yield client
            return
        async with teller(plan.notifying) as tell, background() as telling:
            await telling.start(partial(client.fleet.alert, tell, renotify=plan.notifying.renotify))
            yield client


@asynccontextmanager
async def _client(transport: Transport, plan: ControllerPlan, keys: Keys) -> AsyncGenerator[osapi.Client]:
    async with osapi.Client(
        transport, operations, settings=plan.settings, signer=keys.first, trust=keys.trust
    ) as client:
        await succeed(client, keys, plan.pki)
        yield client


@asynccontextmanager
async def api(
    lifetime: Lifetime, plan: ControllerPlan, transport: Transport, client: osapi.Client
) -> AsyncGenerator[str]:
    """Serve the API for the length of a block, which is given its URL and lasts until the program is to stop.

    The end of the block waits for the requests that run.

    Raises:
        UnavailableError: the address cannot be listened on.

    """
    audit = Audit(transport, plan.audit)
    ended = trio.Event()

    async def serve_it(app: QuartTrio, *, task_status: trio.TaskStatus[list[str]]) -> None:
        host, port = plan.api.host, plan.api.port
        await serve(app, host=host, port=port, shutdown=lifetime.stopping, task_status=task_status)
        ended.set()

    # Audit and spans end last, when the requests that they tell of have been answered.
    async with audit, _observer(plan) as observer, background() as nursery:
        app = create_app(
            client,
            transport=transport,
            operations=operations,
            security=plan.security,
            settings=plan.settings,
            options=plan.options,
            audit=audit,
            facts=facts.DESCRIPTIONS,
            observer=observer,
        )
        try:
            (url,) = await nursery.start(serve_it, app)
        except OSError as error:
            raise cannot_listen(plan.api, "controller.api", error) from error
        yield url
        await ended.wait()


@asynccontextmanager
async def _observer(plan: ControllerPlan) -> AsyncGenerator[RequestObserver | None]:
    """Return what makes a span of every request, None where none are wanted."""
    async with tracer(plan.tracing, service=plan.broker.name) as made:
        if made is None:
            yield None
            return
        from osapi_telemetry.spans import trace_request_with  # noqa: PLC0415 - most do without

        yield partial(trace_request_with, made)
