"""Which path stands for which operation.

A route is offered where the registry has its operation; the permission, the payload and the result are the
operation's own. Every operation is also at `POST /operation/{target}/{name}`.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_FIELDS: Final[Mapping[str, str]] = MappingProxyType({})
_PID: Final = {"pid": "pid"}
_NO_PROCESS: Final = "UnknownProcessError"


class Route(NamedTuple):
    """A method and path, the operation behind it, and which field of its payload each part of the path gives.

    `missing` is the error with which a host says that what the path names is not there: if all do, the answer is 404.
    """

    method: str
    path: str
    operation: str
    status: int = 200
    fields: Mapping[str, str] = _NO_FIELDS
    missing: str = ""

    @property
    def takes_body(self) -> bool:
        """Tell whether the rest of the payload comes as a body."""
        return self.method != "GET"


ROUTES: Final = (
    Route("GET", "/node/<target>", "node.status.get"),
    Route("GET", "/node/<target>/disk", "node.disk.get"),
    Route("GET", "/node/<target>/memory", "node.memory.get"),
    Route("GET", "/node/<target>/load", "node.load.get"),
    Route("GET", "/node/<target>/os", "node.os.get"),
    Route("GET", "/node/<target>/uptime", "node.uptime.get"),
    Route("GET", "/node/<target>/hostname", "node.hostname.get"),
    Route("PUT", "/node/<target>/hostname", "node.hostname.update", 202),
    Route("GET", "/node/<target>/network/dns/<interface>", "network.dns.get", 200, {"interface": "interface_name"}),
    Route("PUT", "/node/<target>/network/dns", "network.dns.update", 202),
    Route("DELETE", "/node/<target>/network/dns", "network.dns.delete"),
    Route("POST", "/node/<target>/network/ping", "network.ping.run"),
    Route("POST", "/node/<target>/command/exec", "command.exec.run", 202),
    Route("POST", "/node/<target>/command/shell", "command.shell.run", 202),
    Route("GET", "/node/<target>/process", "process.list.get"),
    Route("GET", "/node/<target>/process/<pid>", "process.get", 200, _PID, _NO_PROCESS),
    Route("POST", "/node/<target>/process/<pid>/signal", "process.signal.send", 202, _PID, _NO_PROCESS),
)
