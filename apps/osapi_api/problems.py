"""Every error as `application/problem+json` (RFC 9457), and the one table that says which status it has.

The member `error` is the plain sentence that `detail` holds as well; clients of the Go system read it.
"""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import msgspec
from werkzeug.exceptions import HTTPException, MethodNotAllowed

import osapi
from osapi import errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONTENT_TYPE: Final = "application/problem+json"

_log = logging.getLogger("osapi.api")

# The first that fits counts. What is the caller's fault is told as it is; of what is not, the log knows more.
_STATUS: Final[tuple[tuple[type[Exception], int], ...]] = (
    (errors.PayloadTooLargeError, 413),
    (errors.InvalidInputError, 400),
    (errors.UnknownJobError, 404),
    (errors.UnknownOperationError, 404),
    (errors.UnknownLetterError, 404),
    (errors.UnknownRolloutError, 404),
    (errors.UnknownScheduleError, 404),
    # A target that nobody answers to is a mistake in the request; only /agent/{hostname} is about that host itself.
    (errors.NotFoundError, 400),
    (errors.EnrolmentError, 400),
    (errors.UntrustedError, 409),
    (errors.ConflictError, 409),
    (errors.IllegalTransitionError, 409),
    (errors.LimitReachedError, 503),
    (errors.DisconnectedError, 503),
    (errors.UncertainError, 503),
    (errors.ClosedError, 503),
)

_HIDDEN: Final[tuple[tuple[type[Exception], str], ...]] = (
    (errors.LimitReachedError, "the broker is full, nothing was stored; try again later"),
    (errors.UncertainError, "the broker went away before it answered: what was asked may have been done or not"),
    (errors.DisconnectedError, "the broker cannot be reached, nothing was sent; try again later"),
    (errors.ClosedError, "the server is stopping; try again"),
)

_HTTP_SENTENCES: Final[Mapping[int, str]] = {
    400: "the request is not well-formed HTTP",
    404: "there is nothing at this path",
    408: "the request's body did not arrive in time",
    413: "the request's body is too large",
}


class ProblemError(osapi.OsapiError):
    """Answer the request with this status and sentence; `kind` says what it is about, for programs."""

    def __init__(
        self, status: int, sentence: str, headers: Mapping[str, str] | None = None, *, kind: str = "about:blank"
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.kind = kind
        self.headers = dict(headers or {})


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong: `error` and `detail` are one plain sentence, `request_id` finds it in the server's log."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    error: str
    request_id: str


def problem_of(error: Exception, request_id: str) -> ProblemError:
    """Return what to tell the caller about an error; what it is not told goes to the log, under the request's id."""
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, HTTPException):
        return _of_http(error)
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if status < 500:
        return ProblemError(status, str(error), kind=kind_of(error))
    hidden = next((sentence for kind, sentence in _HIDDEN if isinstance(error, kind)), "")
    if hidden:
        _log.warning("request %s: %s", request_id, error)
        return ProblemError(status, hidden, {"Retry-After": "1"})
    _log.error("request %s failed", request_id, exc_info=error)
    return ProblemError(500, f"the server failed; its log tells more about request {request_id}")


def kind_of(error: Exception) -> str:
    """Return the type of a problem that an error of the library's is, as `urn:osapi:problem:unknown-host`."""
    words = re.findall(r"[A-Z][a-z]*", type(error).__name__.removesuffix("Error"))
    return f"urn:osapi:problem:{'-'.join(words).lower()}"


def _of_http(error: HTTPException) -> ProblemError:
    status = error.code or 500
    if isinstance(error, MethodNotAllowed):
        return not_allowed(error.valid_methods or ())
    sentence = _HTTP_SENTENCES.get(status, f"the request was refused: {HTTPStatus(status).phrase.lower()}")
    return ProblemError(status, sentence)


def not_allowed(methods: Iterable[str]) -> ProblemError:
    """Return the answer to a method that a path does not take, with those that it does."""
    allowed = ", ".join(sorted(methods))
    return ProblemError(405, f"this path takes {allowed or 'no method'} only", {"Allow": allowed})


def body_of(problem: ProblemError, request_id: str) -> bytes:
    """Return the answer's body."""
    sentence = str(problem)
    return msgspec.json.encode(
        Problem(
            type=problem.kind,
            title=HTTPStatus(problem.status).phrase,
            status=problem.status,
            detail=sentence,
            error=sentence,
            request_id=request_id,
        )
    )
