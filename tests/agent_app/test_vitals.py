"""The vitals of this host."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import msgspec
import trio
import trio.testing

import osapi_agent
from osapi.rules.vitals import checked_vitals
from osapi_agent import disks, host
from osapi_agent.results import Disk, Disks
from osapi_agent.vitals import usage

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_they_are_those_of_this_host_and_process() -> None:
    found = await osapi_agent.Vitals()()
    assert found.memory is not None
    assert found.memory.total == host.memory().total
    assert found.uptime is not None
    assert abs(found.uptime - host.uptime()) < 60
    assert found.mem_bytes is not None
    assert 2**20 < found.mem_bytes < found.memory.total
    assert (found.load is not None) is hasattr(os, "getloadavg")
    assert {condition.type for condition in found.conditions} >= {"MemoryPressure", "DiskPressure"}
    assert checked_vitals(found) == found


async def test_every_heartbeat_carries_them_so_they_are_small() -> None:
    pressed = osapi_agent.Thresholds(
        memory_percent=0.001, load_per_cpu=0.0001, disk_percent=0.001, process_bytes=1, process_cpu_percent=0.0001
    )
    assert len(msgspec.json.encode(await osapi_agent.Vitals(pressed)())) < 1024


async def test_thresholds_decide_and_moments_are_kept() -> None:
    vitals = osapi_agent.Vitals(osapi_agent.Thresholds(process_bytes=1, memory_percent=0.0001))
    began = time.time()
    first = {condition.type: condition for condition in (await vitals()).conditions}
    again = {condition.type: condition for condition in (await vitals()).conditions}
    for type_ in ("ProcessMemoryPressure", "MemoryPressure"):
        assert first[type_].status
        assert first[type_].since >= began
        assert again[type_].since == first[type_].since


async def test_a_disk_that_hangs_holds_nothing_up(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    vitals = osapi_agent.Vitals(osapi_agent.Thresholds(disk_percent=0.0001))
    monkeypatch.setattr(disks, "collect", lambda: _disks(Disk(name="/", total=10, used=5, free=5)))
    full = {condition.type: condition for condition in (await vitals()).conditions}["DiskPressure"]
    assert full.status
    monkeypatch.setattr(disks, "collect", trio.sleep_forever)
    with trio.fail_after(2):
        later = await vitals()
    assert full in later.conditions


async def _disks(*found: Disk) -> Disks:
    return Disks(disks=found)


def test_how_full_a_disk_is_leaves_out_what_is_kept_for_the_superuser() -> None:
    assert usage([Disk(name="/", total=100, used=45, free=5)]) == {"/": 90.0}
    assert usage([Disk(name="/proc", total=0, used=0, free=0)]) == {}


def test_the_id_of_the_machine(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert host.machine_id([first, second]) == ""
    second.write_text("0123456789abcdef0123456789abcdef\n", encoding="ascii")
    assert host.machine_id([first, second]) == "0123456789abcdef0123456789abcdef"
    first.write_text("uninitialized\n", encoding="ascii")
    assert host.machine_id([first]) == ""
