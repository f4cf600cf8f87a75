"""What an agent offers on a host: operations on psutil and the system."""

# The layout, from the whole to its parts:
#
#   registry.py                     all operations, or as few as an embedder chooses
#   node.py  hostname.py            node.*: what only reads, and the one that renames the host
#   dns.py  ping.py                 network.*
#   process.py                      process.*: what only reads, and signals
#   command.py                      command.*: without a shell, and with one
#
#   results.py  host.py  disks.py   what the node says of itself; a dead mount included
#   facts.py  vitals.py             what the node tells before it is asked: what it is, and how it is
#   conditions.py                   what its figures say about it
#   preflight.py                    what the operations need of the host and lack
#   resolved.py                     the DNS settings that systemd-resolved has
#   processes.py  redact.py         psutil's processes, without their secrets
#   addresses.py                    what may name a host, a domain, an interface
#
#   system.py                       the host that is acted on: another one in tests
#   groups.py  output.py            run a program, bound what it writes, leave nothing of it behind
#   errors.py                       everything that is raised on purpose

from __future__ import annotations

from osapi_agent.conditions import Thresholds
from osapi_agent.registry import assemble, operations
from osapi_agent.system import System
from osapi_agent.vitals import Vitals

__all__ = ["System", "Thresholds", "Vitals", "assemble", "operations"]
