"""The description of the API is valid, and is of what is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

import osapi
import osapi_agent
import osapi_api
from osapi_api.offered import endpoints
from osapi_api.openapi import describe
from osapi_api.routes import ROUTES
from tests.api.conftest import SECURITY, Rest
from tests.api.operations import operations

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.mark.parametrize("registry", [operations, osapi_agent.operations, osapi.Operations()])
def test_it_is_valid(registry: osapi.Operations) -> None:
    validate(msgspec.json.decode(msgspec.json.encode(describe(endpoints(registry)))))


def test_every_route_has_an_operation_that_agents_offer() -> None:
    assert {route.operation for route in ROUTES} <= {*osapi_agent.operations}


async def test_it_tells_where_it_is_and_what_is_served(api: Rest) -> None:
    found = (await api("GET", "/openapi.json", token="")).body

    assert found["openapi"] == "3.1.0"
    assert found["servers"] == [{"url": "/api"}]
    assert found["paths"].keys() >= {
        "/job",
        "/job/{job_id}/retry",
        "/agent/{hostname}",
        "/health/status",
        "/node/{target}/network/dns/{interface}",
        "/operation/{target}/test.echo",
    }
    assert found["paths"]["/health"]["get"]["security"] == []
    execute = found["paths"]["/node/{target}/command/exec"]["post"]
    assert execute["security"] == [{"token": []}]
    assert "command:execute" in execute["description"]
    assert execute["requestBody"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Exec"}
    assert {"JobDetail", "JobList", "AgentInfo", "Problem", "Status", "CommandExecRunRows"} <= {
        *found["components"]["schemas"]
    }


async def test_what_the_path_gives_is_not_in_the_body(api: Rest) -> None:
    found = (await api("GET", "/openapi.json")).body
    signal = found["paths"]["/node/{target}/process/{pid}/signal"]["post"]["requestBody"]

    assert signal["required"] is True
    schema = signal["content"]["application/json"]["schema"]
    assert schema["required"] == ["signal"]
    assert schema["properties"].keys() == {"signal"}
    retry = found["paths"]["/job/{job_id}/retry"]["post"]["requestBody"]
    assert retry["required"] is False


CALLS: list[tuple[str, str, str, Any]] = [
    ("GET", "/job", "/job", None),
    ("GET", "/job?limit=0", "/job", None),
    ("GET", "/job/dlq", "/job/dlq", None),
    ("DELETE", "/job/dlq?all=true", "/job/dlq", None),
    ("GET", "/job/dlq/7", "/job/dlq/{sequence}", None),
    ("POST", "/agent/web-01/drain", "/agent/{hostname}/drain", None),
    ("POST", "/agent/web-01/undrain", "/agent/{hostname}/undrain", None),
    ("GET", "/agent", "/agent", None),
    ("GET", "/agent/web-01", "/agent/{hostname}", None),
    ("GET", "/agent/web-99", "/agent/{hostname}", None),
    ("GET", "/health", "/health", None),
    ("GET", "/health/ready", "/health/ready", None),
    ("GET", "/health/status", "/health/status", None),
    ("GET", "/node/_all/hostname", "/node/{target}/hostname", None),
    ("GET", "/node/_all/uptime", "/node/{target}/uptime", None),
    ("GET", "/node/x/uptime", "/node/{target}/uptime", None),
    ("GET", "/node/web-01/process/1", "/node/{target}/process/{pid}", None),
    ("POST", "/node/web-01/command/exec", "/node/{target}/command/exec", {"command": "ls"}),
    ("POST", "/operation/_all/test.echo", "/operation/{target}/test.echo", [1]),
]


@pytest.mark.parametrize(("method", "path", "described", "body"), CALLS)
async def test_answers_are_as_described(api: Rest, method: str, path: str, described: str, body: Any) -> None:
    await api("GET", "/node/_all/uptime")
    document = (await api("GET", "/openapi.json")).body
    answer = await api(method, path, body)

    responses = document["paths"][described][method.lower()]["responses"]
    (content,) = responses[str(answer.status)]["content"].items()
    assert answer.headers["Content-Type"] == content[0]
    check(document, content[1]["schema"], answer.body)


def check(document: Mapping[str, Any], schema: Mapping[str, Any], body: Any) -> None:
    """Refuse a body that its schema does not describe, or that has members that it does not name."""
    validator: Any = OAS31Validator({**schema, "components": document["components"]})
    validator.validate(body)
    if "$ref" in schema:
        named = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        assert body.keys() <= named["properties"].keys()


async def test_the_document_of_a_mounted_api_says_where_it_is(api: Rest) -> None:
    app = osapi_api.create_app(api.client, transport=api.transport, operations=operations, security=SECURITY)
    blueprint = osapi_api.create_blueprint(
        api.client, transport=api.transport, operations=operations, security=SECURITY, name="second"
    )
    app.register_blueprint(blueprint, url_prefix="/fleet/v1")
    found = await Rest(app, api.client, api.transport, "/fleet/v1")("GET", "/openapi.json")

    assert found.body["servers"] == [{"url": "/fleet/v1"}]
