"""`osapi token`: tokens made and checked with the key that a configuration or `osapi start` holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from osapi_api import Security
from tests.cli.program import osapi
from tests.cli.services import KEY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.program import Ended

    Here = Callable[..., Ended]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "osapi.yaml"
    roles = "{deploy: {permissions: ['app:deploy']}}"
    path.write_text(f"controller: {{api: {{security: {{signing_key: {KEY}, roles: {roles}}}}}}}", encoding="utf-8")
    return str(path)


def test_a_token_is_made_and_checked(file: str) -> None:
    made = osapi("token", "generate", "-f", file, "-r", "deploy", "-r", "read", "-u", "ann", "--days", "1")

    assert (made.status, made.err) == (0, "")
    token = made.out.strip()
    assert Security(KEY).validate(token).roles == ("deploy", "read")
    checked = osapi("token", "validate", "-f", file, "-t", token)
    assert (checked.status, checked.err) == (0, "")
    assert checked.out.startswith("Subject: ann\nRoles: deploy, read\nPermissions: those of its roles\nExpires: 20")


def test_json(file: str, here: Here) -> None:
    made = here("token", "generate", "-j", "-f", file, "-r", "admin", "-u", "ann", "-p", "node:read")
    checked = here("token", "validate", "-j", "-f", file, "-t", json.loads(made.out)["token"])

    shown = json.loads(checked.out)
    assert (shown["subject"], shown["roles"], shown["permissions"]) == ("ann", ["admin"], ["node:read"])


def test_what_cannot_be(file: str, here: Here) -> None:
    for arguments, status, told in (
        (("validate", "-t", "x.y.z"), 1, "the token cannot be read"),
        (("validate", "-t", Security("x" * 32).generate("ann", roles=["read"])), 1, "signature"),
        (("generate", "-u", "ann", "-r", "dploy"), 2, "did you mean deploy?"),
        (("generate", "-u", "ann", "-r", "read", "-p", "all"), 2, "is not a permission"),
        (("generate", "-u", "ann"), 2, "--role"),
        (("generate", "-u", "ann", "-r", "read", "--days", "0"), 2, "--days"),
    ):
        ended = here("token", *arguments, "-f", file)
        assert (ended.status, ended.out) == (status, "")
        assert told in ended.err
        assert KEY not in ended.err


def test_without_a_key(tmp_path: Path, here: Here) -> None:
    empty = tmp_path / "osapi.yaml"
    empty.write_text("", encoding="utf-8")
    ended = here("token", "generate", "-f", str(empty), "-u", "ann", "-r", "read")

    assert ended.status == 78
    assert "controller.api.security.signing_key: is required" in ended.err


def test_without_a_file_the_key_is_that_of_osapi_start(
    tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "osapi"
    state.mkdir(mode=0o700)
    (state / "signing-key").write_text(f"{KEY}\n", encoding="utf-8")
    (state / "signing-key").chmod(0o600)

    made = here("token", "generate", "-u", "ann", "-r", "read")
    assert (made.status, made.err) == (0, "")
    assert Security(KEY).validate(made.out.strip()).roles == ("read",)
    assert here("token", "validate", "-t", made.out.strip()).status == 0

    # A configured key is used instead, and one that others can read is not.
    other = "o" * 32
    with monkeypatch.context() as configured:
        configured.setenv("OSAPI_CONTROLLER_API_SECURITY_SIGNING_KEY", other)
        told = here("token", "generate", "-u", "a", "-r", "read")
    assert Security(other).validate(told.out.strip()).subject == "a"
    (state / "signing-key").chmod(0o644)
    refused = here("token", "generate", "-u", "ann", "-r", "read")
    assert (refused.status, refused.out) == (78, "")
    assert "has mode 0644" in refused.err
