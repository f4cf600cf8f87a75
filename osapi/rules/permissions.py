"""Who may do what: permissions are `resource:verb`, roles are named sets of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from osapi.errors import InvalidNameError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

_PERMISSION = re.compile(r"[a-z][a-z0-9-]*:[a-z][a-z0-9-]*")

# What `write` may change. An embedder's own resources are not among them: name them in a role of your own.
_WRITABLE: Final = frozenset({"node:write", "network:write", "job:write", "health:write"})


def check_permission(name: str) -> None:
    """Refuse what is not `resource:verb`.

    Raises:
        InvalidNameError

    """
    if not _PERMISSION.fullmatch(name):
        raise InvalidNameError(name, "is not a permission", "write resource:verb, for example node:read")


def allowed(
    needed: str,
    *,
    roles: Iterable[str],
    permissions: Collection[str] | None,
    custom: Mapping[str, Collection[str]],
) -> bool:
    """Tell whether a token covers a permission.

    A token's own `permissions` replace what its roles give. A custom role replaces the built-in one of its
    name. A role that nobody defined gives nothing.
    """
    if permissions is not None:
        return needed in permissions
    return any(needed in custom[role] if role in custom else _built_in(role, needed) for role in roles)


def _built_in(role: str, needed: str) -> bool:
    readable = needed.endswith(":read") and needed != "audit:read"
    if role == "read":
        return readable
    if role == "write":
        return readable or needed in _WRITABLE
    return role == "admin"
