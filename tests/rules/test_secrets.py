"""Secrets are found however deep they lie, and nothing of them is left."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import osapi
from osapi.rules.secrets import HIDDEN, check_secrets, redact, scrub, secrets_of

NAMES = ("password", "token")
names = st.sampled_from([*NAMES, "user", "passwords", "Password", ""])
texts = st.text("abc'\"\\\n", min_size=1, max_size=8)
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@given(values)
def test_only_what_is_named_is_hidden(value: Any) -> None:
    def check(before: Any, after: Any) -> None:
        if isinstance(before, dict):
            assert before.keys() == after.keys()
            for name in before:  # pyright: ignore[reportUnknownVariableType]
                if name in NAMES:
                    assert after[name] == HIDDEN
                else:
                    check(before[name], after[name])
        elif isinstance(before, list):
            assert len(before) == len(after)  # pyright: ignore[reportUnknownArgumentType]
            for one, other in zip(before, after, strict=True):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
                check(one, other)
        else:
            assert before == after

    check(value, redact(value, NAMES))


@given(st.text("abc'\\\n", min_size=4, max_size=9), st.text("xyz", max_size=5))
def test_a_sentence_that_repeats_a_secret_tells_nothing_of_it(secret: str, around: str) -> None:
    data: Any = {"users": [{"password": {"old": [secret]}, "name": "anna"}]}
    for told in (secret, repr(secret)):
        assert scrub(f"{around}{told}{around} anna", secrets_of(data, NAMES)).replace("'", "").replace('"', "") == (
            f"{around}{HIDDEN}{around} anna"
        )


def test_what_contains_another_secret_goes_first() -> None:
    assert scrub("abcdefgh abcd", secrets_of({"password": "abcd", "token": "abcdefgh"}, NAMES)) == "*** ***"


def test_numbers_are_struck_out_and_what_is_too_short_is_not() -> None:
    assert scrub("pin 123456, code 12, True", secrets_of({"password": 123456, "token": [12, True, None]}, NAMES)) == (
        "pin ***, code 12, ***"
    )


def test_what_is_too_deep_to_look_at_is_hidden() -> None:
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    assert redact(deep, NAMES) == HIDDEN
    assert scrub("x", secrets_of(deep, NAMES)) == HIDDEN


@pytest.mark.parametrize("wrong", ["password", ("",)])
def test_names_that_are_none(wrong: Any) -> None:
    with pytest.raises(osapi.InvalidSettingError, match="secret fields"):
        check_secrets(wrong)


class Login(msgspec.Struct):
    user: str
    password: str


def test_an_operation_shows_its_data_without_them() -> None:
    operations = osapi.Operations()

    @operations.modify("user.login.run", secrets=("password",))
    async def login(job: osapi.Job, data: Login) -> None: ...

    operation = operations["user.login.run"]
    raw = operation.encode_data(Login("anna", "hunter22"))
    assert operation.shown(raw) == {"user": "anna", "password": HIDDEN}
    assert operation.scrubbed("cannot log in with hunter22", raw) == "cannot log in with ***"
    assert operation.shown(msgspec.Raw()) == msgspec.Raw()
    quoted = operation.encode_data(Login("anna", 'a"b\x01'))
    assert operation.scrubbed(r'{"password":"a\"b\u0001"}', quoted) == '{"password":"***"}'
    deep = msgspec.Raw(b"[" * 5000 + b"]" * 5000)
    assert operation.scrubbed("whatever", deep) == HIDDEN
