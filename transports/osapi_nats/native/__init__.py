"""A NATS client on Trio's own streams, without a thread."""

# protocol      bytes in, events out; what we say, as bytes: no I/O
# credentials   who we are, signed
# pool          which server to try next, and when
# handshake     one server, until it has accepted us
# connection    reading, writing, reconnecting

from __future__ import annotations

from osapi_nats.native.connection import open_connection

__all__ = ["open_connection"]
