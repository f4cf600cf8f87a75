"""What agents tell of their hosts, as the client shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osapi_cli.client import work
from osapi_cli.client.http import Answer
from osapi_cli.group import Flags

if TYPE_CHECKING:
    import pytest

AGENT: dict[str, Any] = {
    "hostname": "web-01",
    "status": "Ready",
    "state": "Ready",
    "load_average": {"1min": 9.0, "5min": 8.0, "15min": 7.5},
    "memory": {"total": 4 << 30, "free": 1 << 30, "used": 3 << 30},
    "cpu_percent": 1.5,
    "mem_bytes": 40 << 20,
    "cpu_count": 4,
    "uptime": 93_600.0,
    "architecture": "arm64",
    "kernel_version": "6.1.0",
    "os_info": {"distribution": "Debian", "version": "12"},
    "interfaces": [{"name": "eth0", "addresses": ["192.0.2.7", "fd00::7"], "mac": "02:00:00:00:00:01"}],
    "routes": [{"destination": "0.0.0.0/0", "gateway": "192.0.2.1", "interface": "eth0", "metric": 100}],
    "facts": {"rack": "r7", "arch": "arm64", "os": {}},
    "conditions": [
        {"type": "HighLoad", "status": True, "reason": "load 9.00, at least 8", "last_transition_time": "T1"},
        {"type": "DiskPressure", "status": False, "reason": "", "last_transition_time": "T0"},
    ],
}
AWAY: dict[str, Any] = {"hostname": "web-02", "status": "NotReady", "conditions": []}


def _answer(monkeypatch: pytest.MonkeyPatch, body: Any) -> None:
    def ask(*_: object, **__: object) -> Answer:
        return Answer(status=200, body=body, headers={})

    monkeypatch.setattr(work.agent, "ask", ask)
    monkeypatch.setattr(work.health, "ask", ask)


def test_a_list_shows_what_is_wrong(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _answer(monkeypatch, {"agents": [AGENT, AWAY], "total": 2})
    work.agent.list_agents(Flags())
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["HOSTNAME", "STATUS", "STATE", "CONDITIONS", "LABELS", "JOBS", "LOAD", "MEMORY", "STARTED"],
        ["web-01", "Ready", "Ready", "HighLoad", "9.00", "75", "%"],
        ["web-02", "NotReady"],
        ["2", "agents:", "1", "ready"],
    ]


def test_one_agent_is_shown_with_its_host(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _answer(monkeypatch, AGENT)
    work.agent.get(Flags(), "web-01")
    shown = " ".join(capsys.readouterr().out.split())
    for told in (
        "System Debian 12 Kernel 6.1.0 arm64 Uptime 1 d 2 h Load 9.00 8.00 7.50 on 4 cpus",
        "Memory 3.0 GiB of 4.0 GiB used (75 %) Agent uses 40.0 MiB, 1.5 % of a processor",
        "HighLoad yes T1 load 9.00, at least 8 DiskPressure no T0",
        "eth0 192.0.2.7, fd00::7 02:00:00:00:00:01",
        "0.0.0.0/0 192.0.2.1 eth0 100",
        "Facts rack r7",
    ):
        assert told in shown
    assert "Facts arch" not in shown


def test_the_registry_shows_conditions_and_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = {"type": "agent", "hostname": "web-01", "status": "Ready", "age": "5s", "conditions": ["HighLoad"]}
    _answer(monkeypatch, {"status": "ok", "registry": [{**line, "cpu_percent": 1.5, "mem_bytes": 40 << 20}]})
    work.health.status(Flags())
    assert "agent web-01 Ready HighLoad 1.5 % 40.0 MiB 5s" in " ".join(capsys.readouterr().out.split())
