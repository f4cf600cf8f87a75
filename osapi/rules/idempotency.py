"""Idempotency keys: what makes two submissions the same, and where the one that came first is remembered."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from osapi.errors import InvalidSettingError

if TYPE_CHECKING:
    from osapi.rules.records import Definition

MAX_KEY = 255


def check_key(key: str) -> str:
    """Return an idempotency key, or refuse what is none.

    Raises:
        InvalidSettingError

    """
    if not 0 < len(key) <= MAX_KEY or not key.isprintable():
        raise InvalidSettingError(key, "is not an idempotency key", f"use 1 to {MAX_KEY} printable characters")
    return key


def holder_key(key: str) -> str:
    """Name the key of `job-queue` that says which job an idempotency key stands for.

    A digest, since the key is the caller's own text and may be longer or stranger than a token.
    """
    return f"idempotency.{hashlib.sha256(key.encode()).hexdigest()}"


def digest(definition: Definition) -> str:
    """Return what must be equal for two submissions to be the same: operation, target and data.

    Deadlines and policies may differ: a second try is often made with less time left. The order of an object's
    members does not matter.
    """
    data = msgspec.json.encode(msgspec.json.decode(definition.data), order="sorted")
    told = f"{definition.operation}\n{definition.target}\n".encode() + data
    return hashlib.sha256(told).hexdigest()
