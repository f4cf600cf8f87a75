"""The way of a request: its id, who asks, may they, the handler, the headers of the answer."""

from __future__ import annotations

import logging
import re
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
import trio
from quart import g, request
from quart_trio.wrappers import TrioResponse

from osapi import tracing
from osapi_api import cors
from osapi_api.addresses import source_of
from osapi_api.audit import Entry
from osapi_api.endpoints import Call, template
from osapi_api.idempotency import once, read_key
from osapi_api.inputs import read_body, read_query
from osapi_api.problems import CONTENT_TYPE, ProblemError, body_of, not_allowed, problem_of
from osapi_api.security import TokenError
from osapi_api.streams import stream
from osapi_api.views import timestamp
from osapi_telemetry import Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Sequence

    from quart import Response

    from osapi_api.endpoints import Api, Endpoint, Reply
    from osapi_api.security import Identity

_log = logging.getLogger("osapi.api")

# Of a path or a subject that somebody has made up, so much is told.
_LONGEST: Final = 500
_MOST_ROLES: Final = 50

# What is no plain word is replaced: it would end up in logs.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._\-]{1,128}")
_RESPOND_ASYNC = re.compile(r"(?:^|,)\s*respond-async\s*(?:$|[,;])", re.IGNORECASE)

_SECURITY_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


async def answer(api: Api, endpoint: Endpoint, path: dict[str, str]) -> Response:
    """Answer a request to an endpoint."""
    g.operation_id = endpoint.name

    async def reply() -> Response:
        return respond(api, await _reply(api, endpoint, path))

    return await guard(api, reply, endpoint)


async def answer_nothing(api: Api, methods: Callable[[], Sequence[str]], *, public: Callable[[], bool]) -> Response:
    """Answer a request to a path where no endpoint is, or none for its method.

    Who asks at a `public` path needs no token.
    """

    async def refuse() -> Response:
        allowed = methods()
        if allowed and cors.is_preflight(request) and cors.permitted(request, api.options):
            return cors.preflight(", ".join(allowed))
        admit(api, needed=not public())
        raise not_allowed(allowed) if allowed else ProblemError(404, "there is nothing at this path")

    return await guard(api, refuse)


async def guard(api: Api, handler: Callable[[], Awaitable[Response]], endpoint: Endpoint | None = None) -> Response:
    """Return the handler's answer, or its error as a problem, with the headers that every answer has."""
    request_id = request_id_of(request.headers.get("X-Request-ID", ""))
    begun = time.perf_counter()
    with _observed(api, endpoint) as observed:
        trace = _begin_trace()
        try:
            response = await handler()
        except Exception as error:  # noqa: BLE001 - every error is answered; problem_of logs what it does not tell
            response = respond_problem(problem_of(error, request_id), request_id)
        if observed is not None:
            observed.status = response.status_code
    response.headers["X-Request-ID"] = request_id
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    cors.mark(response, cors.permitted(request, api.options), api.options)
    _tell(api, request_id, trace, response.status_code, round((time.perf_counter() - begun) * 1000, 3))
    return response


@contextmanager
def _observed(api: Api, endpoint: Endpoint | None) -> Generator[Request | None]:
    """Let what is submitted in the block belong to the caller's trace, and tell the observer unless it is a probe."""
    given = request.headers.get(tracing.HEADER, "")
    tracing.traceparent.set(given if tracing.trace_id(given) else "")
    if api.observer is None or (endpoint is not None and endpoint.path.startswith("/health")):
        yield None
        return
    observed = Request(
        method=one_line(request.method),
        scheme=request.scheme,
        path=one_line(request.path),
        route=template(request.url_rule.rule) if endpoint is not None and request.url_rule is not None else "",
        traceparent=tracing.traceparent.get(),
    )
    with api.observer(observed):
        yield observed


def _begin_trace() -> str:
    """Return the id of the trace that this request belongs to, a new one if neither caller nor observer named any."""
    trace = tracing.trace_id(tracing.traceparent.get())
    if not trace:
        trace = uuid.uuid4().hex
        tracing.traceparent.set(f"00-{trace}-{uuid.uuid4().hex[:16]}-01")
    return trace


def _tell(api: Api, request_id: str, trace: str, status: int, milliseconds: float) -> None:
    identity: Identity | None = g.get("identity")
    fields = {
        "request_id": request_id,
        "trace_id": trace,
        "subject": "" if identity is None else one_line(identity.subject),
        "method": one_line(request.method),
        "path": one_line(request.path),
        "status": status,
        "duration_ms": milliseconds,
    }
    _log.info(
        "request %(request_id)s: %(method)s %(path)s by %(subject)s: %(status)d in %(duration_ms).1f ms",
        {**fields, "subject": fields["subject"] or "nobody"},
        extra=fields,
    )
    if api.audit is not None and identity is not None:
        api.audit.record(_entry(api, identity, fields))


