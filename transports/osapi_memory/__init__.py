"""An in-process broker with the semantics of NATS JetStream, for tests and for programs of one process."""

# Pure, told the time, no tasks, no randomness:
#   subject_index   which patterns match a subject: a trie
#   agenda          what falls due when: a lazy heap
#   bucket_core     keys, revisions, lifetimes
#   log_core        messages, limits, duplicates; by_subject finds them
#   consumer_core   who gets which message, and when again
#   stream_core     a log with its schedules and consumers
# On Trio, thin:
#   broker          buckets, streams, and the one task that keeps time, which runs in the background
#   connection      one client's wire and how a task waits on it; faults makes a bad one
#   transport, key_value, watch, streams, pull
#                   the interfaces of osapi.transport
#   urls            what memory:// opens

from __future__ import annotations

from osapi_memory.broker import Broker
from osapi_memory.faults import Faults
from osapi_memory.transport import MemoryTransport
from osapi_memory.urls import open_transport

__all__ = ["Broker", "Faults", "MemoryTransport", "open_transport"]
