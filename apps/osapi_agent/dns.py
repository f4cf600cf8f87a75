"""The operations on the DNS settings of a network interface: `network.dns.*`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

import osapi
from osapi_agent.addresses import check_interface, holds_reference, normalise_domain, normalise_server
from osapi_agent.errors import InvalidAddressError, ProgramFailedError
from osapi_agent.resolved import Resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from osapi_agent.system import System

READ: Final = "network:read"
WRITE: Final = "network:write"

_Few = Annotated[tuple[str, ...], Meta(max_length=16)]


class Interface(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network interface of the host."""

    interface_name: str

    def __post_init__(self) -> None:
        """Refuse what no interface can be called."""
        _check(self.interface_name, check_interface)


class DnsUpdate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an interface is to ask; an empty list leaves that part as it is.

    `override_dhcp` puts it in the place of what the interface has, from DHCP or from an earlier update. Without,
    that stays in use, after what is given here.
    """

    interface_name: str
    servers: _Few = ()
    search_domains: _Few = ()
    override_dhcp: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no interface, server or domain, and an update of nothing."""
        _check(self.interface_name, check_interface)
        for server in self.servers:
            _check(server, normalise_server)
        for domain in self.search_domains:
            _check(domain, normalise_domain)
        if not self.servers and not self.search_domains:
            raise InvalidAddressError(
                self.interface_name, "is given neither servers nor search domains", "give one of them at least"
            )


class Dns(Struct, frozen=True, kw_only=True):
    """The servers and search domains of an interface, in the order of their use."""

    servers: tuple[str, ...]
    search_domains: tuple[str, ...]


class DnsUpdated(Struct, frozen=True, kw_only=True):
    """The servers and search domains that the interface has now, and whether they were others before."""

    servers: tuple[str, ...]
    search_domains: tuple[str, ...]
    changed: bool


def offer(system: System) -> osapi.Operations:
    """Return the operations on a host."""
    operations = osapi.Operations()

    @operations.query("network.dns.get", permission=READ)
    async def get_dns(job: osapi.Job, data: Interface) -> Dns:
        """Return the interface's servers and search domains; skipped where systemd-resolved does not run."""
        resolved = Resolved(system, data.interface_name)
        resolved.check_interface()
        return await _read(resolved)

    @operations.modify("network.dns.update", permission=WRITE)
    async def update_dns(job: osapi.Job, data: DnsUpdate) -> DnsUpdated:
        """Set the interface's servers and search domains, until the host or the interface is started again."""
        resolved = Resolved(system, data.interface_name)
        resolved.check_interface()
        async with system.writing:
            before = await _read(resolved)
            await _update(resolved, before, data)
            return _difference(before, await _read(resolved))

    @operations.modify("network.dns.delete", permission=WRITE)
    async def delete_dns(job: osapi.Job, data: Interface) -> DnsUpdated:
        """Undo all updates of the interface: it uses again what its own configuration or DHCP says."""
        resolved = Resolved(system, data.interface_name)
        resolved.check_interface()
        async with system.writing:
            before = await _read(resolved)
            await resolved.revert()
            return _difference(before, await _read(resolved))

    return operations


async def _read(resolved: Resolved) -> Dns:
    return Dns(servers=tuple(await resolved.servers()), search_domains=tuple(await resolved.domains()))


async def _update(resolved: Resolved, before: Dns, data: DnsUpdate) -> None:
    servers = _merged(data.servers, before.servers, normalise_server, override=data.override_dhcp)
    domains = _merged(data.search_domains, before.search_domains, normalise_domain, override=data.override_dhcp)
    # Both were checked before, so the second is hardly refused when the first was taken. If it is, the job fails, and
    # another update finishes what this one began.
    if servers != before.servers:
        await resolved.set_servers(servers)
    if domains != before.search_domains:
        try:
            await resolved.set_domains(domains)
        except osapi.Skip as skip:
            if servers == before.servers:
                raise
            raise ProgramFailedError(f"the servers are set, the search domains are not: {skip}") from skip


def _merged(
    given: Sequence[str], there: tuple[str, ...], normalise: Callable[[str], str], *, override: bool
) -> tuple[str, ...]:
    if not given:
        return there
    behind = () if override else there
    return tuple(dict.fromkeys([*map(normalise, given), *behind]))


def _difference(before: Dns, after: Dns) -> DnsUpdated:
    return DnsUpdated(servers=after.servers, search_domains=after.search_domains, changed=after != before)


def _check(text: str, check: Callable[[str], object]) -> None:
    if not holds_reference(text):
        check(text)
