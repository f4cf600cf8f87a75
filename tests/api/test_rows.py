"""One test for each row of the operations' table: path, status, shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import osapi
import osapi_api
from osapi_api.routes import ROUTES
from tests.api.conftest import SECURITY, Rest
from tests.api.operations import operations

if TYPE_CHECKING:
    from quart_trio import QuartTrio

ROWS: list[tuple[str, str, Any, int, dict[str, Any]]] = [
    ("GET", "/node/web-01/hostname", None, 200, {"own_hostname": "web-01.example.com"}),
    ("GET", "/node/web-01/uptime", None, 200, {"uptime": 12.5}),
    (
        "GET",
        "/node/web-01/network/dns/eth0",
        None,
        200,
        {"servers": ["192.0.2.1"], "search_domains": ["eth0"]},
    ),
    (
        "PUT",
        "/node/web-01/network/dns",
        {"interface_name": "eth0", "servers": ["192.0.2.9"], "override_dhcp": True},
        202,
        {"changed": True},
    ),
    ("PUT", "/node/web-01/network/dns", {"interface_name": "eth0"}, 202, {}),
    ("DELETE", "/node/web-01/network/dns", {"interface_name": "eth0"}, 200, {"changed": True}),
    (
        "POST",
        "/node/web-01/command/exec",
        {"command": "echo", "args": ["a b", "c"], "timeout": 300},
        202,
        {"changed": True, "stdout": "echo a b c", "exit_code": 0},
    ),
    ("GET", "/node/web-01/process/17", None, 200, {"pid": 17, "name": "init"}),
    ("POST", "/node/web-01/process/17/signal", {"signal": "TERM"}, 202, {"changed": True}),
    ("POST", "/operation/web-01/test.echo", {"a": [1, None]}, 200, {"data": {"a": [1, None]}}),
    ("POST", "/operation/web-01/test.echo", None, 200, {"data": None}),
    ("POST", "/operation/web-01/test.touch", None, 200, {"changed": True, "data": None}),
    ("POST", "/operation/web-01/node.uptime.get", None, 200, {"data": {"uptime": 12.5}}),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "expected"), ROWS)
async def test_a_row(api: Rest, method: str, path: str, body: Any, status: int, expected: dict[str, Any]) -> None:
    answer = await api(method, path, body)

    assert answer.status == status, answer.body
    row = {"hostname": "web-01", "status": "ok", "changed": False, **expected}
    assert answer.body == {"job_id": answer.body["job_id"], "results": [row]}
    assert answer.headers.get("Location") == (f"/api/job/{answer.body['job_id']}" if status == 202 else None)
    assert (await api("GET", f"/job/{answer.body['job_id']}")).body["status"] == "completed"


@pytest.mark.parametrize(
    ("target", "hosts"),
    [
        ("_all", ["db-01", "web-01"]),
        ("web-01", ["web-01"]),
        ("WEB-01", ["web-01"]),
        ("group:web", ["web-01"]),
        ("group%3Aweb.dev", ["web-01"]),
        ("group%3adb", ["db-01"]),
    ],
)
async def test_targets_are_percent_encoded_and_results_in_order(api: Rest, target: str, hosts: list[str]) -> None:
    answer = await api("GET", f"/node/{target}/hostname")

    assert [row["hostname"] for row in answer.body["results"]] == hosts


async def test_one_of_n_is_answered_by_one(api: Rest) -> None:
    answer = await api("GET", "/node/_any/hostname")

    (row,) = answer.body["results"]
    assert row["hostname"] in {"web-01", "db-01"}


async def test_hosts_that_skip_or_fail_are_named(api: Rest) -> None:
    skipped = await api("GET", "/node/_all/uptime")
    failed = await api("POST", "/node/web-01/command/exec", {"command": "fail"})

    assert skipped.body["results"][0] == {
        "hostname": "db-01",
        "status": "skipped",
        "changed": False,
        "error": "no clock here",
    }
    assert skipped.body["results"][1]["status"] == "ok"
    (row,) = failed.body["results"]
    assert (row["status"], row["error"]) == ("failed", "ValueError: no such command")


async def test_a_process_that_is_nowhere_is_not_found(api: Rest) -> None:
    for target in ("_any", "web-01", "_all"):
        answer = await api("GET", f"/node/{target}/process/101")
        assert (answer.status, answer.body["error"]) == (404, "process 101 is not on this host")
    somewhere = await api("GET", "/node/_all/process/51")
    assert [row["status"] for row in somewhere.body["results"]] == ["failed", "ok"]


async def test_what_the_registry_lacks_is_not_offered(api: Rest) -> None:
    offered = {(route.method, route.path) for route in ROUTES if route.operation in operations}

    assert len(offered) == 8
    assert (await api("GET", "/node/web-01/memory")).status == 404
    assert (await api("POST", "/operation/web-01/node.memory.get")).status == 404


async def test_a_payload_without_a_schema_of_fields_may_be_any_json(api: Rest) -> None:
    values: list[Any] = [[], 0, "text", True, {"x": 1.5}]
    for value in values:
        answer = await api("POST", "/operation/_any/test.echo", value)
        assert answer.body["results"][0]["data"] == value


async def test_a_client_without_operations_serves_the_same(api: Rest) -> None:
    async with osapi.Client(api.transport) as client:
        app: QuartTrio = osapi_api.create_app(client, transport=api.transport, operations=operations, security=SECURITY)
        answer = await Rest(app, client, api.transport)("GET", "/node/web-01/uptime")

    assert answer.body["results"] == [{"hostname": "web-01", "status": "ok", "changed": False, "uptime": 12.5}]
