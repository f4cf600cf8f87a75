"""Seals: a value together with the public key of who wrote it and a signature over what it is and where it lies.

    sealed value = magic, public key (32 bytes), signature (64 bytes), value

The signature is Ed25519 (RFC 8032) over the fleet, the bucket, the key and the value's exact bytes, each with its
length in front, under a context of its own: what was sealed under one key of one bucket counts under no other.
"""

from __future__ import annotations

from typing import Final, NamedTuple

MAGIC: Final = b"osapi-seal-1\n"
PUBLIC_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
SEAL_BYTES: Final = len(MAGIC) + PUBLIC_BYTES + SIGNATURE_BYTES

_CONTEXT: Final = b"osapi stored value, version 1"
_REFUSED: Final = b"osapi-untrusted\n"


class Seal(NamedTuple):
    """A sealed value taken apart; nothing is checked yet."""

    public: bytes
    signature: bytes
    value: bytes


def statement(fleet: str, bucket: str, key: str, value: bytes) -> bytes:
    """Return the bytes that are signed."""
    parts = (_CONTEXT, fleet.encode(), bucket.encode(), key.encode(), value)
    return b"".join([b"%d:%b," % (len(part), part) for part in parts])


def pack(public: bytes, signature: bytes, value: bytes) -> bytes:
    """Return a sealed value."""
    return b"%b%b%b%b" % (MAGIC, public, signature, value)


def unpack(stored: bytes) -> Seal | None:
    """Take a sealed value apart; None if it is not sealed."""
    if len(stored) < SEAL_BYTES or not stored.startswith(MAGIC):
        return None
    start = len(MAGIC)
    middle = start + PUBLIC_BYTES
    return Seal(stored[start:middle], stored[middle:SEAL_BYTES], stored[SEAL_BYTES:])


def without_seal(stored: bytes) -> bytes:
    """Return a value as it was before it was sealed, if it is sealed; who it is from is not looked at."""
    seal = unpack(stored)
    return stored if seal is None else seal.value


def refused(reason: str, stored: bytes) -> bytes:
    """Return what takes the place of a value that cannot be trusted: no record decodes it, and it says why."""
    told = reason.encode("utf-8", "replace")
    return b"%b%d\n%b%b" % (_REFUSED, len(told), told, without_seal(stored))


def refusal(value: bytes) -> tuple[str, bytes] | None:
    """Return why a value was refused, and what it was; None if this is something else."""
    if not value.startswith(_REFUSED):
        return None
    length, _, rest = value[len(_REFUSED) :].partition(b"\n")
    if not length.isdigit():
        return None
    size = int(length[:6])
    return rest[:size].decode("utf-8", "replace"), rest[size:]
