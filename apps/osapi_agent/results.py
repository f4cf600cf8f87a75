"""The shapes that the node operations answer with.

Sizes are bytes, durations seconds. Every operation answers with an object, and the object of `node.status.get` holds
the fields of all the others, so that a caller reads a part in the same way wherever it comes from.
"""

from __future__ import annotations

from msgspec import Struct, field


class Hostname(Struct, frozen=True, kw_only=True):
    """The name that the operating system gives this host; an agent may be called otherwise."""

    hostname: str


class Uptime(Struct, frozen=True, kw_only=True):
    """How long the host has been up, in seconds: a number, where the Go system has a sentence."""

    uptime: float


class OsInfo(Struct, frozen=True, kw_only=True):
    """The distribution's name and version; `version` is empty where a distribution has none."""

    distribution: str
    version: str


class OsRelease(Struct, frozen=True, kw_only=True):
    """The operating system."""

    os_info: OsInfo


class MemoryInfo(Struct, frozen=True, kw_only=True):
    """Physical memory in bytes.

    `used` cannot be had without swapping, `free` holds nothing at all; what is missing to `total` are caches that the
    kernel gives back when they are asked for.
    """

    total: int
    free: int
    used: int


class Memory(Struct, frozen=True, kw_only=True):
    """The host's memory."""

    memory: MemoryInfo


class LoadAverage(Struct, frozen=True, kw_only=True):
    """The mean number of runnable tasks over one, five and fifteen minutes, over all processors together."""

    one: float = field(name="1min")
    five: float = field(name="5min")
    fifteen: float = field(name="15min")


class Load(Struct, frozen=True, kw_only=True):
    """The host's load."""

    load_average: LoadAverage


class Disk(Struct, frozen=True, kw_only=True):
    """One mounted filesystem in bytes; `name` is where it is mounted.

    `free` is what anybody may fill; what is missing to `total` is kept for the superuser.
    """

    name: str
    total: int
    used: int
    free: int


class UnreadableDisk(Struct, frozen=True, kw_only=True):
    """A filesystem that is mounted at `name` and did not tell how full it is."""

    name: str
    error: str


class Disks(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The host's filesystems by name; those that cannot be read apart from the others."""

    disks: tuple[Disk, ...]
    unreadable_disks: tuple[UnreadableDisk, ...] = ()


class Status(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All of it; `load_average` is missing on a platform that has none."""

    hostname: str
    uptime: float
    os_info: OsInfo
    memory: MemoryInfo
    disks: tuple[Disk, ...]
    unreadable_disks: tuple[UnreadableDisk, ...] = ()
    load_average: LoadAverage | None = None
