"""Which server to try next, and how long to wait before: pure, but for the randomness it is given."""

from __future__ import annotations

import re
from collections import deque
from ipaddress import ip_address
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

LONGEST_PAUSE = 2.0
_FIRST_PAUSE = 0.05

_SERVER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s\[\]:]+):([0-9]{1,5})")


class Address(Struct, frozen=True):
    """A server as "host:port", and the name its certificate should have, if not the host's."""

    server: str
    tls_name: str = ""

    @property
    def host(self) -> str:
        """Return the host, an IPv6 address without brackets."""
        return self.server.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Return the port."""
        return int(self.server.rpartition(":")[2])


class Pool:
    """The servers that we know, in the order in which to try them: the one that we had last comes last."""

    def __init__(self, servers: Iterable[str], random: Random) -> None:
        self._given = [Address(server) for server in dict.fromkeys(servers)]
        self._random = random
        self._order = deque(random.sample(self._given, len(self._given)))
        self._tries = 0

    def __len__(self) -> int:
        return len(self._order)

    def next(self) -> Address:
        """Return the server to try now; it goes to the end of the line."""
        self._order.rotate(-1)
        return self._order[-1]

    def learn(self, by: Address, told: Iterable[str]) -> None:
        """Take the servers that a cluster tells of; of those it no longer tells, only the given ones stay.

        An address among them has the certificate's name that we know the cluster by.
        """
        name = by.tls_name or by.host
        known = {address.server for address in self._given}
        servers = [server for server in dict.fromkeys(told) if server not in known and _is_server(server)]
        learned = {address.server: address for address in (_named(server, name) for server in servers)}
        kept = [address for address in self._order if address.server in known or address.server in learned]
        new = [learned[server] for server in learned.keys() - {address.server for address in kept}]
        # They come first, before the one that told of them.
        self._order = deque([*self._random.sample(sorted(new, key=_server_of), len(new)), *kept])

    def calm(self) -> None:
        """Note that a connection has lasted: the next outage begins without pauses again."""
        self._tries = 0

    def pause(self) -> float:
        """Return how long to wait before the next try, in seconds: longer with each round through the servers.

        Nothing in the first round. Later full jitter (M. Brooker, "Exponential Backoff And Jitter", 2015), so that a
        fleet does not come back at once.
        """
        rounds, in_round = divmod(self._tries, len(self._order))
        self._tries += 1
        if not rounds or in_round:
            return 0.0
        return self._random.uniform(0.0, min(LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(rounds, 10)))


def _named(server: str, name: str) -> Address:
    address = Address(server)
    return Address(server, name) if _is_ip(address.host) else address


def _server_of(address: Address) -> str:
    return address.server


def _is_server(text: str) -> bool:
    match = _SERVER.fullmatch(text)
    return match is not None and 1 <= int(match[2]) <= 65535


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
