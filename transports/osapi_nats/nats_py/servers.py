"""Where to connect next."""

from __future__ import annotations

import random
from ipaddress import ip_address
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


class Address(Struct, frozen=True):
    """A server as "host:port", and the name its certificate should have, if not the host's."""

    server: str
    tls_name: str = ""

    @property
    def host(self) -> str:
        """Return the host, an IPv6 address without brackets."""
        return self.server.rpartition(":")[0].strip("[]")


class Servers:
    """The servers of the URL, and those the one we were connected to last has told of."""

    def __init__(self, given: Iterable[str]) -> None:
        self._given = [Address(server) for server in given]
        self._told: list[Address] = []

    def learn(self, by: Address, told: Iterable[str]) -> None:
        """Note what a server's INFO tells of its cluster; an address among it goes by the name we know it by."""
        name = by.tls_name or by.host
        known = {address.server for address in self._given}
        self._told = []
        for server in told:
            address = Address(server)
            if server not in known:
                self._told.append(Address(server, name if _is_ip(address.host) else ""))

    def in_random_order(self) -> list[Address]:
        """Return all of them, shuffled, so that the clients of a lost server spread over the others."""
        addresses = [*self._given, *self._told]
        random.shuffle(addresses)
        return addresses


def pause(rounds: int) -> float:
    """Return how long to wait, in seconds, after so many rounds in vain: growing and random, two at most."""
    longest: float = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(rounds, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - it spreads clients, it hides nothing


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
