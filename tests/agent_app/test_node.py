from __future__ import annotations

import os
import shutil
import socket
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
import pytest
import trio

import osapi
from osapi_agent import disks, host, node
from osapi_agent.results import Disks, Hostname, Load, LoadAverage, Memory, OsRelease, Status, UnreadableDisk, Uptime

if TYPE_CHECKING:
    from tests.agent_app.conftest import Ask

SHAPES = {
    "node.hostname.get": {"hostname"},
    "node.uptime.get": {"uptime"},
    "node.os.get": {"os_info"},
    "node.memory.get": {"memory"},
    "node.load.get": {"load_average"},
    "node.disk.get": {"disks"},
}


async def on_the_wire(ask: Ask, operation: str) -> dict[str, Any]:
    answer = (await ask(operation)).unwrap()
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(answer))
    return decoded


def test_every_operation_only_reads_and_needs_one_permission() -> None:
    offered = {name: (node.operations[name].kind, node.operations[name].permission) for name in node.operations}

    assert offered == dict.fromkeys([*SHAPES, "node.status.get"], ("query", "node:read"))


@pytest.mark.parametrize("operation", SHAPES)
async def test_each_part_is_an_object_of_its_own_name(ask: Ask, operation: str) -> None:
    assert set(await on_the_wire(ask, operation)) == SHAPES[operation]


async def test_the_status_is_all_parts_together(ask: Ask) -> None:
    status = await on_the_wire(ask, "node.status.get")

    assert set(status) == set().union(*SHAPES.values())
    assert set(status["os_info"]) == {"distribution", "version"}
    assert set(status["memory"]) == {"total", "free", "used"}
    assert set(status["load_average"]) == {"1min", "5min", "15min"}
    assert all(set(disk) == {"name", "total", "used", "free"} for disk in status["disks"])


async def test_hostname(ask: Ask) -> None:
    assert (await ask("node.hostname.get")).unwrap() == Hostname(hostname=socket.gethostname())


async def test_uptime_is_in_seconds_since_the_boot(ask: Ask) -> None:
    answer = (await ask("node.uptime.get")).unwrap()
    by_the_kernel = float((await trio.Path("/proc/uptime").read_text(encoding="ascii")).split()[0])

    assert isinstance(answer, Uptime)
    # The moment of the boot is told in whole seconds.
    assert answer.uptime == pytest.approx(by_the_kernel, abs=3)


async def test_memory_is_in_bytes(ask: Ask) -> None:
    answer = (await ask("node.memory.get")).unwrap()

    assert isinstance(answer, Memory)
    assert answer.memory.total == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < answer.memory.free <= answer.memory.total
    assert 0 < answer.memory.used <= answer.memory.total


async def test_load(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (3.5, 0.25, 0.0))

    assert (await ask("node.load.get")).unwrap() == Load(load_average=LoadAverage(one=3.5, five=0.25, fifteen=0.0))


async def test_a_platform_without_load_skips_it(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "getloadavg")

    answer = await ask("node.load.get")

    assert answer.status is osapi.SlotStatus.SKIPPED
    assert "tells no load average" in answer.error


async def test_the_status_does_without_the_load(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def unobtainable() -> tuple[float, float, float]:
        raise OSError("Load averages are unobtainable")

    monkeypatch.setattr(os, "getloadavg", unobtainable)

    status = await on_the_wire(ask, "node.status.get")

    assert set(status) == set().union(*SHAPES.values()) - {"load_average"}


async def test_os(ask: Ask) -> None:
    assert (await ask("node.os.get")).unwrap() == OsRelease(os_info=host.os_info())


async def test_disks(ask: Ask) -> None:
    answer = (await ask("node.disk.get")).unwrap()

    assert isinstance(answer, Disks)
    assert [disk.name for disk in answer.disks] == sorted(disk.name for disk in answer.disks)
    assert {disk.name: disk.total for disk in answer.disks} == {
        disk.name: shutil.disk_usage(disk.name).total for disk in answer.disks
    }
    assert all(0 <= disk.used + disk.free <= disk.total for disk in answer.disks)


async def test_a_disk_that_cannot_be_read_fails_nothing(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(13, "Permission denied", path)

    def one(*, everything: bool) -> list[disks.Mount]:
        return [disks.Mount("/dev/sda1", "/secret", "ext4")]

    monkeypatch.setattr(psutil, "disk_usage", refuse)
    monkeypatch.setattr(disks, "_mounts", one)

    answer = (await ask("node.status.get")).unwrap()

    assert isinstance(answer, Status)
    assert answer.disks == ()
    assert answer.unreadable_disks == (UnreadableDisk(name="/secret", error="Permission denied"),)
    assert answer.hostname == socket.gethostname()
