"""Agents: all that is known of them and of their hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

import osapi
from osapi_api.app import EXTENSION
from tests.api.conftest import fleet
from tests.api.operations import operations
from tests.promises.conftest import PATIENCE, until

if TYPE_CHECKING:
    from tests.api.conftest import Rest

FACTS: dict[str, Any] = {
    "arch": "arm64",
    "cpu_count": 8,
    "fqdn": "web-01.example.com",
    "interface": {"primary": "eth0"},
    "interfaces": [{"name": "eth0", "addresses": ["192.0.2.7"], "mac": "02:00:00:00:00:01"}],
    "kernel": "6.1.0",
    "os": {"distribution": "Debian GNU/Linux", "version": "12"},
    "package_mgr": "apt",
    "routes": [{"destination": "0.0.0.0/0", "gateway": "192.0.2.1", "interface": "eth0", "metric": 100}],
    "service_mgr": "systemd",
    "rack": "r7",
}
VITALS = osapi.Vitals(
    uptime=3600.5,
    load=(0.5, 0.25, 0.125),
    memory=osapi.HostMemory(total=100, free=20, used=70),
    cpu_percent=1.5,
    mem_bytes=30_000_000,
    conditions=(
        osapi.Condition(type="DiskPressure", status=True, since=1_700_000_000.0, reason="95 % of /"),
        osapi.Condition(type="HighLoad", status=False, since=1_700_000_000.0),
    ),
)


async def _vitals() -> osapi.Vitals:
    return VITALS


async def test_an_agent_tells_all_of_its_host(api: Rest) -> None:
    host = osapi.Agent(
        api.transport, operations, hostname="web-09", facts=FACTS, status=_vitals, machine_id="0123", labels={"a": "b"}
    )
    async with host:
        with trio.fail_after(PATIENCE):
            while not (await api("GET", "/agent/WEB-09")).body["timeline"]:
                await trio.sleep(0.01)
        answer = await api("GET", "/agent/WEB-09")
        listed = (await api("GET", "/agent")).body
        registry = (await api("GET", "/health/status")).body["registry"]
    info = answer.body
    assert answer.status == 200
    moments = {name: info.pop(name) for name in ("registered_at", "started_at", "last_heartbeat")}
    assert all(moment.endswith("Z") for moment in moments.values())
    (registered, hot) = info.pop("timeline")
    assert (registered["event"], hot["event"], hot["hostname"]) == ("registered", "condition_on", "web-09")
    assert hot["message"] == "DiskPressure: 95 % of /"
    assert info.pop("operations") == sorted(operations.kinds())
    assert info == {
        "hostname": "web-09",
        "status": "Ready",
        "state": "Ready",
        "machine_id": "0123",
        "fingerprint": "",
        "labels": {"a": "b"},
        "max_jobs": 10,
        "active_jobs": 0,
        "uptime": 3600.5,
        "load_average": {"1min": 0.5, "5min": 0.25, "15min": 0.125},
        "memory": {"total": 100, "free": 20, "used": 70},
        "cpu_percent": 1.5,
        "mem_bytes": 30_000_000,
        "os_info": {"distribution": "Debian GNU/Linux", "version": "12"},
        "architecture": "arm64",
        "kernel_version": "6.1.0",
        "cpu_count": 8,
        "fqdn": "web-01.example.com",
        "service_mgr": "systemd",
        "package_mgr": "apt",
        "primary_interface": "eth0",
        "interfaces": FACTS["interfaces"],
        "routes": FACTS["routes"],
        "facts": FACTS,
        "conditions": [
            {
                "type": "DiskPressure",
                "status": True,
                "reason": "95 % of /",
                "last_transition_time": "2023-11-14T22:13:20.000Z",
            },
            {
                "type": "HighLoad",
                "status": False,
                "reason": "",
                "last_transition_time": "2023-11-14T22:13:20.000Z",
            },
        ],
    }
    assert listed["total"] == 3
    assert [agent["hostname"] for agent in listed["agents"]] == ["db-01", "web-01", "web-09"]
    assert listed["agents"][2]["conditions"] == info["conditions"]
    line = registry[2]
    assert line.pop("age")
    assert line == {
        "type": "agent",
        "hostname": "web-09",
        "status": "Ready",
        "conditions": ["DiskPressure"],
        "cpu_percent": 1.5,
        "mem_bytes": 30_000_000,
    }


async def test_facts_of_another_kind_are_only_facts(api: Rest) -> None:
    own = {"arch": 64, "os": "plan9", "interface": "eth0", "interfaces": {"eth0": 1}, "routes": [7], "cpu_count": "two"}
    async with osapi.Agent(api.transport, operations, hostname="odd", facts=own):
        info = (await api("GET", "/agent/odd")).body
    assert info["facts"] == own
    assert info["interfaces"] == info["routes"] == []
    assert not {"architecture", "os_info", "primary_interface", "cpu_count"} & info.keys()


async def test_one_that_is_away_is_not_ready_and_keeps_its_place(both: Rest) -> None:
    (served,) = {api.settings.heartbeat: api.settings for api in both.app.extensions[EXTENSION]}.values()
    async with osapi.Agent(both.transport, operations, hostname="gone", labels={"a": "b"}, settings=served):
        pass
    await until(lambda: len(both.client.fleet.registered()) == 2)
    info = (await both("GET", "/agent/gone")).body
    assert (info["status"], info["labels"], info["conditions"]) == ("NotReady", {"a": "b"}, [])
    assert not {"state", "last_heartbeat", "uptime"} & info.keys()
    assert info["started_at"] == info["registered_at"]
    assert [agent["status"] for agent in (await both("GET", "/agent")).body["agents"]] == ["Ready", "NotReady", "Ready"]
    status = (await both("GET", "/health/status")).body
    assert [line["status"] for line in status["registry"]] == ["Ready", "NotReady", "Ready"]
    assert status["agents"]["total"] == 2


async def test_dead_letters_are_counted_and_not_what_ended_with_its_job(autojump_clock: object) -> None:
    async with fleet(job_ttl=60.0, within=30.0) as api:
        assert (await api("GET", "/health/status")).body["jobs"]["dlq"] == 0
        handle = await api.client.submit("test.busy", target="web-01")
        await handle.result()
        deleted = await api.client.submit("test.sleep", 40, target="web-01")
        await trio.sleep(5)
        await api.client.delete(deleted.id)
        await trio.sleep(5)
        letters = await api.client.dead_letters.list()
        assert len(letters) == 1
        for _ in range(2):
            assert (await api("GET", "/health/status")).body["jobs"]["dlq"] == 1
        await api.client.dead_letters.purge(letters[0].sequence)
        assert (await api("GET", "/health/status")).body["jobs"]["dlq"] == 0
