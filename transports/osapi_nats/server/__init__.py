"""A real nats-server as a child process, for the length of a block."""

# The layout, in the order in which it is used:
#
#   find.py       where the program is
#   settings.py   how it is to run
#   render.py     the same in nats-server's own words
#   ground.py     a free address, a store of its own
#   run.py        started, watched and stopped

from __future__ import annotations

from osapi_nats.server.find import ServerNotFoundError, find_server
from osapi_nats.server.ground import ServerFailedError
from osapi_nats.server.run import Server, run_server
from osapi_nats.server.settings import Auth, Cluster, ServerSettings, Tls, User

__all__ = [
    "Auth",
    "Cluster",
    "Server",
    "ServerFailedError",
    "ServerNotFoundError",
    "ServerSettings",
    "Tls",
    "User",
    "find_server",
    "run_server",
]
