"""Who may do what, on every endpoint there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from osapi_api.offered import endpoints
from tests.api.conftest import Rest, fleet, token_of
from tests.api.operations import operations

if TYPE_CHECKING:
    from osapi_api.endpoints import Endpoint

ENDPOINTS = {e.name: e for e in endpoints(operations)}
GUARDED = {name: endpoint for name, endpoint in ENDPOINTS.items() if endpoint.permission}

# The contract's own words, so that a change of a permission does not go unnoticed.
CONTRACT = {
    "list_jobs": "job:read",
    "get_job": "job:read",
    "delete_job": "job:write",
    "retry_job": "job:write",
    "cancel_job": "job:write",
    "job_events": "job:read",
    "job_output": "job:read",
    "events": "job:read",
    "list_dead_letters": "job:read",
    "get_dead_letter": "job:read",
    "replay_dead_letter": "job:write",
    "delete_dead_letter": "job:write",
    "purge_dead_letters": "job:write",
    "list_agents": "agent:read",
    "get_agent": "agent:read",
    "drain_agent": "agent:write",
    "list_fact_keys": "agent:read",
    "list_audit": "audit:read",
    "get_audit": "audit:read",
    "export_audit": "audit:read",
    "undrain_agent": "agent:write",
    "list_schedules": "job:read",
    "get_schedule": "job:read",
    "set_schedule": "job:write",
    "pause_schedule": "job:write",
    "resume_schedule": "job:write",
    "delete_schedule": "job:write",
    "alive": None,
    "ready": None,
    "status": "health:read",
    "get_node_hostname_get": "node:read",
    "get_network_dns_get": "network:read",
    "put_network_dns_update": "network:write",
    "delete_network_dns_delete": "network:write",
    "post_command_exec_run": "command:execute",
    "get_process_get": "process:read",
    "post_process_signal_send": "process:execute",
    "operation_test_touch": "test:write",
}


def concrete(endpoint: Endpoint) -> str:
    return re.sub(r"<\w+>", "x", endpoint.path)


@pytest.mark.parametrize("name", CONTRACT)
def test_the_permissions_are_those_of_the_contract(name: str) -> None:
    assert ENDPOINTS[name].permission == CONTRACT[name]


async def test_nothing_is_answered_without_a_valid_token() -> None:
    async with fleet(agents={}) as api:
        for endpoint in GUARDED.values():
            for authorization in ("", "Bearer", "Bearer  ", "Basic YTpi", "Bearer x.y.z"):
                answer = await api(endpoint.method, concrete(endpoint), token="", Authorization=authorization)
                assert answer.status == 401, endpoint.name
                assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="osapi"')
                assert "token" in answer.body["error"]


async def test_every_endpoint_names_the_permission_that_is_missing() -> None:
    async with fleet(agents={}) as api:
        for endpoint in GUARDED.values():
            # Everything but what it needs.
            others = sorted({str(e.permission) for e in GUARDED.values()} - {str(endpoint.permission)})
            answer = await api(endpoint.method, concrete(endpoint), token=token_of(permissions=others))
            assert answer.status == 403, endpoint.name
            assert str(endpoint.permission) in answer.body["error"]
            assert f'scope="{endpoint.permission}"' in answer.headers["WWW-Authenticate"]


async def test_every_endpoint_lets_in_who_has_the_one_permission() -> None:
    async with fleet(agents={}) as api:
        api.end_streams()
        for endpoint in GUARDED.values():
            token = token_of(permissions=[str(endpoint.permission)])
            # Whatever is wrong with such a request, it is not the permission.
            answer = await api(endpoint.method, concrete(endpoint), token=token)
            assert answer.status not in {401, 403, 500}, endpoint.name


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("admin", {"node:read", "network:write", "command:execute", "process:execute", "test:read", "test:write"}),
        ("write", {"node:read", "network:write", "test:read"}),
        ("read", {"node:read", "test:read"}),
        ("operator", {"test:read", "test:write"}),
        ("nobody", set[str]()),
    ],
)
async def test_roles(api: Rest, role: str, allowed: set[str]) -> None:
    asked = {
        "node:read": ("GET", "/node/web-01/hostname", None),
        "network:write": ("DELETE", "/node/web-01/network/dns", {"interface_name": "eth0"}),
        "command:execute": ("POST", "/node/web-01/command/exec", {"command": "ls"}),
        "process:execute": ("POST", "/node/web-01/process/1/signal", {"signal": "HUP"}),
        "test:read": ("POST", "/operation/web-01/test.echo", None),
        "test:write": ("POST", "/operation/web-01/test.touch", None),
    }
    for permission, (method, path, body) in asked.items():
        answer = await api(method, path, body, token=token_of(role))
        assert (answer.status < 300) == (permission in allowed), permission
        assert answer.status in {200, 202, 403}


async def test_what_is_not_there_is_not_told_to_strangers(api: Rest) -> None:
    for method, path in (("GET", "/nothing"), ("PATCH", "/job"), ("GET", "")):
        assert (await api(method, path, token="")).status == 401
    assert (await api("GET", "/openapi.json", token="")).status == 200


async def test_nothing_runs_without_the_permission(api: Rest) -> None:
    await api("POST", "/node/web-01/command/exec", {"command": "ls"}, token=token_of("read"))

    assert (await api("GET", "/job")).body["total_items"] == 0
