"""Who we are: the fields of CONNECT, signed where the server asks for a signature."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import nkeys  # pyright: ignore[reportMissingTypeStubs]

from osapi_nats.credentials import read_creds, read_seed

if TYPE_CHECKING:
    from osapi_nats.options import Options


def login(options: Options, nonce: str) -> dict[str, str]:
    """Return what CONNECT says of us; reads files, which are small and local.

    Raises:
        AccessRefusedError: a file cannot be read, or does not hold what it should.

    """
    if options.user:
        return {"user": options.user, "pass": options.password}
    if options.token:
        return {"auth_token": options.token}
    if options.nkey:
        pair = _pair(read_seed(options.nkey))
        return {"nkey": bytes(pair.public_key).decode(), "sig": _signed(pair, nonce)}
    if options.creds:
        creds = read_creds(options.creds)
        return {"jwt": creds.jwt, "sig": _signed(_pair(creds.seed), nonce)}
    return {}


def _pair(seed: str) -> nkeys.KeyPair:
    return nkeys.from_seed(bytearray(seed.encode()))  # pyright: ignore[reportUnknownMemberType]


def _signed(pair: nkeys.KeyPair, nonce: str) -> str:
    signature: bytes = pair.sign(nonce.encode())  # pyright: ignore[reportUnknownMemberType]
    # The URL-safe alphabet without padding, as the other clients send it.
    return base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
