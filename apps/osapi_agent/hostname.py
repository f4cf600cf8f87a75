"""The operation that gives the host another name: `node.hostname.update`."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

import trio
from msgspec import Struct

import osapi
from osapi.errors import InvalidNameError
from osapi.rules.names import normalise_hostname
from osapi_agent.addresses import holds_reference
from osapi_agent.errors import ProgramFailedError, ProgramMissingError

if TYPE_CHECKING:
    from osapi_agent.system import System

WRITE: Final = "node:write"

# HOST_NAME_MAX of Linux, and the longest part of a name in DNS (RFC 1035).
_MAX_NAME: Final = 64
_MAX_PART: Final = 63


class HostnameUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The name that the host is to have."""

    hostname: str

    def __post_init__(self) -> None:
        """Refuse what is no hostname that Linux takes."""
        if not holds_reference(self.hostname):
            _check(self.hostname)


class HostnameUpdated(Struct, frozen=True, kw_only=True):
    """The name that the host has now, and whether it had another before."""

    hostname: str
    changed: bool


def _check(name: str) -> None:
    normalise_hostname(name)
    if len(name) > _MAX_NAME or any(len(part) > _MAX_PART for part in name.split(".")):
        raise InvalidNameError(
            name, "is too long for a host", f"use at most {_MAX_NAME} characters, {_MAX_PART} between two dots"
        )


def offer(system: System) -> osapi.Operations:
    """Return the operation on a host."""
    operations = osapi.Operations()

    @operations.modify("node.hostname.update", permission=WRITE)
    async def update_hostname(job: osapi.Job, data: HostnameUpdate) -> HostnameUpdated:
        """Give the host another name, now and after a restart; its agent keeps the name it was started under.

        Skipped where the agent may not do that.
        """
        _check(data.hostname)
        async with system.writing:
            changed = await _update(system, data.hostname)
        return HostnameUpdated(hostname=data.hostname, changed=changed)

    return operations


async def _update(system: System, name: str) -> bool:
    kept = await trio.to_thread.run_sync(system.kept_hostname, limiter=system.threads)
    if system.hostname() == name == kept:
        return False
    if not await _told_systemd(system, name):
        await trio.to_thread.run_sync(_write, system, name, limiter=system.threads)
    return True


async def _told_systemd(system: System, name: str) -> bool:
    try:
        ended = await system.ask("hostnamectl", "set-hostname", name)
    except ProgramMissingError:
        return False
    if ended.lacks_systemd():
        return False
    if ended.lacks_rights():
        raise _may_not(ended.stderr.strip())
    if ended.status:
        raise ProgramFailedError(f"hostnamectl refused the name (status {ended.status}): {ended.stderr.strip()}")
    return True


def _write(system: System, name: str) -> None:
    before = system.hostname()
    try:
        system.set_hostname(name)
        try:
            system.keep_hostname(name)
        except OSError:
            # Not half of it: the host would go by one name now and by another after a restart.
            system.set_hostname(before)
            raise
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EACCES, errno.EROFS}:
            raise
        raise _may_not(str(error.strerror)) from error


def _may_not(told: str) -> osapi.Skip:
    return osapi.Skip(f"the agent may not name this host ({told}); run it as root")
