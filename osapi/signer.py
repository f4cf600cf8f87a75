"""Keys that sign: made, kept in a file that only their owner may read, and used."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

from osapi.errors import KeyFileError
from osapi.rules.public_keys import PublicKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

# Public keys that are kept ready to verify.
_LOADED: Final = 4096

# No key is near as long.
_MAX_FILE: Final = 16_384
_NOT_THE_OWNERS: Final = stat.S_IRWXG | stat.S_IRWXO


def _cryptography() -> tuple[Any, Any]:
    """Import what signs; most programs never need it, and it takes its time.

    Raises:
        KeyFileError

    """
    try:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise KeyFileError(f"signing needs the extra pki: pip install 'osapi[pki]' ({error})") from None
    return serialization, ed25519


class Signer:
    """A private key that signs with Ed25519 (RFC 8032).

    Make one with `generate`, keep it in a file with `open`.

    Raises:
        KeyFileError: the extra `pki` is not installed.

    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        serialization, _ = _cryptography()
        raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self._key = key
        self.public = PublicKey(raw)
        self.sign: Callable[[bytes], bytes] = key.sign

    def __repr__(self) -> str:
        return f"<Signer {self.public}>"

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the public key, by which people compare it."""
        return self.public.fingerprint

    @classmethod
    def generate(cls) -> Self:
        """Make a new key."""
        _, ed25519 = _cryptography()
        return cls(ed25519.Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read a key from PEM (PKCS #8, not encrypted).

        Raises:
            KeyFileError

        """
        serialization, ed25519 = _cryptography()
        try:
            key: object = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise KeyFileError(f"this is no private key in PEM (PKCS #8, not encrypted): {error}") from None
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise KeyFileError(f"this is a key of another kind ({type(key).__name__}); make one of Ed25519")
        return cls(cast("Ed25519PrivateKey", key))

    def to_pem(self) -> bytes:
        """Return the private key as PEM (PKCS #8); whoever reads it can sign in its name."""
        serialization, _ = _cryptography()
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read a key from a file that belongs to this user and that nobody else may touch.

        Raises:
            KeyFileError

        """
        place = Path(path)
        try:
            pem = _read(place)
        except OSError as error:
            raise KeyFileError(f"key file {place}: {error.strerror}") from None
        try:
            return cls.from_pem(pem)
        except KeyFileError as error:
            raise KeyFileError(f"key file {place}: {error}") from None

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Read a key from a file, or make one there, with its folder, if there is none.

        Two processes that do so at once get the same key: it is written elsewhere, and then put in its place, where
        nothing may be yet.

        Raises:
            KeyFileError

        """
        place = Path(path)
        try:
            if not place.exists():
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _write_new(place, cls.generate().to_pem())
        except OSError as error:
            raise KeyFileError(f"key file {place}: {error.strerror}; it could not be made") from None
        return cls.read(place)


def _read(path: Path) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(file, "rb") as opened:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise KeyFileError(f"key file {path}: it is not a regular file")
        if found.st_mode & _NOT_THE_OWNERS:
            mode = stat.S_IMODE(found.st_mode)
            raise KeyFileError(f"key file {path}: its mode is {mode:04o}, so others may touch it; chmod 600 {path}")
        if found.st_uid not in {os.geteuid(), 0}:
            raise KeyFileError(f"key file {path}: it belongs to user {found.st_uid}; chown it to {os.geteuid()}")
        if found.st_size > _MAX_FILE:
            raise KeyFileError(f"key file {path}: it is {found.st_size} bytes, which is no key")
        return opened.read(_MAX_FILE)


def _write_new(path: Path, data: bytes) -> None:
    """Put a file where there is none yet; one that is there stays."""
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(file, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(file)
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()


def verifies(public: bytes, signature: bytes, signed: bytes) -> bool:
    """Tell whether a key has signed this.

    Raises:
        KeyFileError: the extra `pki` is not installed.

    """
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    try:
        _loaded(public).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return True


@lru_cache(maxsize=_LOADED)
def _loaded(public: bytes) -> Ed25519PublicKey:
    _, ed25519 = _cryptography()
    return cast("Ed25519PublicKey", ed25519.Ed25519PublicKey.from_public_bytes(public))
