"""The app, the blueprint, and what answers where nothing is."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from quart import Blueprint, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

import osapi
from osapi_api import docs_page, health, openapi
from osapi_api.dispatch import answer, answer_nothing, guard
from osapi_api.endpoints import Api
from osapi_api.offered import endpoints as offered
from osapi_api.options import Options
from osapi_api.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from quart import Response
    from quart.blueprints import BlueprintSetupState
    from werkzeug.routing import MapAdapter

    from osapi.transport import Transport
    from osapi_api.audit import Audit
    from osapi_api.endpoints import Endpoint
    from osapi_api.security import Security
    from osapi_telemetry import RequestObserver

EXTENSION: Final = "osapi_api"

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")


def create_app(
    client: osapi.Client,
    *,
    transport: Transport,
    operations: osapi.Operations,
    security: Security,
    settings: osapi.Settings | None = None,
    options: Options | None = None,
    audit: Audit | None = None,
    facts: Mapping[str, str] | None = None,
    observer: RequestObserver | None = None,
) -> QuartTrio:
    """Return the API as an app: at `/api`, and its health at `/health` besides.

    `transport` and `settings` are those of the client; the health endpoints look at them. `operations` are what the API
    offers, each under its own permission. `audit` keeps who asked for what; its block is around that of the server.
    `facts` describes the facts that the fleet's agents tell by themselves, as `osapi_agent.facts.DESCRIPTIONS` does.
    `observer` is told of every request but those of probes, as `osapi_telemetry.spans.trace_request` wants it.
    """
    settings, options = settings or osapi.Settings(), options or Options()
    api = Api(client, transport, operations, security, settings, options, audit, facts or {}, observer)
    app = QuartTrio("osapi_api", static_folder=None)
    app.url_map.merge_slashes = False
    # What arrives is kept until it is read: no more than will be.
    app.config["MAX_CONTENT_LENGTH"] = api.options.max_body
    app.register_blueprint(_blueprint(api, "osapi_api"), url_prefix="/api")
    probes = Blueprint("osapi_health", __name__)
    for endpoint in health.ENDPOINTS:
        _add(probes, api, endpoint)
    app.register_blueprint(probes)
    app.register_error_handler(HTTPException, _elsewhere(api))
    return app


def create_blueprint(
    client: osapi.Client,
    *,
    transport: Transport,
    operations: osapi.Operations,
    security: Security,
    settings: osapi.Settings | None = None,
    options: Options | None = None,
    audit: Audit | None = None,
    facts: Mapping[str, str] | None = None,
    observer: RequestObserver | None = None,
    name: str = "osapi_api",
) -> Blueprint:
    """Return the API as a blueprint: `app.register_blueprint(blueprint, url_prefix="/api")`, on a `QuartTrio`.

    It answers every path below its prefix, those where nothing is included, and touches nothing of the app outside.
    """
    settings, options = settings or osapi.Settings(), options or Options()
    api = Api(client, transport, operations, security, settings, options, audit, facts or {}, observer)
    return _blueprint(api, name)


def _blueprint(api: Api, name: str) -> Blueprint:
    blueprint = Blueprint(name, __name__)
    endpoints = offered(api.operations)
    endpoints.extend([openapi.endpoint(endpoints), *docs_page.ENDPOINTS])
    for endpoint in endpoints:
        _add(blueprint, api, endpoint)
    nothing = _nothing(api, endpoints)
    for path in ("", "/", "/<path:path>"):
        blueprint.add_url_rule(path, "nothing", nothing, methods=_METHODS, provide_automatic_options=False)
    blueprint.record(_enlist(api))
    return blueprint


def _enlist(api: Api) -> Callable[[BlueprintSetupState], None]:
    def enlist(state: BlueprintSetupState) -> None:
        state.app.extensions.setdefault(EXTENSION, []).append(api)

    return enlist


def _add(blueprint: Blueprint, api: Api, endpoint: Endpoint) -> None:
    async def view(**path: str) -> Response:
        return await answer(api, endpoint, path)

    blueprint.add_url_rule(
        endpoint.path, endpoint.name, view, methods=[endpoint.method], provide_automatic_options=False
    )


def _nothing(api: Api, endpoints: Sequence[Endpoint]) -> Callable[..., Awaitable[Response]]:
    # Rules take their time to be compiled: not before somebody asks for what is not there.
    everything = cache(lambda: _adapter(endpoints))
    public = cache(lambda: _adapter([endpoint for endpoint in endpoints if endpoint.permission is None]))

    async def nothing(path: str = "") -> Response:
        return await answer_nothing(
            api,
            lambda: sorted(everything().allowed_methods(f"/{path}")),
            public=lambda: bool(public().allowed_methods(f"/{path}")),
        )

    return nothing


def _adapter(endpoints: Sequence[Endpoint]) -> MapAdapter:
    rules = [Rule(endpoint.path, methods=[endpoint.method], endpoint=endpoint.name) for endpoint in endpoints]
    return Map(rules, merge_slashes=False).bind("localhost")


def _elsewhere(api: Api) -> Callable[[HTTPException], Awaitable[Response]]:
    async def elsewhere(error: HTTPException) -> Response:
        async def refuse() -> Response:
            if request.method not in {*_METHODS, "HEAD"}:
                raise ProblemError(501, f"this method is unknown; there are {', '.join(_METHODS)}")
            raise error

        return await guard(api, refuse)

    return elsewhere
