from __future__ import annotations

import os
from threading import Event
from types import SimpleNamespace
from typing import TYPE_CHECKING

import msgspec
import psutil
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from osapi_agent import disks
from osapi_agent.disks import Mount, select
from osapi_agent.results import Disk, UnreadableDisk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT = Mount("/dev/sda1", "/", "ext4")
DATA = Mount("/dev/sdb1", "/data", "xfs")
EXPORT = Mount("nas:/export", "/mnt/nas", "nfs4")
POOL = Mount("tank/home", "/home", "zfs")
PSEUDO = [
    Mount("proc", "/proc", "proc"),
    Mount("tmpfs", "/run", "tmpfs"),
    Mount("cgroup2", "/sys/fs/cgroup", "cgroup2"),
    Mount("overlay", "/var/lib/docker/overlay2/1/merged", "overlay"),
]
SNAP = Mount("/dev/loop0", "/snap/core/1", "squashfs")
CONTAINER = Mount("overlay", "/", "overlay")


@pytest.mark.parametrize(
    ("devices", "others", "selected"),
    [
        ([ROOT, DATA, SNAP], PSEUDO, [ROOT, DATA]),
        ([ROOT], [*PSEUDO, EXPORT, POOL], [ROOT, EXPORT, POOL]),
        ([ROOT, ROOT._replace(mountpoint="/srv/chroot")], PSEUDO, [ROOT]),
        ([ROOT._replace(mountpoint="/etc/hosts"), ROOT], PSEUDO, [ROOT]),
        ([], [*PSEUDO, CONTAINER], [CONTAINER]),
        ([], [], []),
    ],
    ids=["images", "network and pools", "mounted twice", "shortest wins", "container", "nothing"],
)
def test_what_counts_as_a_disk(devices: list[Mount], others: list[Mount], selected: list[Mount]) -> None:
    # The list of everything repeats the devices.
    assert select(devices, [*devices, *others]) == selected


mounts = st.lists(
    st.builds(
        Mount,
        device=st.sampled_from(["/dev/a", "/dev/b", "nas:/x", "overlay", "tmpfs"]),
        mountpoint=st.sampled_from(["/", "/a", "/a/b", "/srv"]),
        fstype=st.sampled_from(["ext4", "nfs", "overlay", "tmpfs", "squashfs"]),
    )
)


@given(mounts, mounts)
def test_each_device_counts_once_at_its_shortest_place(devices: list[Mount], others: list[Mount]) -> None:
    counting = [mount for mount in devices if mount.fstype != "squashfs"] + [
        mount for mount in others if mount.fstype == "nfs" or (mount.fstype, mount.mountpoint) == ("overlay", "/")
    ]

    selected = select(devices, others)

    assert {mount.device for mount in selected} == {mount.device for mount in counting}
    assert len(selected) == len({mount.device for mount in selected})
    for mount in selected:
        assert len(mount.mountpoint) == min(len(m.mountpoint) for m in counting if m.device == mount.device)


@given(st.binary().filter(lambda name: b"\0" not in name))
def test_every_name_can_be_sent(name: bytes) -> None:
    assert msgspec.json.decode(msgspec.json.encode(disks.readable(os.fsdecode(name)))) == disks.readable(
        os.fsdecode(name)
    )


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_name_that_is_text_is_kept(name: str) -> None:
    assert disks.readable(name) == name


# --- Asking --------------------------------------------------------------------------------------------------


class Mounts:
    """Mounts of which some hang until they are healed; counts the questions to each."""

    def __init__(self) -> None:
        self.there: list[Mount] = []
        self.dead: set[str] = set()
        self.hanging = Event()
        self.healed = Event()
        self.asked: list[str] = []

    def usage(self, path: str) -> SimpleNamespace:
        self.asked.append(path)
        if path in self.dead:
            self.hanging.set()
            self.healed.wait()
        return SimpleNamespace(total=30, used=10, free=15)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mounts]:
    mounts = Mounts()

    def listed(*, everything: bool) -> list[Mount]:
        return mounts.there

    monkeypatch.setattr(disks, "_mounts", listed)
    monkeypatch.setattr(disks, "_hanging", {})
    monkeypatch.setattr(disks, "PATIENCE", 0.05)
    monkeypatch.setattr(psutil, "disk_usage", mounts.usage)
    yield mounts
    mounts.healed.set()


async def test_a_dead_mount_is_named_and_the_others_are_told(host: Mounts) -> None:
    host.there = [EXPORT, DATA]
    host.dead = {"/mnt/nas"}

    found = await disks.collect()

    assert found.disks == (Disk(name="/data", total=30, used=10, free=15),)
    assert found.unreadable_disks == (UnreadableDisk(name="/mnt/nas", error="did not answer within 0.05 s"),)


async def test_disks_come_in_the_order_of_their_names(host: Mounts) -> None:
    host.there = [DATA, ROOT, POOL]

    assert [disk.name for disk in (await disks.collect()).disks] == ["/", "/data", "/home"]


async def test_a_dead_mount_is_not_asked_again_while_it_hangs(host: Mounts) -> None:
    host.there = [EXPORT]
    host.dead = {"/mnt/nas"}
    await disks.collect()

    again = await disks.collect()

    assert again.unreadable_disks == (
        UnreadableDisk(name="/mnt/nas", error="still has not answered an earlier question"),
    )
    assert host.asked == ["/mnt/nas"]


async def test_a_mount_that_came_back_is_asked_again(host: Mounts) -> None:
    host.there = [EXPORT]
    host.dead = {"/mnt/nas"}
    await disks.collect()
    host.healed.set()

    found = await disks.collect()
    with trio.fail_after(5):
        while not found.disks:  # the thread that hung needs a moment to come back
            found = await disks.collect()

    assert [disk.name for disk in found.disks] == ["/mnt/nas"]
    assert found.unreadable_disks == ()


async def test_a_cancelled_job_leaves_the_dead_mount_known(host: Mounts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disks, "PATIENCE", 1000.0)
    host.there = [EXPORT]
    host.dead = {"/mnt/nas"}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(disks.collect)
        await trio.to_thread.run_sync(host.hanging.wait)
        nursery.cancel_scope.cancel()

    with trio.fail_after(5):
        found = await disks.collect()

    assert [disk.name for disk in found.unreadable_disks] == ["/mnt/nas"]
    assert host.asked == ["/mnt/nas"]


async def test_many_dead_mounts_leave_the_threads_of_others_alone(host: Mounts) -> None:
    many = 60
    host.there = [Mount(f"nas:/{place}", f"/mnt/{place}", "nfs") for place in range(many)]
    host.dead = {mount.mountpoint for mount in host.there}

    found = await disks.collect()

    assert len(found.unreadable_disks) == many
    with trio.fail_after(5):
        assert await trio.to_thread.run_sync(lambda: "still works") == "still works"


async def test_a_file_that_a_container_runtime_mounts_is_no_disk(host: Mounts, tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.touch()
    host.there = [ROOT._replace(mountpoint=str(path))]

    found = await disks.collect()

    assert (found.disks, found.unreadable_disks) == ((), ())
