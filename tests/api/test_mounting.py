"""The API in an app of somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from quart_trio import QuartTrio

import osapi_api
from tests.api.conftest import SECURITY, Rest
from tests.api.operations import operations

if TYPE_CHECKING:
    from quart import Blueprint


@pytest.fixture
def blueprint(api: Rest) -> Blueprint:
    return osapi_api.create_blueprint(api.client, transport=api.transport, operations=operations, security=SECURITY)


@pytest.fixture
def app(blueprint: Blueprint) -> QuartTrio:
    app = QuartTrio("theirs")

    async def home() -> str:
        return "home"

    async def missing(error: Exception) -> tuple[str, int]:
        return "their own page", 404

    app.add_url_rule("/", "home", home)
    app.register_error_handler(404, missing)
    app.register_blueprint(blueprint, url_prefix="/fleet")
    return app


async def test_it_answers_below_its_prefix(api: Rest, app: QuartTrio) -> None:
    mounted = Rest(app, api.client, api.transport, "/fleet")

    ran = await mounted("POST", "/node/web-01/command/exec", {"command": "ls"})
    assert ran.headers["Location"] == f"/fleet/job/{ran.body['job_id']}"
    assert (await mounted("GET", "/health", token="")).status == 200
    assert (await mounted("GET", "/health/status")).body["jobs"]["total"] == 1


async def test_its_errors_are_its_own_whatever_the_app_has(api: Rest, app: QuartTrio) -> None:
    mounted = Rest(app, api.client, api.transport, "/fleet")

    for path in ("/nothing", "/", "", "/node"):
        answer = await mounted("GET", path)
        assert (answer.status, answer.body["error"]) == (404, "there is nothing at this path")
    answer = await mounted("PUT", "/agent")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert (await mounted("GET", "/job/x")).status == 400


async def test_the_app_outside_is_untouched(app: QuartTrio) -> None:
    client = app.test_client()

    home = await client.get("/")
    assert (await home.get_data(as_text=True), home.status_code) == ("home", 200)
    assert "X-Request-ID" not in home.headers
    missing = await client.get("/elsewhere")
    assert (await missing.get_data(as_text=True), missing.status_code) == ("their own page", 404)
    assert (await client.get("/health")).status_code == 404


async def test_its_own_body_bound_counts_whatever_the_app_allows(api: Rest) -> None:
    options = osapi_api.Options(max_body=100)
    app = QuartTrio("theirs")
    blueprint = osapi_api.create_blueprint(
        api.client, transport=api.transport, operations=operations, security=SECURITY, options=options
    )
    app.register_blueprint(blueprint, url_prefix="/fleet")
    refused = await Rest(app, api.client, api.transport, "/fleet")("POST", "/operation/_any/test.echo", "x" * 200)

    assert (refused.status, "at most 100 bytes" in refused.body["error"]) == (413, True)


async def test_a_small_body_bound_of_the_app_counts_too(api: Rest, app: QuartTrio) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 100
    mounted = Rest(app, api.client, api.transport, "/fleet")

    assert (await mounted("POST", "/operation/_any/test.echo", "x" * 200)).status == 413
    assert (await mounted("POST", "/operation/_any/test.echo", "x" * 50)).status == 200
