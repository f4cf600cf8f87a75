"""Who may do what."""

from __future__ import annotations

import pytest

from osapi.errors import InvalidNameError
from osapi.rules.permissions import allowed, check_permission


def can(needed: str, *roles: str, permissions: list[str] | None = None) -> bool:
    return allowed(needed, roles=roles, permissions=permissions, custom={"deploy": ["app:write"], "write": ["x:read"]})


@pytest.mark.parametrize(
    ("role", "needed", "answer"),
    [
        ("read", "node:read", True),
        ("read", "billing:read", True),
        ("read", "audit:read", False),
        ("read", "node:write", False),
        ("admin", "audit:read", True),
        ("admin", "command:execute", True),
        ("admin", "billing:write", True),
        ("deploy", "app:write", True),
        ("deploy", "node:read", False),
        ("nobody", "node:read", False),
        ("write", "node:read", False),
        ("write", "x:read", True),
    ],
)
def test_roles(role: str, needed: str, *, answer: bool) -> None:
    assert can(needed, role) is answer


@pytest.mark.parametrize("needed", ["node:write", "network:write", "job:write", "health:write", "agent:read"])
def test_write_may(needed: str) -> None:
    assert allowed(needed, roles=["write"], permissions=None, custom={})


@pytest.mark.parametrize("needed", ["agent:write", "process:execute", "command:execute", "audit:read", "billing:write"])
def test_write_may_not(needed: str) -> None:
    assert not allowed(needed, roles=["write"], permissions=None, custom={})


def test_a_tokens_own_permissions_replace_its_roles() -> None:
    assert can("node:read", "admin", permissions=["node:read"])
    assert not can("job:read", "admin", permissions=["node:read"])
    assert not can("node:read", "admin", permissions=[])


@pytest.mark.parametrize("name", ["", "node", "node:", ":read", "Node:read", "node:read:x", "no de:read"])
def test_what_is_no_permission_is_refused(name: str) -> None:
    with pytest.raises(InvalidNameError, match="write resource:verb"):
        check_permission(name)
