"""Tokens: how they are made and checked, and what they allow.

A token is a JWT. With a `signing_key` it is signed with HS256, the shared secret of this API and of `osapi token`;
with `jwks`, the public keys of an identity provider, it is signed with RS256, ES256 or EdDSA by whoever holds the
private ones. The algorithm follows from the key, never from the token alone.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import jwt
import msgspec

from osapi.errors import InvalidInputError, InvalidNameError, InvalidSettingError, OsapiError
from osapi.rules.names import nearest
from osapi.rules.permissions import allowed, check_permission

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

MIN_KEY_BYTES: Final = 32
MAX_TOKEN_BYTES: Final = 8192
LIFETIME: Final = 90 * 24 * 3600.0

_BUILT_IN: Final = ("admin", "read", "write")
_PUBLIC: Final = ("RS256", "ES256", "EdDSA")
_REQUIRED: Final = ["exp", "aud", "sub"]

_SENTENCES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (jwt.ExpiredSignatureError, "the token has expired; ask for a new one"),
    (jwt.ImmatureSignatureError, "the token is not valid yet"),
    (jwt.InvalidAudienceError, "the token is meant for somebody else (aud)"),
    (jwt.InvalidIssuerError, "the token was issued by somebody else (iss)"),
    (jwt.MissingRequiredClaimError, "the token lacks a claim; it needs aud, exp and sub"),
    (jwt.InvalidSignatureError, "the token's signature is not that of a key of this server"),
)


class TokenError(OsapiError):
    """Get a new token: the message says what is wrong with this one."""


class _Claims(msgspec.Struct):
    sub: str
    exp: float
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] | None = None


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, as a valid token tells; `expires` in Unix seconds."""

    subject: str
    roles: tuple[str, ...]
    permissions: tuple[str, ...] | None
    expires: float


class Security:
    """The keys that tokens are checked with, and the roles they may name.

    `roles` maps the name of a role to its permissions; one called `admin`, `write` or `read` replaces the built-in one.
    An empty `issuer` accepts any. `leeway` is by how many seconds clocks may differ.

    Raises:
        InvalidSettingError: no key, a short one, a key set that cannot be used.
        InvalidNameError: what is not a permission.

    """

    def __init__(
        self,
        signing_key: str = "",
        *,
        jwks: str = "",
        audience: str = "osapi",
        issuer: str = "osapi",
        leeway: float = 5.0,
        roles: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._secret = _checked_secret(signing_key, required=not jwks)
        self._public = _public_keys(jwks) if jwks else ()
        self._audience = audience
        self._issuer = issuer
        self._leeway = leeway
        self._roles = {name: frozenset(permissions) for name, permissions in (roles or {}).items()}
        for permissions in self._roles.values():
            for permission in permissions:
                check_permission(permission)

    def generate(
        self,
        subject: str,
        *,
        roles: Iterable[str],
        permissions: Iterable[str] | None = None,
        lifetime: float = LIFETIME,
    ) -> str:
        """Return a token for somebody; it lives `lifetime` seconds. Its own permissions replace those of its roles.

        Raises:
            InvalidInputError: a subject, role, permission or lifetime that cannot be.
            InvalidSettingError: there is no signing key, only public ones.

        """
        if not self._secret:
            raise InvalidSettingError("", "cannot sign a token (signing_key)", "give the key that the API checks with")
        if not subject.strip():
            raise InvalidInputError(subject, "is no subject of a token", "name the person or program that it is for")
        if not 0.0 < lifetime <= 10 * 365 * 24 * 3600.0:
            raise InvalidInputError(lifetime, "is no lifetime of a token", "use more than 0 seconds, at most ten years")
        now = time.time()
        claims: dict[str, Any] = {
            "sub": subject,
            "aud": self._audience,
            "iat": int(now),
            "exp": int(now + lifetime),
            "roles": [self._checked_role(role) for role in roles],
        }
        if self._issuer:
            claims["iss"] = self._issuer
        if permissions is not None:
            claims["permissions"] = list(permissions)
            for permission in claims["permissions"]:
                check_permission(permission)
        return jwt.encode(claims, self._secret, algorithm="HS256")

    def validate(self, token: str) -> Identity:
        """Return who a token speaks for.

        Raises:
            TokenError: it is not valid, or not any more.

        """
        # A megabyte of base64 is nobody's token, and not worth the time to find out.
        if len(token) > MAX_TOKEN_BYTES:
            raise TokenError(f"the token is longer than {MAX_TOKEN_BYTES} characters")
        try:
            claims = msgspec.convert(self._decoded(token), _Claims)
        except jwt.PyJWTError as error:
            sentence = next((text for kind, text in _SENTENCES if isinstance(error, kind)), "the token cannot be read")
            raise TokenError(sentence) from error
        except (msgspec.ValidationError, ValueError, RecursionError) as error:
            raise TokenError("the token's claims are not those of an osapi token") from error
        return Identity(subject=claims.sub, roles=claims.roles, permissions=claims.permissions, expires=claims.exp)

    def allows(self, identity: Identity, permission: str) -> bool:
        """Tell whether somebody may do what needs a permission."""
        return allowed(permission, roles=identity.roles, permissions=identity.permissions, custom=self._roles)

    def _decoded(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        key, algorithm = self._key_for(header.get("alg"), header.get("kid"))
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self._audience,
            issuer=self._issuer or None,
            leeway=self._leeway,
            options={"require": _REQUIRED, "enforce_minimum_key_length": True},
        )

    def _key_for(self, algorithm: object, key_id: object) -> tuple[Any, str]:
        if algorithm == "HS256" and self._secret:
            return self._secret, "HS256"
        for key in self._public:
            if key.algorithm_name == algorithm and (key_id is None or key.key_id == key_id):
                return key.key, key.algorithm_name
        raise TokenError("the token is signed with a key or an algorithm that this server does not accept")

    def _checked_role(self, role: str) -> str:
        known = sorted({*_BUILT_IN, *self._roles})
        if role in known:
            return role
        near = nearest(role, known)
        hint = f"did you mean {near[0]}?" if near else f"use {', '.join(known)}, or configure it"
        raise InvalidNameError(role, "is not a role", hint)


def _checked_secret(key: str, *, required: bool) -> bytes:
    secret = key.encode("utf-8", "surrogateescape")
    if (secret or required) and len(secret) < MIN_KEY_BYTES:
        # The key itself is not quoted: this sentence is printed and logged.
        raise InvalidSettingError(
            f"{len(secret)} bytes", "is too short for signing_key", f"use at least {MIN_KEY_BYTES} random bytes"
        )
    return secret


def _public_keys(text: str) -> tuple[jwt.PyJWK, ...]:
    remedy = f"give a JSON Web Key Set with public keys for {', '.join(_PUBLIC)}"
    try:
        keys = tuple(jwt.PyJWKSet.from_json(text).keys)
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError) as error:
        raise InvalidSettingError("jwks", f"cannot be read ({type(error).__name__})", remedy) from error
    for key in keys:
        if key.algorithm_name not in _PUBLIC:
            raise InvalidSettingError("jwks", f"holds a key for {key.algorithm_name}", remedy)
    return keys
