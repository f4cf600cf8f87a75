"""A NATS client on Trio's own streams, without a thread."""

# connection   what the JetStream layer sees: subscriptions and state, one session after the other
# session      one connection: reading, writing, listening for silence, until it breaks
# handshake    the way to a session: TCP, INFO, TLS, CONNECT
# Pure:        protocol     bytes in, events out; what we say, as bytes
#              outbox       what waits to be sent
#              pool         which server to try next, and when
#              credentials  who we are, signed

from __future__ import annotations

from osapi_nats.native.connection import open_connection

__all__ = ["open_connection"]
