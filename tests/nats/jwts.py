"""Keys of NATS, and the signed claims that an operator's tools would make."""

from __future__ import annotations

import base64
import json
import os
import time
from typing import TYPE_CHECKING, Any

import nkeys  # pyright: ignore[reportMissingTypeStubs]

if TYPE_CHECKING:
    from pathlib import Path


class Key:
    """A new key pair of one kind: `nkeys.PREFIX_BYTE_USER` and so on."""

    def __init__(self, prefix: int) -> None:
        library: Any = nkeys  # which has no types
        self.seed: str = library.encode_seed(os.urandom(32), prefix).decode()
        self._pair = library.from_seed(bytearray(self.seed.encode()))
        self.public: str = self._pair.public_key.decode()

    def sign(self, subject: Key, name: str, claims: dict[str, Any]) -> str:
        """Return a JWT about another key."""
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        body = {
            "jti": name,
            "iat": int(time.time()),
            "iss": self.public,
            "name": name,
            "sub": subject.public,
            "nats": {"version": 2, **claims},
        }
        signed = f"{_encoded(json.dumps(head).encode())}.{_encoded(json.dumps(body).encode())}"
        return f"{signed}.{_encoded(self._pair.sign(signed.encode()))}"


def user_key() -> Key:
    return Key(nkeys.PREFIX_BYTE_USER)


class Operator:
    """An operator with one account, which signs users."""

    def __init__(self) -> None:
        operator = Key(nkeys.PREFIX_BYTE_OPERATOR)
        self._account = Key(nkeys.PREFIX_BYTE_ACCOUNT)
        unlimited = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
        account = operator.sign(
            self._account, "account", {"type": "account", "limits": {**unlimited, "wildcards": True}}
        )
        self.options: dict[str, Any] = {
            "operator": operator.sign(operator, "operator", {"type": "operator"}),
            "resolver": "MEMORY",
            "resolver_preload": {self._account.public: account},
            "jetstream": False,
        }

    def write_creds(self, path: Path) -> str:
        """Write the file of a new user, and return its path."""
        user = user_key()
        jwt = self._account.sign(user, "user", {"type": "user", "subs": -1, "data": -1, "payload": -1})
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n",
            encoding="ascii",
        )
        return str(path)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