def _entry(api: Api, identity: Identity, fields: dict[str, Any]) -> Entry:
    now = api.transport.now()
    return Entry(
        id=api.ids.job_id(now),
        timestamp=timestamp(now),
        user=fields["subject"],
        roles=tuple(one_line(role) for role in identity.roles[:_MOST_ROLES]),
        method=fields["method"],
        path=fields["path"],
        operation_id=g.get("operation_id", ""),
        source_ip=source_of(request, api.options.proxies),
        response_code=fields["status"],
        duration_ms=fields["duration_ms"],
        trace_id=fields["trace_id"],
    )


def one_line(text: str) -> str:
    """Return text of a stranger as it may stand in a log or a record: one line, and not too long."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:_LONGEST])


def request_id_of(given: str) -> str:
    """Return the caller's id of a request if it is a plain word, else a new one."""
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def respond(api: Api, reply: Reply) -> Response:
    """Return a reply as a response."""
    if reply.events is not None:
        return stream(api, reply.events, authenticate(api).expires, empty=request.method == "HEAD")
    empty = reply.status in {204, 304}
    body = reply.body if reply.content_type else b"" if empty else msgspec.json.encode(reply.body)
    response = TrioResponse(body, status=reply.status, content_type=reply.content_type or "application/json")
    if empty:
        del response.headers["Content-Type"]
    response.headers.update(dict(reply.headers))
    return response


def respond_problem(problem: ProblemError, request_id: str) -> Response:
    """Return a problem as a response."""
    response = TrioResponse(body_of(problem, request_id), status=problem.status, content_type=CONTENT_TYPE)
    response.headers.update(problem.headers)
    return response


def authenticate(api: Api) -> Identity:
    """Return who asks.

    Raises:
        ProblemError: 401, without a valid token.

    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not token.strip() or scheme.lower() != "bearer":
        sentence = "the request carries no token; send Authorization: Bearer TOKEN"
        raise ProblemError(401, sentence, {"WWW-Authenticate": 'Bearer realm="osapi"'})
    try:
        return api.security.validate(token.strip())
    except TokenError as error:
        challenge = 'Bearer realm="osapi", error="invalid_token"'
        raise ProblemError(401, str(error), {"WWW-Authenticate": challenge}) from error


def admit(api: Api, *, needed: bool) -> Identity | None:
    """Return who asks, where that is `needed`; who asks too often has to wait, and strangers wait by their address.

    Raises:
        ProblemError: 401 without a valid token, 429

    """
    try:
        identity = authenticate(api) if needed else None
    except ProblemError:
        _take(api, None)
        raise
    g.identity = identity
    _take(api, identity)
    return identity


def _take(api: Api, identity: Identity | None) -> None:
    # An address is no subject, whatever a subject is called.
    name = f"address {source_of(request, api.options.proxies)}" if identity is None else f"subject {identity.subject}"
    api.rates.take(name, trio.current_time())


def authorise(api: Api, identity: Identity, permission: str) -> None:
    """Refuse who may not.

    Raises:
        ProblemError: 403, naming the permission that is missing.

    """
    if not api.security.allows(identity, permission):
        challenge = f'Bearer realm="osapi", error="insufficient_scope", scope="{permission}"'
        sentence = f"this needs the permission {permission}, which the token does not give"
        raise ProblemError(403, sentence, {"WWW-Authenticate": challenge})


async def _reply(api: Api, endpoint: Endpoint, path: dict[str, str]) -> Reply:
    identity = None
    if not endpoint.unlimited:
        identity = admit(api, needed=endpoint.permission is not None)
    if identity is not None and endpoint.permission is not None:
        authorise(api, identity, endpoint.permission)
    # Whoever probes may add what it likes against caches.
    query = read_query(request, endpoint.query) if identity else None
    body = None
    if endpoint.body is not None:
        body = await read_body(request, endpoint.body, api.options)
    prefer = ",".join(request.headers.getlist("Prefer"))
    # Of a job that is retried, the key is another than that of the job itself.
    key = read_key(request, identity, path.get("job_id", "")) if endpoint.takes_key else None
    last_event = request.headers.get("Last-Event-ID", "") if endpoint.events else ""
    call = Call(api, path, query, body, _RESPOND_ASYNC.search(prefer) is not None, identity, key, last_event)
    with once():
        return await endpoint.handler(call)
