"""Secrets in payloads and results: the values of the fields that an operation names, and how they are hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from osapi.errors import InvalidSettingError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

Json: TypeAlias = dict[str, "Json"] | list["Json"] | str | int | float | bool | None

HIDDEN: Final = "***"

# What is shorter is no secret, and would be found in every sentence.
SHORTEST: Final = 4


def check_secrets(names: Collection[str]) -> tuple[str, ...]:
    """Return the names of secret fields, or refuse what is none.

    Raises:
        InvalidSettingError

    """
    if isinstance(names, str) or "" in names:
        raise InvalidSettingError(names, "are no names of secret fields", 'write secrets=("password",)')
    return tuple(names)


def redact(value: Json, names: Collection[str]) -> Json:
    """Return a JSON value with `***` in the place of what the named fields hold, however deep they lie."""
    try:
        return _redacted(value, names)
    except RecursionError:
        return HIDDEN


def _redacted(value: Json, names: Collection[str]) -> Json:
    if isinstance(value, dict):
        return {name: HIDDEN if name in names else _redacted(inner, names) for name, inner in value.items()}
    if isinstance(value, list):
        return [_redacted(inner, names) for inner in value]
    return value


def secrets_of(value: Json, names: Collection[str]) -> frozenset[str] | None:
    """Return the secrets of a JSON value as a text may repeat them, None if they lie too deep to be found."""
    try:
        return frozenset(secret for secret in _secrets(value, names) if len(secret) >= SHORTEST)
    except RecursionError:
        return None


def scrub(text: str, secrets: Collection[str] | None) -> str:
    """Return a sentence with `***` in the place of the secrets that it repeats; without them to be known, only that."""
    if secrets is None:
        return HIDDEN
    # The longest first: one may be a part of another.
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def _secrets(value: Json, names: Collection[str]) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner) if name in names else _secrets(inner, names)
    elif isinstance(value, list):
        for inner in value:
            yield from _secrets(inner, names)


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value
        # As it looks in a sentence that quotes it, and in JSON.
        yield repr(value)[1:-1]
        yield msgspec.json.encode(value)[1:-1].decode()
    elif value is not None:
        yield str(value)
