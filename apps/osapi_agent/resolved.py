"""The DNS settings of a network interface, as systemd-resolved has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import osapi
from osapi.errors import shown
from osapi.rules.names import nearest
from osapi_agent.addresses import check_interface
from osapi_agent.errors import ProgramFailedError, ProgramMissingError, UnknownInterfaceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osapi_agent.system import System

# "Link 2 (eth0): 192.0.2.1 2001:db8::1", continued on indented lines when there are many.
_HEAD = re.compile(r"\s*(?:Link \d+ \([^)\s]*\)|Global)\s*:")


class Resolved:
    """systemd-resolved, asked about one interface through `resolvectl`."""

    def __init__(self, system: System, interface: str) -> None:
        self._system = system
        self._interface = interface

    def check_interface(self) -> None:
        """Refuse an interface that the host does not have.

        Raises:
            InvalidAddressError, UnknownInterfaceError

        """
        check_interface(self._interface)
        known = sorted(self._system.interfaces())
        if self._interface in known:
            return
        near = nearest(self._interface, known)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known) or 'none'}"
        raise UnknownInterfaceError(f"interface {shown(self._interface)} is not on this host; {hint}")

    async def servers(self) -> list[str]:
        """Return the interface's servers, the first to be asked first."""
        return parse(await self._ask("dns"))

    async def domains(self) -> list[str]:
        """Return the interface's search domains."""
        return parse(await self._ask("domain"))

    async def set_servers(self, servers: Sequence[str]) -> None:
        """Replace the interface's servers, of which there must be one."""
        await self._ask("dns", *servers)

    async def set_domains(self, domains: Sequence[str]) -> None:
        """Replace the interface's search domains, of which there must be one."""
        await self._ask("domain", *domains)

    async def revert(self) -> None:
        """Forget what was set here: the interface's own configuration, as from DHCP, holds again."""
        await self._ask("revert")

    async def _ask(self, verb: str, *arguments: str) -> str:
        """Run resolvectl for the interface and return what it wrote.

        Raises:
            Skip: systemd-resolved is not there, or does not let this process.
            ProgramFailedError

        """
        try:
            ended = await self._system.ask("resolvectl", verb, self._interface, *arguments)
        except ProgramMissingError as error:
            raise osapi.Skip("resolvectl is not installed here; DNS can only be managed by systemd-resolved") from error
        if ended.lacks_systemd():
            raise osapi.Skip(f"systemd-resolved does not run here ({ended.stderr.strip()})")
        if ended.lacks_rights():
            raise osapi.Skip(
                f"the agent may not set the DNS of this host ({ended.stderr.strip()}); "
                "run it as root, or let polkit allow it"
            )
        if ended.status:
            raise ProgramFailedError(
                f"resolvectl {verb} {self._interface} failed (status {ended.status}): {ended.stderr.strip()}"
            )
        return ended.stdout


def parse(text: str) -> list[str]:
    """Read the list of servers or domains that resolvectl prints for one interface."""
    return _HEAD.sub("", text, count=1).split()
