"""The row under /facts."""

from __future__ import annotations

import osapi
import osapi_api
from tests.api.conftest import SECURITY, Rest
from tests.api.operations import operations
from tests.promises.conftest import until


async def test_the_facts_that_are_known_and_those_that_hosts_tell(both: Rest) -> None:
    described = {"arch": "the processor", "kernel": "its release"}
    app = osapi_api.create_app(
        both.client, transport=both.transport, operations=operations, security=SECURITY, facts=described
    )
    api = Rest(app, both.client, both.transport)
    known = [
        {"key": "arch", "description": "the processor", "builtin": True},
        {"key": "kernel", "description": "its release", "builtin": True},
    ]
    assert (await api("GET", "/facts/keys")).body == {"keys": known}
    facts = {"arch": "arm64", "rack": {"row": 3}}
    settings = osapi.Settings(heartbeat=0.1, storage="memory")
    async with osapi.Agent(both.transport, operations, hostname="told-01", facts=facts, settings=settings):
        await until(lambda: both.client.fleet.registration("told-01").state == "Ready")
        while len(found := (await api("GET", "/facts/keys")).body["keys"]) < 3:
            pass
    assert found == [*known, {"key": "rack.row", "description": "", "builtin": False}]


async def test_without_descriptions_nothing_is_builtin(api: Rest) -> None:
    assert (await api("GET", "/facts/keys")).body == {"keys": []}
