"""The audit: every request of somebody known, in nobody's way."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio

import osapi
import osapi_api
from osapi.settings import job_bucket
from osapi.transport import StreamConfig
from osapi_api.audit import AuditSettings, Entry
from osapi_memory import Broker
from tests.api.conftest import SECURITY, Rest, token_of
from tests.api.operations import operations
from tests.promises.conftest import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@asynccontextmanager
async def audited(api: Rest, **settings: Any) -> AsyncGenerator[tuple[Rest, osapi_api.Audit]]:
    """Serve what is served, with an audit."""
    async with osapi_api.Audit(api.transport, AuditSettings(storage="memory", **settings)) as audit:
        app = osapi_api.create_app(
            api.client, transport=api.transport, operations=operations, security=SECURITY, audit=audit
        )
        yield Rest(app, api.client, api.transport), audit
    await api.transport.delete_stream(AuditSettings().stream)


async def listed(api: Rest, count: int, query: str = "") -> Any:
    """Wait until so many entries are written, and return the newest."""
    with trio.fail_after(20):
        while (found := (await api("GET", f"/audit{query}")).body)["total_items"] < count:
            await trio.sleep(0.01)
    return found


async def test_an_entry_says_who_asked_for_what(both: Rest) -> None:
    async with audited(both) as (api, audit):
        token = SECURITY.generate("anna", roles=["admin", "read"])
        ran = await api("POST", "/node/web-01/command/exec", {"command": "secret"}, token=token, traceparent=PARENT)
        assert ran.status == 202
        found = await listed(api, 1)
        entry = found["items"][-1]
        assert (await api("GET", f"/audit/{entry['id']}")).body == {"entry": entry}
        assert TIME.fullmatch(entry.pop("timestamp"))
        assert entry.pop("id")
        assert entry.pop("duration_ms") > 0
        assert entry == {
            "user": "anna",
            "roles": ["admin", "read"],
            "method": "POST",
            "path": "/api/node/web-01/command/exec",
            "operation_id": "post_command_exec_run",
            "source_ip": entry["source_ip"],
            "response_code": 202,
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
        }
        assert audit.dropped == 0


async def test_whoever_is_known_is_told_of_whatever_came_of_it_and_strangers_are_not(both: Rest) -> None:
    async with audited(both) as (api, _):
        await api("GET", "/agent", token="")
        await api("GET", "/health", token="")
        await api("GET", "/health/status?token=secret", token=token_of("read"))
        await api("DELETE", "/agent", token=token_of("read"))
        await api("GET", "/nothing", token=token_of("read"))
        await api("GET", "/audit", token=token_of("write"))
        found = await listed(api, 4)
        told = [(entry["path"], entry["response_code"], entry["operation_id"]) for entry in found["items"]]
        assert told[-4:] == [
            ("/api/audit", 403, "list_audit"),
            ("/api/nothing", 404, ""),
            ("/api/agent", 405, ""),
            ("/api/health/status", 400, "status"),
        ]
        assert "secret" not in str(found)
        assert all(re.fullmatch(r"[0-9a-f]{32}", entry["trace_id"]) for entry in found["items"])


async def test_they_are_listed_in_pages_and_exported_as_lines(both: Rest) -> None:
    async with audited(both) as (api, audit):
        for number in range(130):
            audit.record(entry_of(f"0{number:03d}"))
        page = await listed(api, 130, "?limit=3&offset=100")
        assert len(page["items"]) == 3
        client: Any = api.app.test_client()
        response = await client.get("/api/audit/export", headers={"Authorization": f"Bearer {token_of('admin')}"})
        assert response.headers["Content-Type"] == "application/jsonl"
        lines = [json.loads(line) for line in (await response.get_data()).splitlines()]
        assert [line["id"] for line in lines[:130]] == [f"0{number:03d}" for number in range(130)]
        newest = [line["id"] for line in reversed(lines)]
        (first, _) = (await api("GET", "/audit?limit=2&offset=20")).body["items"]
        assert first["id"] in newest
        far = await api("GET", "/audit?offset=100000")
        assert far.body["items"] == []


def entry_of(entry_id: str) -> Entry:
    return Entry(
        id=entry_id,
        timestamp="2026-01-01T00:00:00.000Z",
        user="anna",
        roles=(),
        method="GET",
        path="/",
        operation_id="",
        source_ip="",
        response_code=200,
        duration_ms=1.0,
        trace_id="",
    )


async def test_what_is_not_there_or_cannot_be_asked(api: Rest) -> None:
    async with audited(api) as (kept, _):
        assert (await kept("GET", "/audit/01890a5d-ac96-774b-bcce-b302099a8057")).status == 404
        for wrong in ("x", "*", "%3E", "a" * 40):
            assert (await kept("GET", f"/audit/{wrong}")).status == 400
        for query in ("limit=0", "limit=101", "offset=-1", "user=x"):
            assert (await kept("GET", f"/audit?{query}")).status == 400
    for path in ("/audit", "/audit/1", "/audit/export"):
        none = await api("GET", path)
        assert (none.status, none.body["error"]) == (404, "no audit is kept here")


async def test_a_broker_that_is_away_delays_nobody_and_what_is_lost_is_counted(
    autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with Broker() as broker, broker.connect() as wire, broker.connect() as transport:
        async with (
            osapi.Client(transport, operations) as client,
            osapi_api.Audit(wire, AuditSettings(queue=3)) as audit,
        ):
            app = osapi_api.create_app(
                client, transport=transport, operations=operations, security=SECURITY, audit=audit
            )
            api = Rest(app, client, transport)
            wire.disconnect()
            begun = trio.current_time()
            for _ in range(6):
                assert (await api("GET", "/agent")).status == 200
            assert trio.current_time() == begun
            assert audit.dropped >= 2
            await trio.sleep(8)
            wire.reconnect()
            await until(lambda: audit.dropped > 0 and "the audit goes on" in caplog.text)
            lost = audit.dropped
            total, entries = await audit.newest(100, 0)
            assert total + lost == 6
            assert len(entries) == total
    assert "entries of the audit are dropped: too many wait" in caplog.text
    assert f"the audit goes on; {lost} of its entries were dropped" in caplog.text


async def test_leaving_the_block_writes_what_still_waits() -> None:
    async with Broker() as broker, broker.connect() as wire:
        async with osapi_api.Audit(wire) as audit:
            for number in range(50):
                audit.record(entry_of(f"{number}"))
        assert audit.dropped == 0
        audit.record(entry_of("late"))
        assert audit.dropped == 1
        async with osapi_api.Audit(wire) as again:
            assert (await again.newest(1, 0))[0] == 50


async def test_a_block_that_is_cancelled_writes_too_and_one_without_a_broker_gives_up(
    autojump_clock: object, caplog: pytest.LogCaptureFixture
) -> None:
    async with Broker() as broker, broker.connect() as wire:
        audit = osapi_api.Audit(wire)
        with trio.CancelScope() as scope:
            async with audit:
                for number in range(20):
                    audit.record(entry_of(f"{number}"))
                scope.cancel()
                await trio.sleep_forever()
        assert audit.dropped == 0
        async with osapi_api.Audit(wire) as without:
            assert (await without.newest(1, 0))[0] == 20
            wire.disconnect()
            for number in range(7):
                without.record(entry_of(f"x{number}"))
        assert without.dropped == 7
    assert "entries of the audit are dropped" in caplog.text


async def test_an_audit_that_is_removed_meanwhile_ends_nothing(api: Rest) -> None:
    async with osapi_api.Audit(api.transport) as audit:
        await api.transport.delete_stream("AUDIT")
        audit.record(entry_of("1"))
        await until(lambda: audit.dropped == 1)
        assert await api.transport.bucket(job_bucket(osapi.Settings()))


async def test_what_is_no_entry_is_passed_over(api: Rest) -> None:
    async with audited(api) as (kept, audit):
        name = AuditSettings().stream
        stream = await api.transport.stream(
            StreamConfig(
                name=name,
                subjects=("audit", "audit.>"),
                max_age=AuditSettings().max_age,
                max_bytes=AuditSettings().max_bytes,
                storage="memory",
            )
        )
        await stream.publish("audit.1", b"{")
        assert (await audit.newest(10, 0))[1] == []
        assert (await kept("GET", "/audit/1")).status == 404


async def test_an_operation_that_is_asked_for_belongs_to_the_caller_s_trace(api: Rest) -> None:
    traces: list[str] = []

    @contextmanager
    def observe(attempt: osapi.Attempt) -> Any:
        traces.append(attempt.traceparent)
        yield

    async with osapi.Agent(api.transport, operations, hostname="traced-01", observer=observe):
        await api("GET", "/node/traced-01/hostname", traceparent=PARENT)
        await api("GET", "/node/traced-01/hostname", traceparent="nonsense")
    assert traces[0] == PARENT
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", traces[1])


@pytest.mark.parametrize("queue", [0, 1_000_001])
def test_settings_that_cannot_be(queue: int) -> None:
    with pytest.raises(osapi.InvalidSettingError):
        AuditSettings(queue=queue)
