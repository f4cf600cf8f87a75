"""A `Connection` over nats-py's core client, in an asyncio loop on a thread of its own."""

# On Trio's thread:  connection   what the JetStream layer sees: subscriptions, state, flushes
# Between them:      crossing     queues in both directions, one wake-up for many items
# On asyncio's:      thread       the loop, from the connection's block to its end
#                    session      one connection: commands out, messages in, until it breaks
#                    dial         the way to a connected client, every failure one of our errors
#                    credentials  what to show the server
#                    client       nats-py's client, opened up; tcp is what it reads and writes
# Pure:              wire, servers

from __future__ import annotations

from osapi_nats.nats_py.connection import open_connection

__all__ = ["open_connection"]
