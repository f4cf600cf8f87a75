"""The in-memory broker beside a real server: the same random commands, and all that a user can see is compared.

A script is drawn from a seed and so can be drawn again. Its steps name what they work on by small numbers and by where
things stand ("one more than the newest revision"), so that they mean something on both sides. Time is real on both:
lifetimes and waits are whole seconds, a script moves on by a third more than a second, and so nothing is ever looked at
within a quarter of a second of the moment at which it changes. A script that was held up until it did is run again.
"""

# script      what a script is, what became of a step       run         runs one on both sides, finds what differs
# buckets     streams     consumers

from __future__ import annotations

from tests.nats.differential.buckets import BUCKETS
from tests.nats.differential.consumers import CONSUMERS
from tests.nats.differential.streams import STREAMS

KINDS = (BUCKETS, STREAMS, CONSUMERS)
