"""Tokens: made, checked, refused."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

import osapi
from osapi_api import Security, TokenError
from tests.api.conftest import KEY

SECURITY = Security(KEY)
GOOD = {"sub": "tester", "aud": "osapi", "iss": "osapi", "exp": time.time() + 3600, "roles": ["read"]}


def signed(claims: dict[str, Any], key: str = KEY, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, key, algorithm=algorithm)


def test_a_token_says_who_it_is_for() -> None:
    token = SECURITY.generate("ann", roles=["read", "write"], lifetime=60)
    identity = SECURITY.validate(token)

    assert (identity.subject, identity.roles, identity.permissions) == ("ann", ("read", "write"), None)
    assert 0 < identity.expires - time.time() <= 60
    claims = jwt.decode(token, KEY, algorithms=["HS256"], audience="osapi")
    assert claims.keys() == {"sub", "aud", "iss", "iat", "exp", "roles"}


def test_a_token_with_permissions_of_its_own() -> None:
    token = SECURITY.generate("ann", roles=["admin"], permissions=["node:read"])
    identity = SECURITY.validate(token)

    assert SECURITY.allows(identity, "node:read")
    assert not SECURITY.allows(identity, "node:write"), "its own permissions replace those of its roles"
    nothing = SECURITY.validate(SECURITY.generate("ann", roles=["admin"], permissions=[]))
    assert not SECURITY.allows(nothing, "node:read")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exp": time.time() - 60}, "the token has expired"),
        ({"nbf": time.time() + 3600}, "not valid yet"),
        ({"aud": "https://localhost"}, "meant for somebody else"),
        ({"iss": "other"}, "issued by somebody else"),
        ({"exp": None}, "lacks a claim"),
        ({"aud": None}, "lacks a claim"),
        ({"sub": None}, "lacks a claim"),
        ({"roles": "admin"}, "claims are not those"),
        ({"roles": [1]}, "claims are not those"),
        ({"permissions": "node:read"}, "claims are not those"),
        ({"permissions": {"node:read": True}}, "claims are not those"),
    ],
)
def test_claims_that_are_refused(changes: dict[str, Any], message: str) -> None:
    claims = {name: value for name, value in (GOOD | changes).items() if value is not None}

    assert SECURITY.validate(signed(GOOD)).subject == "tester"
    with pytest.raises(TokenError, match=message):
        SECURITY.validate(signed(claims))


def test_tokens_signed_otherwise_are_refused() -> None:
    with pytest.raises(TokenError, match="signature"):
        SECURITY.validate(signed(GOOD, "x" * 32))
    for algorithm in ("HS384", "HS512"):
        with pytest.raises(TokenError, match="algorithm"):
            SECURITY.validate(signed(GOOD, "x" * 64, algorithm))
    with pytest.raises(TokenError, match="algorithm"):
        SECURITY.validate(jwt.encode(GOOD, "", algorithm="none"))
    head, body, _ = signed(GOOD).split(".")
    with pytest.raises(TokenError):
        SECURITY.validate(f"{head}.{body}.")


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda data: data.decode("latin1")))
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(TokenError):
        SECURITY.validate(text)


@given(st.data())
def test_no_changed_character_goes_unnoticed(data: st.DataObject) -> None:
    token = signed(GOOD)
    at = data.draw(st.integers(0, len(token) - 2))
    other = data.draw(st.sampled_from("ABCxyz019-_."))
    changed = token[:at] + other + token[at + 1 :]
    if changed != token:
        with pytest.raises(TokenError):
            SECURITY.validate(changed)


def test_tokens_that_are_made_to_hurt() -> None:
    with pytest.raises(TokenError, match="longer than 8192"):
        SECURITY.validate("a" * 8193)
    deep = base64.urlsafe_b64encode(b"[" * 6000).decode()[:4000]
    with pytest.raises(TokenError):
        SECURITY.validate(f"{deep}.{deep}.x")


def test_the_key_must_be_long_and_is_not_told() -> None:
    for key in ("", "secret", "s" * 31):
        with pytest.raises(osapi.InvalidSettingError, match="at least 32 random bytes") as caught:
            Security(key)
        assert "sss" not in str(caught.value)
    assert KEY not in repr(Security(KEY))
    assert Security("é" * 16).generate("ann", roles=[]), "16 letters, 32 bytes"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subject": " "}, "no subject"),
        ({"roles": ["raed"]}, "did you mean read"),
        ({"roles": ["zzz"]}, "use admin, read, write"),
        ({"permissions": ["node"]}, "is not a permission"),
        ({"lifetime": 0}, "no lifetime"),
        ({"lifetime": float("nan")}, "no lifetime"),
    ],
)
def test_tokens_that_are_not_made(options: dict[str, Any], message: str) -> None:
    given: Any = {"subject": "ann", "roles": ["read"], **options}
    with pytest.raises(osapi.InvalidInputError, match=message):
        SECURITY.generate(**given)


def test_custom_roles() -> None:
    security = Security(KEY, roles={"deploy": ["app:deploy"], "read": ["node:read"]})
    deploy = security.validate(security.generate("ci", roles=["deploy"]))
    read = security.validate(security.generate("ci", roles=["read"]))

    assert security.allows(deploy, "app:deploy")
    assert not security.allows(deploy, "node:read")
    assert not security.allows(read, "job:read"), "a custom role replaces the built-in one of its name"
    with pytest.raises(osapi.InvalidNameError):
        Security(KEY, roles={"deploy": ["everything"]})


# --- Public keys ---------------------------------------------------------------------------------------------

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def key_set(*keys: dict[str, Any]) -> str:
    return json.dumps({"keys": keys})


def public_keys() -> str:
    return key_set(
        {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": "rsa"},
        {**ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": "ec"},
        {**OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True), "kid": "ed"},
    )


@pytest.mark.parametrize(("key", "algorithm", "kid"), [(RSA, "RS256", "rsa"), (EC, "ES256", "ec"), (ED, "EdDSA", "ed")])
def test_tokens_of_an_identity_provider(key: Any, algorithm: str, kid: str) -> None:
    security = Security(jwks=public_keys())

    for headers in ({"kid": kid}, {}):
        assert security.validate(jwt.encode(GOOD, key, algorithm=algorithm, headers=headers)).subject == "tester"
    with pytest.raises(TokenError, match="key or an algorithm"):
        security.validate(jwt.encode(GOOD, key, algorithm=algorithm, headers={"kid": "other"}))
    with pytest.raises(osapi.InvalidSettingError, match="cannot sign"):
        security.generate("ann", roles=[])


def test_a_public_key_is_no_shared_secret() -> None:
    security = Security(jwks=public_keys())
    with pytest.raises(TokenError):
        security.validate(signed(GOOD, public_keys()[:64]))
    with pytest.raises(TokenError):
        Security(KEY, jwks=public_keys()).validate(signed(GOOD, public_keys()[:64]))
    assert Security(KEY, jwks=public_keys()).validate(signed(GOOD)).subject == "tester"


@pytest.mark.parametrize(
    "jwks",
    ["x", "{}", "[]", key_set(), key_set({"kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"})],
)
def test_key_sets_that_cannot_be_used(jwks: str) -> None:
    with pytest.raises(osapi.InvalidSettingError, match="JSON Web Key Set with public keys"):
        Security(jwks=jwks)
