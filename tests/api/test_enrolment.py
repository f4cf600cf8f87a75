"""The rows of agents that wait to be accepted."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

import osapi
import osapi_api
from osapi.rules.codec import DEFINITION
from osapi.rules.keys import job_key
from osapi.settings import job_bucket
from osapi_memory import Broker
from tests.api.conftest import SECURITY, Rest, token_of
from tests.api.operations import operations
from tests.promises.conftest import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

CONTROLLER, KEY, OTHER = (osapi.Signer.generate() for _ in range(3))
TRUST = osapi.Trust([CONTROLLER.public])
SETTINGS = osapi.Settings(heartbeat=0.1)


@asynccontextmanager
async def keyed(*signers: osapi.Signer) -> AsyncGenerator[tuple[Rest, list[osapi.Agent]]]:
    """Open the API with keys to agents that ask, one after the other, each with a key of its own."""
    async with Broker() as broker, broker.connect() as transport, broker.connect() as wire:
        client = osapi.Client(transport, operations, settings=SETTINGS, signer=CONTROLLER, trust=TRUST)
        app = osapi_api.create_app(
            client, transport=transport, operations=operations, security=SECURITY, settings=SETTINGS
        )
        options: dict[str, Any] = {"settings": SETTINGS, "trust": TRUST, "machine_id": "m-1"}
        async with client:
            for signer in signers[:-1]:
                async with osapi.Agent(wire, operations, hostname="web-01", signer=signer, **options):
                    pass
            agents = [osapi.Agent(wire, operations, hostname="web-01", signer=signers[-1], **options)]
            async with agents[0]:
                yield Rest(app, client, transport), agents


async def test_a_key_is_accepted_and_then_taken_back() -> None:
    async with keyed(KEY) as (api, (agent,)):
        answer = await api("GET", "/agent/pending")
        assert answer.status == 200
        (waiting,) = answer.body["agents"]
        assert answer.body["total"] == 1
        assert waiting.pop("requested_at").endswith("Z")
        assert waiting == {"machine_id": "m-1", "hostname": "web-01", "fingerprint": KEY.fingerprint}
        answer = await api("POST", f"/agent/WEB-01/accept?fingerprint={KEY.fingerprint}")
        assert (answer.status, list(answer.body)) == (200, ["message"])
        await until(lambda: agent.state == "Ready" and bool(api.client.fleet.registered()))
        info = (await api("GET", "/agent/web-01")).body
        assert (info["machine_id"], info["fingerprint"], info["state"]) == ("m-1", KEY.fingerprint, "Ready")
        assert (await api("GET", "/agent/pending")).body == {"agents": [], "total": 0}
        assert (await api("POST", "/agent/web-01/reject")).status == 200
        await until(lambda: agent.state == "Pending")


async def test_what_cannot_be_decided_says_why() -> None:
    async with keyed(KEY, OTHER) as (api, _):
        answer = await api("POST", "/agent/web-01/accept")
        assert answer.status == 400
        assert "2 keys ask to be accepted as web-01" in answer.body["error"]
        for action in ("accept", "reject"):
            assert (await api("POST", f"/agent/db-01/{action}")).status == 404
            for wrong in ("abc", "g" * 64, "0" * 65):
                answer = await api("POST", f"/agent/web-01/{action}?fingerprint={wrong}")
                assert answer.status == 400
                assert f"'{wrong}' is no fingerprint; give all its 64 digits, 0 to 9 and a to f" in answer.body["error"]
            assert (await api("POST", f"/agent/web-01/{action}?fingerprint={'0' * 64}")).status == 404
            assert (await api("POST", f"/agent/web-01/{action}?finger=1")).status == 400


async def test_who_may_not_is_told_so() -> None:
    async with keyed(KEY) as (api, (agent,)):
        for action in ("accept", "reject"):
            answer = await api("POST", f"/agent/web-01/{action}", token=token_of("write"))
            assert answer.status == 403
            assert "agent:write" in answer.body["error"]
        assert (await api("GET", "/agent/pending", token=token_of("write"))).status == 200
        assert agent.state == "Pending"


async def test_without_keys_nobody_waits(api: Rest) -> None:
    assert (await api("GET", "/agent/pending")).body == {"agents": [], "total": 0}
    for action in ("accept", "reject"):
        answer = await api("POST", f"/agent/web-01/{action}")
        assert answer.status == 400
        assert "no agent needs to be accepted: this server has no keys of agents" in answer.body["error"]


async def test_a_job_that_cannot_be_trusted_is_told_as_such() -> None:
    async with keyed(KEY) as (api, _):
        handle = await api.client.submit("test.echo", {"a": 1})
        bucket = await api.transport.bucket(job_bucket(SETTINGS))
        await bucket.put(job_key(handle.id), DEFINITION.encode(handle.definition))
        answer = await api("GET", f"/job/{handle.id}")
        assert answer.status == 409
        assert answer.body["error"] == "the stored definition is refused: it is not signed"
        with pytest.raises(osapi.UntrustedError):
            await api.client.get(handle.id)
