"""Trust: whose signatures count, as it is given to a client, an agent or a sweeper."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from osapi.errors import InvalidSettingError
from osapi.rules.custody import Party
from osapi.rules.ledger import Given, Ledger
from osapi.rules.names import normalise_hostname
from osapi.rules.public_keys import PublicKey, check_fingerprint, parse_public_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class TrustedKey(Struct, frozen=True, kw_only=True):
    """A public key that counts from `not_before` until `not_after`, in Unix seconds."""

    key: PublicKey | str
    not_before: float = 0.0
    not_after: float = inf


AnyKey: TypeAlias = PublicKey | str | TrustedKey


class Trust:
    """Whose signatures count.

    `controllers` are the keys of clients and sweepers: agents obey them, and clients and sweepers believe each other.
    `agents` are keys by hostname, beside those that a controller has accepted. `refused` are fingerprints of keys that
    count for nothing, such as stolen ones, whatever anybody accepts or announces.

    Keys are given as `signer.public`, as the text of that, or with a time as `TrustedKey`.

    Raises:
        InvalidSettingError, InvalidNameError

    """

    def __init__(
        self,
        controllers: Iterable[AnyKey],
        agents: Mapping[str, Iterable[AnyKey]] | None = None,
        refused: Iterable[str] = (),
    ) -> None:
        self._given: dict[bytes, list[Given]] = {}
        for key in controllers:
            self._add(Party(), key)
        if not self._given:
            raise InvalidSettingError([], "are no controllers", "give the public key of at least one")
        for hostname, keys in (agents or {}).items():
            for key in keys:
                self._add(Party(normalise_hostname(hostname)), key)
        self._refused = frozenset(check_fingerprint(text) for text in refused)

    def _add(self, party: Party, key: AnyKey) -> None:
        trusted = key if isinstance(key, TrustedKey) else TrustedKey(key=key)
        public = trusted.key if isinstance(trusted.key, PublicKey) else parse_public_key(trusted.key)
        self._given.setdefault(public.raw, []).append(Given(party, trusted.not_before, trusted.not_after))

    def ledger(self) -> Ledger:
        """Return a new ledger in which these keys are whose they are."""
        return Ledger(self._given, self._refused)
