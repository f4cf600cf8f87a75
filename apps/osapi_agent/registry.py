"""All operations on a host as one registry, or as few of them as an embedder wants to offer."""

from __future__ import annotations

from typing import Final

import osapi
from osapi_agent import command, dns, hostname, node, ping, process
from osapi_agent.system import System


def assemble(system: System | None = None, *, commands: bool = False, signals: bool = False) -> osapi.Operations:
    """Return the operations on a host, by default this one.

    `commands` adds `command.*`, `signals` adds `process.signal.send`: whoever may call these can do there whatever
    the agent can. Leave them out where they are not needed.
    """
    system = system or System()
    chosen = [node.operations, *(module.offer(system) for module in (hostname, dns, ping, process))]
    if signals:
        chosen.append(process.offer_signals(system))
    if commands:
        chosen.append(command.offer(system))
    operations = osapi.Operations()
    for some in chosen:
        operations.include(some)
    return operations


operations: Final = assemble(commands=True, signals=True)
