"""The keys of the schema, by their path and by the name of their variable."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, cast

from msgspec import NODEFAULT, Struct, inspect

from osapi_cli.configuration.schema import UNUSED, Configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = inspect.type_info(Configuration)


class Key(Struct, frozen=True):
    """A key that has a value, and not more keys below it."""

    path: str
    type: inspect.Type
    default: Any
    secret: bool = False
    duration: bool = False


def unwrapped(type_: inspect.Type) -> tuple[inspect.Type, dict[str, Any]]:
    """Return a type and the marks of the schema that it has."""
    if isinstance(type_, inspect.Metadata):
        marks = cast("dict[str, Any]", type_.extra or {})  # pyright: ignore[reportUnknownMemberType]
        return type_.type, marks
    return type_, {}


def default_of(field: inspect.Field) -> Any:
    """Return the default of a field, NODEFAULT if it has none."""
    if field.default is not NODEFAULT:
        return field.default
    return NODEFAULT if field.default_factory is NODEFAULT else field.default_factory()


def _keys(type_: inspect.StructType, default: Any, prefix: str) -> Iterator[Key]:
    for field in type_.fields:
        inner, marks = unwrapped(field.type)
        path, value = f"{prefix}{field.name}", getattr(default, field.name)
        if isinstance(inner, inspect.StructType):
            yield from _keys(inner, value, f"{path}.")
        else:
            yield Key(path, inner, value, secret="secret" in marks, duration="duration" in marks)


def variable(path: str) -> str:
    """Return the name of the variable for a key: `nats.kv.ttl` is OSAPI_NATS_KV_TTL."""
    return f"OSAPI_{path.upper().replace('.', '_')}"


assert isinstance(ROOT, inspect.StructType)  # noqa: S101 - for the type checkers
KEYS: Final = {key.path: key for key in _keys(ROOT, Configuration(), "")}
PATHS: Final = tuple(dict.fromkeys(part for path in KEYS for part in accumulate(path.split("."), "{}.{}".format)))
VARIABLES: Final = {variable(path): key for path, key in KEYS.items()}
FILES: Final = {f"{variable(path)}_FILE": key for path, key in KEYS.items() if key.secret}


def is_unused(path: str) -> bool:
    """Tell whether a key belongs to what the Go system configures and this one does not have."""
    return any(path == known or path.startswith(f"{known}.") for known in UNUSED)


def is_unused_variable(name: str) -> bool:
    """Tell the same by the name of the key's variable."""
    return any(f"{name}_".startswith(f"{variable(known)}_") for known in UNUSED)
