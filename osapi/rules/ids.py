"""Job ids: UUIDv7, so that they sort by time."""

from __future__ import annotations

COUNTER_BITS = 42
RANDOM_BITS = 32
_COUNTER_LOW = 30
_COUNTER_LAST = 16


def uuid7(milliseconds: int, counter: int, random: int) -> str:
    """Return the UUID of a moment, in text.

    RFC 9562, method 1: 48 bits of Unix time in milliseconds, then a counter of 42 bits across `rand_a` and
    `rand_b` that makes the ids of one millisecond sort in the order of their making, then 32 random bits.
    """
    version = 0x7000 | (counter >> _COUNTER_LOW)
    variant = 0x8000 | ((counter >> _COUNTER_LAST) & 0x3FFF)
    last = ((counter & 0xFFFF) << RANDOM_BITS) | random
    return f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-{version:04x}-{variant:04x}-{last:012x}"
