"""What the program says when the server refuses, does not answer, or is not a server of ours; and its exit status."""

from __future__ import annotations

import errno
import os
import ssl
from typing import TYPE_CHECKING, Final, TypeVar

import httpx2
import msgspec

from osapi.errors import OsapiError, shown
from osapi_cli import exits
from osapi_cli.local import URL, state_folder
from osapi_cli.problems import RefusedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from osapi_cli.client.server import Server

E = TypeVar("E", bound=BaseException)

_TOKEN_REMEDY: Final = (
    "`osapi token generate` makes one; set controller.client.security.bearer_token, or "
    "$OSAPI_CONTROLLER_CLIENT_SECURITY_BEARER_TOKEN"
)

_UNKNOWN_OPERATION: Final = "urn:osapi:problem:unknown-operation"

# Of a request that is wrong, the server tells apart that what it names is not there: no mistake of the command line.
_ABSENT: Final = frozenset(
    f"urn:osapi:problem:{kind}" for kind in ("unknown-host", "no-agents", "unknown-job", "unknown-letter")
)


_UNCERTAIN: Final = "; what was asked of it may be done all the same"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """The body of a refusal (RFC 9457)."""

    type: str = "about:blank"
    error: str = ""
    detail: str = ""


def is_problem(response: httpx2.Response) -> bool:
    """Tell whether the answer is a refusal of the API."""
    return str(response.headers.get("Content-Type", "")).startswith("application/problem+json")


def refusal(server: Server, method: str, path: str, response: httpx2.Response) -> OsapiError:
    """Return the error that tells why the server refused a request."""
    if not is_problem(response):
        return stranger(server, response)
    try:
        problem = msgspec.json.decode(response.content, type=Problem)
    except msgspec.DecodeError:
        return stranger(server, response)
    return _verdict(server, f"{method} {path}", response.status_code, problem)


def _verdict(server: Server, request: str, status: int, problem: Problem) -> OsapiError:
    sentence = problem.error or problem.detail or f"the server refused it (status {status})"
    if status == 401:
        return RefusedError(_unknown_caller(server, sentence), exits.NOT_PERMITTED)
    if status == 403:
        return RefusedError(sentence, exits.NOT_PERMITTED)
    if status == 405 or (status == 404 and sentence == "there is nothing at this path"):
        told = f"the server at {server.url} does not offer {request}; it may be older than this program"
        return RefusedError(told, exits.FAILED)
    if status in {429, 500, 502, 503, 504}:
        return UnavailableError(f"the server at {server.url}: {sentence}")
    wrong = (status in {400, 413, 415, 422} and problem.type not in _ABSENT) or problem.type == _UNKNOWN_OPERATION
    return RefusedError(sentence, exits.USAGE if wrong else exits.FAILED, problem.type)


def _unknown_caller(server: Server, sentence: str) -> str:
    if not server.token:
        return f"the server at {server.url} wants a token, and none is configured: {_TOKEN_REMEDY}"
    return f"the server at {server.url} does not accept the token of {server.token_from}: {sentence}"


def stranger(server: Server, response: httpx2.Response) -> UnavailableError:
    """Return the error for an answer that is none of the API."""
    kind = response.headers.get("Content-Type", "no type")
    told = f"status {response.status_code}, {shown(kind)}"
    return UnavailableError(f"what answers at {server.url} is not the osapi API ({told}); check {server.url_from}")


def unreachable(
    server: Server, error: httpx2.HTTPError | httpx2.InvalidURL, *, only_reads: bool = False
) -> UnavailableError:
    """Return the error for a request that was not answered; it may have been heard all the same."""
    return UnavailableError(f"the server at {server.url} {_reason(server, error, '' if only_reads else _UNCERTAIN)}")


def _reason(server: Server, error: httpx2.HTTPError | httpx2.InvalidURL, uncertain: str) -> str:
    check = f"check {server.url_from}"
    if untrusted := _find(error, ssl.SSLCertVerificationError):
        return f"cannot be trusted: {untrusted.verify_message}; $SSL_CERT_FILE may name the authority's certificate"
    if _find(error, ssl.SSLError):
        return f"does not speak TLS there; {check}"
    if any(system.errno == errno.ECONNREFUSED for system in _all(error, OSError)):
        if server.url_from == str(state_folder(os.environ) / URL):
            return (
                f"refused the connection: `osapi start`, which wrote that into {server.url_from}, does not run any more"
            )
        return "refused the connection: is `osapi controller start`, or `osapi start`, running?"
    told = str(error) or type(error).__name__
    reasons: tuple[tuple[type[Exception], str], ...] = (
        (httpx2.ConnectTimeout, f"did not take the connection in time; {check}"),
        (httpx2.ConnectError, f"cannot be reached: {_words(error)}; {check}"),
        (httpx2.ProxyError, f"cannot be reached through the proxy of the environment: {told}"),
        (httpx2.TimeoutException, f"did not answer in time{uncertain}"),
        (httpx2.RemoteProtocolError, f"broke the connection, or speaks no HTTP{uncertain}"),
        (httpx2.NetworkError, f"broke the connection{uncertain}"),
    )
    return next((reason for kind, reason in reasons if isinstance(error, kind)), f"cannot be asked: {told}; {check}")


def _words(error: BaseException) -> str:
    told = [system.strerror for system in _all(error, OSError) if system.strerror]
    return told[-1] if told else str(error)


def _find(error: BaseException, kind: type[E]) -> E | None:
    return next(_all(error, kind), None)


def _all(error: BaseException, kind: type[E]) -> Iterator[E]:
    """Yield the errors of a kind among those that led to this one."""
    seen: set[int] = set()
    stack = [error]
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, kind):
            yield current
        if isinstance(current, BaseExceptionGroup):
            stack.extend(current.exceptions)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        stack.extend(cause for cause in (current.__cause__, current.__context__) if cause is not None)
