"""Public keys: how one is written, and its fingerprint, by which people compare it."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from msgspec import Struct

from osapi.errors import InvalidSettingError
from osapi.rules.seals import PUBLIC_BYTES

_PREFIX: Final = "ed25519:"
_TEXT: Final = re.compile(r"ed25519:([0-9a-f]{64})")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")

_FORM: Final = f"write ed25519: and its {PUBLIC_BYTES} bytes as 64 of 0-9 a-f, as `str(signer.public)` does"


class PublicKey(Struct, frozen=True):
    """The public half of a key, which anybody may know; `str` of it is what configurations and requests hold."""

    raw: bytes

    def __str__(self) -> str:
        return f"{_PREFIX}{self.raw.hex()}"

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the key's bytes, 64 of `0-9 a-f`."""
        return fingerprint(self.raw)


def fingerprint(raw: bytes) -> str:
    """Return the fingerprint of a public key."""
    return hashlib.sha256(raw).hexdigest()


def parse_public_key(text: str) -> PublicKey:
    """Read a public key as `str` writes it.

    Raises:
        InvalidSettingError

    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise InvalidSettingError(text, "is not a public key", _FORM)
    return PublicKey(bytes.fromhex(found[1]))


def check_fingerprint(text: str) -> str:
    """Return a fingerprint, or refuse what is none.

    Raises:
        InvalidSettingError

    """
    if not _FINGERPRINT.fullmatch(text):
        raise InvalidSettingError(text, "is not a fingerprint", "give the 64 of 0-9 a-f that `pending` shows")
    return text
