"""How full the disks are, also when one of them does not answer.

A question about a mount whose server or device is gone may hang in the kernel for as long as that is so, and nothing
ends the thread that asks. So every mount is asked in a thread of its own and the job waits for `PATIENCE` only; the
thread is left behind, and until it comes back its mount is reported as unreadable without being asked again. A dead
mount then costs a thread for each job that found out, not one for each job.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

import psutil
import trio

from osapi_agent.results import Disk, Disks, UnreadableDisk

if TYPE_CHECKING:
    from collections.abc import Iterable

PATIENCE: Final = 5.0

# Filesystems that keep data, although the kernel counts them among those without a device.
_WITHOUT_DEVICE: Final = frozenset(
    {"9p", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "lustre", "nfs", "nfs4", "smb3", "virtiofs", "zfs"}
)

# Images are always full, by their nature, and only ever raise false alarms.
_IMAGES: Final = frozenset({"erofs", "iso9660", "squashfs", "udf"})


class Mount(NamedTuple):
    """What is known of a mount without asking it."""

    device: str
    mountpoint: str
    fstype: str


class _Probe:
    """One question to one mount, and whether it still hangs."""

    def __init__(self, mountpoint: str) -> None:
        self.mountpoint = mountpoint
        self.hangs = False

    def ask(self) -> Disk | None:
        self.hangs = True
        try:
            # A container's runtime mounts single files of the host's disk, such as /etc/hosts: windows, not disks.
            if os.path.isfile(self.mountpoint):  # noqa: PTH113 - Path would refuse names that the kernel allows
                return None
            usage = psutil.disk_usage(self.mountpoint)
        finally:
            self.hangs = False
        return Disk(name=readable(self.mountpoint), total=usage.total, used=usage.used, free=usage.free)


# The mounts are those of the kernel, the same for all agents of this process; so is what is known of them.
_hanging: dict[str, _Probe] = {}


async def collect() -> Disks:
    """Return the usage of all filesystems that hold data, in the order of their names, within `PATIENCE`.

    One that cannot be read is named with the reason, and the others are not affected.
    """
    found: list[Disk | UnreadableDisk] = []

    async def look(mountpoint: str) -> None:
        disk = await _look(mountpoint)
        if disk is not None:
            found.append(disk)

    async with trio.open_nursery() as nursery:
        for mount in select(_mounts(everything=False), _mounts(everything=True)):
            nursery.start_soon(look, mount.mountpoint)
    found.sort(key=lambda disk: disk.name)
    return Disks(
        disks=tuple(disk for disk in found if isinstance(disk, Disk)),
        unreadable_disks=tuple(disk for disk in found if isinstance(disk, UnreadableDisk)),
    )


def _mounts(*, everything: bool) -> list[Mount]:
    # The kernel's own table, which no mount can hold up.
    return [Mount(mount.device, mount.mountpoint, mount.fstype) for mount in psutil.disk_partitions(all=everything)]


def select(devices: Iterable[Mount], mounts: Iterable[Mount]) -> list[Mount]:
    """Return the mounts that hold data: of `devices` all but images, of all the others those known to keep some.

    What is mounted in several places counts once, at the shortest of them, as with `df`. A container's root counts,
    the layers that a container runtime mounts on its host do not.
    """
    kept: dict[str, Mount] = {}
    for mount in [
        *(mount for mount in devices if mount.fstype not in _IMAGES),
        *(mount for mount in mounts if mount.fstype in _WITHOUT_DEVICE or _is_container_root(mount)),
    ]:
        known = kept.setdefault(mount.device, mount)
        if len(mount.mountpoint) < len(known.mountpoint):
            kept[mount.device] = mount
    return list(kept.values())


def _is_container_root(mount: Mount) -> bool:
    return mount.fstype == "overlay" and mount.mountpoint == "/"


def readable(name: str) -> str:
    r"""Return a path as text that JSON can hold: bytes that are no UTF-8 are written as `\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


async def _look(mountpoint: str) -> Disk | UnreadableDisk | None:
    earlier = _hanging.get(mountpoint)
    if earlier is not None and earlier.hangs:
        return _unreadable(mountpoint, "still has not answered an earlier question")
    probe = _Probe(mountpoint)
    try:
        with trio.move_on_after(PATIENCE):
            # A limiter of its own: threads that hang must not use up those that the rest of the process may have.
            return await trio.to_thread.run_sync(probe.ask, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1))
    except OSError as error:
        return _unreadable(mountpoint, error.strerror or str(error))
    finally:
        # Also when the job itself was cancelled: the thread hangs all the same.
        _hanging.pop(mountpoint, None)
        if probe.hangs:
            _hanging[mountpoint] = probe
    return _unreadable(mountpoint, f"did not answer within {PATIENCE:g} s")


def _unreadable(mountpoint: str, error: str) -> UnreadableDisk:
    return UnreadableDisk(name=readable(mountpoint), error=error)
