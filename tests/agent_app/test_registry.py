"""Which operations there are, who may call them, and what the reference says of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

import osapi
import osapi_agent
from osapi.rules.permissions import allowed
from osapi_agent import command, dns, hostname, node, ping, process

if TYPE_CHECKING:
    from tests.agent_app.pretended import PretendedSystem

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "operations.md"

COMMANDS = {"command.exec.run", "command.shell.run"}
SIGNALS = {"process.signal.send"}

# The permissions of the REST interface.
PERMISSIONS = {
    "node.hostname.update": "node:write",
    "network.dns.get": "network:read",
    "network.dns.update": "network:write",
    "network.dns.delete": "network:write",
    "network.ping.run": "network:write",
    "process.list.get": "process:read",
    "process.get": "process:read",
    "process.signal.send": "process:execute",
    "command.exec.run": "command:execute",
    "command.shell.run": "command:execute",
}


def fields(kind: Any) -> str:
    """Return the fields of a type as the reference writes them: `name`, and `name?` for those with a default."""
    if kind is None or kind is type(None):
        return ""
    return ", ".join(
        f"`{field.encode_name}`" if field.required else f"`{field.encode_name}?`"
        for field in msgspec.structs.fields(kind)
    )


def row(operation: osapi.Operation) -> tuple[str, ...]:
    data = fields(operation.data_type) if operation.takes_data else ""
    return operation.name, operation.kind, operation.permission, data, fields(operation.result_type)


def test_the_reference_tells_every_operation_as_it_is() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    told = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines if re.match(r"\| `\w", line)]
    told = [(name.strip("`"), kind, permission.strip("`"), *rest) for name, kind, permission, *rest in told]

    assert told == [row(osapi_agent.operations[name]) for name in osapi_agent.operations]


def test_all_operations_are_in_the_one_registry() -> None:
    parts = [node.operations, *(part.offer(osapi_agent.System()) for part in (hostname, dns, ping, process, command))]

    assert set(osapi_agent.operations) == {name for part in parts for name in part} | SIGNALS


@pytest.mark.parametrize(
    ("commands", "signals", "missing"),
    [(False, False, COMMANDS | SIGNALS), (True, False, SIGNALS), (False, True, COMMANDS), (True, True, set[str]())],
)
def test_what_can_do_everything_is_offered_only_when_asked_for(
    system: PretendedSystem, commands: bool, signals: bool, missing: set[str]
) -> None:
    offered = osapi_agent.assemble(system, commands=commands, signals=signals)

    assert set(osapi_agent.operations) - set(offered) == missing


def test_the_powerful_can_be_added_to_ones_own(system: PretendedSystem) -> None:
    mine = osapi.Operations()
    mine.include(process.offer_signals(system))
    mine.include(command.offer(system))

    assert set(mine) == COMMANDS | SIGNALS


def test_permissions() -> None:
    needed = {name: osapi_agent.operations[name].permission for name in osapi_agent.operations}

    assert needed == dict.fromkeys(node.operations, "node:read") | PERMISSIONS


def test_only_reading_operations_are_queries() -> None:
    queries = {name for name, kind in osapi_agent.operations.kinds().items() if kind == "query"}

    assert queries == {
        *node.operations,
        "network.dns.get",
        "network.ping.run",
        "process.list.get",
        "process.get",
    }


@pytest.mark.parametrize("name", sorted(COMMANDS | SIGNALS))
def test_the_role_write_may_not_call_the_powerful(name: str) -> None:
    needed = osapi_agent.operations[name].permission

    assert not allowed(needed, roles=["write"], permissions=None, custom={})
    assert allowed(needed, roles=["admin"], permissions=None, custom={})


def test_every_payload_refuses_fields_that_it_does_not_know() -> None:
    for name in osapi_agent.operations:
        operation = osapi_agent.operations[name]
        if operation.takes_data:
            assert operation.data_type.__struct_config__.forbid_unknown_fields, name


def test_importing_it_starts_nothing_and_asks_nothing() -> None:
    code = "import osapi_agent, threading; print(len(osapi_agent.operations), threading.active_count())"

    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603

    assert told.stdout.split() == [str(len(osapi_agent.operations)), "1"]
