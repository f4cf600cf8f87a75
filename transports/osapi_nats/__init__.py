"""NATS JetStream as a backend of osapi: buckets, streams and consumers on a server or cluster."""

# What only knows JetStream, over a link:
#   transport      opens buckets and streams, and compares them with what is there
#   key_value      a bucket; watch, its changes
#   streams        a stream and its consumers; pull, what a consumer receives
#   reader         reads without a consumer
#   api            requests of the API, refusals as our errors
#   documents      our settings as the server's configuration; messages, what it hands out
# What knows NATS:
#   link           requests and their answers, open receivers, reconnection
#   connection     the few methods that a client of NATS has to have: native has them on Trio, nats_py over a thread
#   options, urls  where the servers are and who we are; credentials, what we show them
#   troubles       what goes wrong on the way to a server, as our errors
# server           the bundled nats-server: finding it, running it

from __future__ import annotations

from osapi_nats.opening import open_connection, open_transport
from osapi_nats.options import Options
from osapi_nats.transport import NatsTransport

__all__ = ["NatsTransport", "Options", "open_connection", "open_transport"]
