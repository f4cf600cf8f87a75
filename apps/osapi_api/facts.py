"""The endpoint under /facts: what the fleet tells of itself, by name."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from osapi_api.endpoints import Call, Endpoint, Reply


class FactKey(Struct, frozen=True, kw_only=True):
    """One fact by its name, as selectors and the data of jobs have it; `builtin` is what every osapi agent tells."""

    key: str
    description: str
    builtin: bool


class FactKeys(Struct, frozen=True, kw_only=True):
    """The facts that are known, by name."""

    keys: tuple[FactKey, ...]


async def list_keys(call: Call) -> Reply:
    """Return the names of the facts that are known to the API, and of those that hosts tell besides."""
    described = call.api.facts
    names = sorted({*described, *await call.api.client.fleet.fact_names()})
    keys = (FactKey(key=name, description=described.get(name, ""), builtin=name in described) for name in names)
    return Reply(FactKeys(keys=tuple(keys)))


ENDPOINTS: Final = (
    Endpoint(
        name="list_fact_keys",
        method="GET",
        path="/facts/keys",
        summary="List the facts that are known of hosts",
        handler=list_keys,
        permission="agent:read",
        answers={200: FactKeys},
    ),
)
