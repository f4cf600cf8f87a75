"""The endpoints of operations: each submits a job, waits for its answers, and tells those that did not come."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import trio

import osapi
from osapi.rules.gather import slots
from osapi_api import shapes
from osapi_api.endpoints import Endpoint, Reply
from osapi_api.payloads import fields_of, is_struct, payload, row, rows_type
from osapi_api.problems import Problem, ProblemError
from osapi_api.routes import ROUTES, Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from osapi_api.endpoints import Api, Call

_REFUSALS: Final[Mapping[int, Any]] = {400: Problem, 413: Problem, 415: Problem, 429: Problem, 503: Problem}
_REUSED: Final[Mapping[int, Any]] = {422: Problem}


def endpoints(operations: osapi.Operations) -> list[Endpoint]:
    """Return the endpoints of all operations of a registry: those with a path of their own, then each by name."""
    own = [_own(route, operations[route.operation]) for route in ROUTES if route.operation in operations]
    return [*own, *(_generic(operations[name]) for name in operations)]


def _own(route: Route, operation: osapi.Operation) -> Endpoint:
    merged = is_struct(operation.result_type)
    fields = fields_of(operation.data_type)
    answer: Any = rows_type(operation) if merged else shapes.Results
    absent: Mapping[int, Any] = {404: Problem} if route.missing else {}
    asynchronous: Mapping[int, Any] = {} if route.status == 202 else {202: shapes.JobAccepted}
    return Endpoint(
        name=f"{route.method.lower()}_{operation.name.replace('.', '_')}",
        method=route.method,
        path=route.path,
        summary=_summary(operation),
        handler=_handler(route, operation, merged=merged),
        permission=operation.permission,
        path_types={name: fields[field].type for name, field in route.fields.items() if field in fields},
        body=Any if route.takes_body and operation.takes_data else None,
        body_schema=operation.data_type if route.takes_body else None,
        body_omits=tuple(route.fields.values()),
        takes_key=True,
        answers={
            route.status: answer,
            **asynchronous,
            **absent,
            **_REUSED,
            **_REFUSALS,
        },
    )


def _generic(operation: osapi.Operation) -> Endpoint:
    route = Route("POST", f"/operation/<target>/{operation.name}", operation.name)
    return Endpoint(
        name=f"operation_{operation.name.replace('.', '_')}",
        method=route.method,
        path=route.path,
        summary=_summary(operation),
        handler=_handler(route, operation, merged=False),
        permission=operation.permission,
        body=Any,
        body_schema=operation.data_type if operation.takes_data else None,
        takes_key=True,
        answers={200: shapes.Results, 202: shapes.JobAccepted, **_REUSED, **_REFUSALS},
    )


def _summary(operation: osapi.Operation) -> str:
    return (operation.handler.__doc__ or operation.name).strip().partition("\n")[0].rstrip(".")


def _handler(route: Route, operation: osapi.Operation, *, merged: bool) -> Callable[[Call], Awaitable[Reply]]:
    async def handle(call: Call) -> Reply:
        given = {field: call.path[name] for name, field in route.fields.items()}
        data = payload(operation, given, call.body)
        target = call.path["target"]
        if call.prefer_async:
            return _accepted(call, await call.api.client.submit(operation.name, data, target=target, key=call.key))
        with _turn(call.api):
            handle = await call.api.client.submit(operation.name, data, target=target, key=call.key)
            results = await _collect(call.api, handle, merged=merged)
        if route.missing:
            _check_found(route.missing, results)
        headers = {"Location": call.url("get_job", job_id=handle.id)} if route.status == 202 else {}
        return Reply({"job_id": handle.id, "results": results}, route.status, headers)

    return handle


def _accepted(call: Call, handle: osapi.JobHandle) -> Reply:
    headers = {"Location": call.url("get_job", job_id=handle.id), "Preference-Applied": "respond-async"}
    return Reply(shapes.JobAccepted(job_id=handle.id), 202, headers)


@contextmanager
def _turn(api: Api) -> Generator[None]:
    if api.waiting >= api.options.max_waiting:
        sentence = f"{api.waiting} requests wait for their jobs already; try again later, or send Prefer: respond-async"
        raise ProblemError(429, sentence, {"Retry-After": "1"})
    api.waiting += 1
    try:
        yield
    finally:
        api.waiting -= 1


def _check_found(missing: str, results: list[dict[str, Any]]) -> None:
    # All that is stored of an error is its name and its sentence.
    errors = [str(row.get("error", "")) for row in results]
    if all(error.startswith(f"{missing}: ") for error in errors):
        raise ProblemError(404, errors[0].removeprefix(f"{missing}: "))


async def _collect(api: Api, handle: osapi.JobHandle, *, merged: bool) -> list[dict[str, Any]]:
    waited = api.options.job_timeout
    # An agent of another version may answer what does not fit here. It is told as it is.
    with trio.move_on_after(waited), suppress(osapi.InvalidPayloadError):
        await handle.result()
    records = await handle.load()
    rows = [
        row(records.get(slot), slot, waited, handle.id, merged=merged, idle=_idle(api, slot))
        for slot in slots(handle.definition)
    ]
    return sorted(rows, key=lambda found: found["hostname"])


def _idle(api: Api, slot: str) -> str:
    """Return why nobody takes a job now, if no agent does or the one that it is for does not."""
    states = {agent.hostname: agent.state for agent in api.client.fleet.registered()}
    if states.get(slot, "Ready") != "Ready":
        return f"it is {states[slot]}"
    return "" if "Ready" in states.values() else "no agent takes jobs now"
