"""The description of the API, OpenAPI 3.1, drawn from the same tables that it is served from."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import msgspec

from osapi.rules.names import MAX_HOSTNAME_PARTS, MAX_NAME_BYTES
from osapi.rules.schedules import MAX_NAME
from osapi_api.endpoints import Endpoint, Reply, template
from osapi_api.payloads import is_struct
from osapi_api.problems import CONTENT_TYPE, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from osapi_api.endpoints import Call

_PATH_PART = re.compile(r"<(\w+)>")
_REFERENCE: Final = "#/components/schemas/{name}"
_ALWAYS: Final[Mapping[int, Any]] = {500: Problem}
_WITH_TOKEN: Final[Mapping[int, Any]] = {401: Problem, 403: Problem}

_MEANINGS: Final = {
    200: "The answer",
    201: "It was made",
    202: "The job was accepted",
    204: "Done",
    400: "The request is wrong",
    401: "There is no valid token",
    403: "The token does not give the permission",
    404: "There is no such thing",
    409: "It is so already",
    413: "The body is too large",
    415: "The body is not declared as JSON",
    422: "The idempotency key stands for another payload",
    429: "Too many requests wait for their jobs, or read events",
    500: "The server failed",
    503: "The broker cannot be reached, or is full",
}

_PART: Final = r"[A-Za-z0-9]([A-Za-z0-9\-]*[A-Za-z0-9])?"
_TEXT: Final = {"type": "string", "minLength": 1}

_ID: Final = {"type": "string", "pattern": "^[0-9a-f\\-]{1,36}$"}

# What the parts of a path are, but for those that are fields of an operation's payload.
_PARTS: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "target": (
        "Whom the job is for: `_any`, `_all`, a hostname, a label such as `group:web`, or a selector; percent-encoded",
        _TEXT,
    ),
    "entry_id": ("The id of an entry of the audit", _ID),
    "job_id": ("The id of a job", _ID),
    "rollout_id": ("The id of a rollout", _ID),
    "hostname": (
        "The name of an agent",
        {
            "type": "string",
            "maxLength": MAX_NAME_BYTES,
            "pattern": rf"^{_PART}(\.{_PART}){{0,{MAX_HOSTNAME_PARTS - 1}}}$",
        },
    ),
    "name": (
        "The name of a schedule",
        {
            "type": "string",
            "maxLength": MAX_NAME,
            "pattern": r"^[A-Za-z0-9]([A-Za-z0-9._\-]*[A-Za-z0-9])?$",
        },
    ),
    "sequence": ("The number of a dead letter", {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}),
    "interface": ("The name of a network interface", _TEXT),
    "pid": ("The number of a process", _TEXT),
}

_PREFER: Final = {
    "name": "Prefer",
    "in": "header",
    "description": "`respond-async` answers at once with 202, without waiting for the hosts",
    "schema": {"type": "string"},
}

_KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A string in quotes: repeated with it, the request submits no second job",
    "schema": {"type": "string", "pattern": r'^("[ !#-\[\]-~]{1,255}"|[!#-~]{1,255})$'},
}

_LAST_EVENT: Final = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": "The id of the last event that was read: the stream goes on after it",
    "schema": {"type": "string"},
}


def endpoint(endpoints: Sequence[Endpoint]) -> Endpoint:
    """Return the endpoint that describes these, and is not among them."""
    described = describe(endpoints)

    async def get(call: Call) -> Reply:
        base = call.url("openapi").removesuffix("/openapi.json")
        return Reply({**described, "servers": [{"url": base or "/"}]})

    return Endpoint(
        name="openapi",
        method="GET",
        path="/openapi.json",
        summary="Describe this API",
        handler=get,
        answers={200: dict[str, Any]},
    )


def describe(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the document, without the server that it is for."""
    types = list(dict.fromkeys(kind for each in endpoints for kind in _types(each)))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    schema_of = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in endpoints:
        described = _operation(each, schema_of, components)
        paths.setdefault(template(each.path), {})[each.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": "osapi", "version": version("osapi")},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _types(each: Endpoint) -> Iterable[Any]:
    yield Problem
    yield from (kind for kind in (*each.answers.values(), *each.events.values()) if kind is not None)
    yield from (kind for kind in (each.query, _body_type(each), *each.path_types.values()) if kind is not None)


def _body_type(each: Endpoint) -> Any:
    return each.body_schema if each.body is Any else each.body


def _operation(each: Endpoint, schema_of: Mapping[Any, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    answers = {**each.answers, **_ALWAYS, **(_WITH_TOKEN if each.permission else {})}
    described: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary,
        "tags": [each.path.split("/")[1]],
        "parameters": [*_parameters(each, schema_of), *_query(each, schema_of, components)],
        "responses": {str(status): _response(status, answers[status], schema_of) for status in sorted(answers)},
        "security": [{"token": []}] if each.permission else [],
    }
    if each.events:
        described["responses"]["200"] = _events(each, schema_of)
    if each.permission:
        described["description"] = f"Needs the permission `{each.permission}`."
    if (body := _body_type(each)) is not None:
        described["requestBody"] = {
            "required": _needs_body(each, body),
            "content": {"application/json": {"schema": _body(each, schema_of[body], components)}},
        }
    return described


def _needs_body(each: Endpoint, body: Any) -> bool:
    if not is_struct(body):
        return each.body is Any
    return any(field.required and field.encode_name not in each.body_omits for field in msgspec.structs.fields(body))


def _parameters(each: Endpoint, schema_of: Mapping[Any, Any]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for name in _PATH_PART.findall(each.path):
        told, schema = _PARTS[name]
        if name in each.path_types:
            schema = schema_of[each.path_types[name]]
        parts.append({"name": name, "in": "path", "required": True, "description": told, "schema": schema})
    headers = ((_PREFER, "<target>" in each.path), (_KEY, each.takes_key), (_LAST_EVENT, bool(each.events)))
    return [*parts, *(header for header, taken in headers if taken)]


def _query(each: Endpoint, schema_of: Mapping[Any, Any], components: Mapping[str, Any]) -> list[dict[str, Any]]:
    if each.query is None:
        return []
    properties: dict[str, Any] = _resolved(schema_of[each.query], components)["properties"]
    return [{"name": name, "in": "query", "schema": schema} for name, schema in properties.items()]


def _body(each: Endpoint, schema: Any, components: Mapping[str, Any]) -> Any:
    if not is_struct(_body_type(each)):
        return schema
    found = _resolved(schema, components)
    if not each.body_omits and found.get("additionalProperties") is False:
        return schema
    # The path gives some fields; and what a type ignores is refused in a request, as it is probably mistyped.
    properties = {name: value for name, value in found["properties"].items() if name not in each.body_omits}
    required = [name for name in found.get("required", ()) if name not in each.body_omits]
    own = {"title": f"{found['title']}Body", "properties": properties, "required": required}
    return {**found, **own, "additionalProperties": False}


def _resolved(schema: Any, components: Mapping[str, Any]) -> Any:
    return components[schema["$ref"].rpartition("/")[2]]


def _events(each: Endpoint, schema_of: Mapping[Any, Any]) -> dict[str, Any]:
    # The schema is that of one event, as OpenAPI 3.2 shows it; 3.1 has no word for the parts of a stream.
    kinds = [_event(name, schema_of[kind]) for name, kind in each.events.items()]
    schema = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
        "required": ["event", "data"],
        "anyOf": [*kinds, _event("stopping", {"type": "object"})],
    }
    return {"description": "Server-sent events, as they happen", "content": {"text/event-stream": {"schema": schema}}}


def _event(name: str, data: Any) -> dict[str, Any]:
    told = {"contentMediaType": "application/json", "contentSchema": data}
    return {"properties": {"data": told} if name == "*" else {"event": {"const": name}, "data": told}}


def _response(status: int, kind: Any, schema_of: Mapping[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": _MEANINGS[status]}
    if kind is not None:
        content_type = CONTENT_TYPE if kind is Problem else "application/json"
        described["content"] = {content_type: {"schema": schema_of[kind]}}
    return described
