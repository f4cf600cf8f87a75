"""Who we are: the fields of CONNECT, signed where the server asks for a signature."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nkeys

from osapi.errors import AccessRefusedError

if TYPE_CHECKING:
    from osapi_nats.options import Options

_JWT = re.compile(r"-----BEGIN NATS USER JWT-----\s+(\S+)\s+-+END NATS USER JWT-+")
_SEED = re.compile(r"-----BEGIN USER NKEY SEED-----\s+(\S+)\s+-+END USER NKEY SEED-+")


def credentials(options: Options, nonce: str) -> dict[str, Any]:
    """Return what CONNECT says of us; reads files, which are small and local.

    Raises:
        AccessRefusedError: a file cannot be read, or does not hold what it should.

    """
    if options.token:
        return {"auth_token": options.token}
    if options.user:
        return {"user": options.user, "pass": options.password}
    if options.nkey:
        pair = _pair(_read(options.nkey).strip(), options.nkey)
        return {"nkey": pair.public_key.decode(), "sig": _signed(pair, nonce)}
    if options.creds:
        text = _read(options.creds)
        jwt, seed = _JWT.search(text), _SEED.search(text)
        if jwt is None or seed is None:
            raise AccessRefusedError(
                f"{options.creds} holds no user JWT with its seed: make it with `nsc generate creds`"
            )
        return {"jwt": jwt[1], "sig": _signed(_pair(seed[1], options.creds), nonce)}
    return {}


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AccessRefusedError(f"{path} cannot be read: {error}") from None


def _pair(seed: str, path: str) -> nkeys.KeyPair:
    try:
        return nkeys.from_seed(seed.encode())
    except Exception:  # noqa: BLE001 - nkeys raises whatever it meets in a damaged seed; none of it may be shown
        raise AccessRefusedError(f"{path} holds no nkey seed: it begins with SU") from None


def _signed(pair: nkeys.KeyPair, nonce: str) -> str:
    # The server takes the URL-safe alphabet without padding, as the other clients send it.
    return base64.urlsafe_b64encode(pair.sign(nonce.encode())).rstrip(b"=").decode()
