"""The header Idempotency-Key: a request that is repeated with it submits no second job.

As the draft of the header says (draft-ietf-httpapi-idempotency-key-header-07), its value is a string in quotes, the
resource decides for how long it is remembered (as long as the job is kept), and another payload under the same key is
answered with 422. A value without quotes is taken as it is: many send it so. While the first request still runs, the
draft has 409 for the second one; here that waits for the same job, which is what its sender wants to know of.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

import osapi
from osapi.rules.idempotency import MAX_KEY
from osapi_api.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Generator

    from quart import Request

    from osapi_api.security import Identity

HEADER: Final = "Idempotency-Key"

_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE = re.compile(r"[!#-~]+")


def read_key(request: Request, identity: Identity | None, scope: str) -> str | None:
    """Return the key under which the request's job is submitted, None without the header.

    It is the sender's own: two who use the same key get two jobs. So do two endpoints of different `scope`.

    Raises:
        ProblemError: 400, what is no key.

    """
    given = request.headers.getlist(HEADER)
    if not given:
        return None
    if len(given) > 1:
        raise ProblemError(400, f"{HEADER} is given {len(given)} times; give it once")
    told = ["" if identity is None else identity.subject, scope, _unquoted(given[0].strip())]
    return f"api.{hashlib.sha256(msgspec.json.encode(told)).hexdigest()}"


def _unquoted(text: str) -> str:
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    if not 0 < len(key) <= MAX_KEY or not (quoted or _BARE.fullmatch(text)):
        raise ProblemError(
            400, f'{HEADER} cannot be used; give 1 to {MAX_KEY} visible ASCII characters in quotes, such as "8e03978e"'
        )
    return key


@contextmanager
def once() -> Generator[None]:
    """Tell who repeats a key with another payload what is wrong.

    Raises:
        ProblemError: 422

    """
    try:
        yield
    except osapi.KeyReusedError:
        # The library's sentence tells the key as it is stored, which its sender has never seen.
        sentence = f"this {HEADER} stands for a job with another operation, target or data; use a new one"
        raise ProblemError(422, sentence) from None
