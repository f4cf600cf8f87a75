"""Job ids: UUIDv7, so that they sort by time."""

from __future__ import annotations

COUNTER_BITS = 42
RANDOM_BITS = 32
_COUNTER_LOW = 30


def uuid7(milliseconds: int, counter: int, random: int) -> str:
    """Return the UUID of a moment, in text.

    RFC 9562, method 1: 48 bits of Unix time in milliseconds, then a counter of 42 bits across `rand_a` and
    `rand_b` that makes the ids of one millisecond sort in the order of their making, then 32 random bits.
    """
    high = (milliseconds << 16) | 0x7000 | (counter >> _COUNTER_LOW)
    low = (0b10 << 62) | ((counter & ((1 << _COUNTER_LOW) - 1)) << RANDOM_BITS) | random
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
