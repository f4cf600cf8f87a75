"""The operations that a server offers, as its own description of the API has them (OpenAPI 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from osapi_cli.client.http import ask

if TYPE_CHECKING:
    from osapi_cli.group import Flags

_PATH: Final = "/operation/{target}/"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """An operation; `schema` is that of its data, None if it takes none."""

    name: str
    summary: str
    permission: str
    schema: Any


class _Components(msgspec.Struct):
    schemas: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])


class _Document(msgspec.Struct):
    paths: dict[str, dict[str, dict[str, Any]]]
    components: _Components = msgspec.field(default_factory=_Components)


def operations(flags: Flags) -> list[Operation]:
    """Ask the server which operations there are; that needs no token.

    Raises:
        UnavailableError, RefusedError

    """
    document = ask(flags, "GET", "/openapi.json").read(_Document)
    return [
        _operation(path.removeprefix(_PATH), methods["post"], document)
        for path, methods in sorted(document.paths.items())
        if path.startswith(_PATH) and "post" in methods
    ]


def as_object(value: Any) -> dict[str, Any]:
    """Return a JSON value as the object that it is, an empty one if it is none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _operation(name: str, told: dict[str, Any], document: _Document) -> Operation:
    schema: Any = told
    for step in ("requestBody", "content", "application/json", "schema"):
        schema = as_object(schema).get(step)
    return Operation(
        name=name,
        summary=str(told.get("summary", "")),
        permission=str(told.get("description", "")).removeprefix("Needs the permission `").removesuffix("`."),
        schema=None if schema is None else _whole(as_object(schema), document.components.schemas),
    )


def _whole(schema: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with what it refers to beside it, so that it can be read by itself."""
    found: dict[str, Any] = {}
    wanted = _references(schema)
    while wanted:
        name = wanted.pop()
        if name in known and name not in found:
            found[name] = known[name]
            wanted |= _references(known[name])
    if schema.keys() == {"$ref"} and len(found) == 1:
        return as_object(next(iter(found.values())))
    return {**schema, "components": {"schemas": found}} if found else schema


def _references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set[str]().union(*map(_references, cast("list[Any]", schema)))  # type: ignore[redundant-cast]
    own = as_object(schema).get("$ref")
    found = {own.rpartition("/")[2]} if isinstance(own, str) else set[str]()
    return found.union(*map(_references, as_object(schema).values()))
