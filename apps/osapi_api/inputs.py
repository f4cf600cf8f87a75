"""What a request says besides its path: the query, the body, within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import trio
from werkzeug.exceptions import RequestEntityTooLarge

from osapi_api.payloads import is_struct
from osapi_api.problems import ProblemError

if TYPE_CHECKING:
    from quart import Request
    from quart.wrappers.request import Body

    from osapi_api.options import Options


def read_query(request: Request, kind: Any) -> Any:
    """Return the query as a Struct.

    Raises:
        ProblemError: 400, for a parameter that is unknown, given twice or out of range.

    """
    values: dict[str, str] = {}
    for name, given in request.args.lists():
        if len(given) > 1:
            raise ProblemError(400, f"query parameter {_quoted(name)} is given {len(given)} times; give it once")
        values[name] = given[0]
    if kind is None:
        if values:
            raise ProblemError(400, f"this path takes no query parameters, {_quoted(next(iter(values)))} is one")
        return None
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ProblemError(400, f"the query cannot be used: {error}") from None


async def read_body(request: Request, kind: Any, options: Options) -> Any:
    """Return the body as the given type; as the bytes that it is if that is `Any`, None if there need be none.

    Raises:
        ProblemError: 400, 408, 413 or 415

    """
    data = await _read(request, options)
    if not data.strip():
        if _is_needed(kind):
            raise ProblemError(400, "the body is missing; send a JSON object")
        return None
    if not _is_json(request.mimetype):
        raise ProblemError(415, "the body is not declared as JSON; send Content-Type: application/json")
    if kind is Any:
        return data
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(400, f"the body cannot be used: {error}") from None


def _is_needed(kind: Any) -> bool:
    return is_struct(kind) and any(field.required for field in msgspec.structs.fields(kind))


def _is_json(mimetype: str) -> bool:
    return mimetype == "application/json" or (mimetype.startswith("application/") and mimetype.endswith("+json"))


async def _read(request: Request, options: Options) -> bytes:
    # An app of somebody else's may allow less, or far more. Its versions differ in when they look, so look here.
    limit = min(options.max_body, request.max_content_length or options.max_body)
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    with trio.move_on_after(options.body_timeout):
        return await _parts(request.body, limit)
    raise ProblemError(408, f"the request's body did not arrive within {options.body_timeout:g} s")


async def _parts(body: Body, limit: int) -> bytes:
    data = bytearray()
    try:
        async for part in body:
            data.extend(part)
            if len(data) > limit:
                raise _too_large(limit)
    except RequestEntityTooLarge:
        raise _too_large(limit) from None
    return bytes(data)


def _too_large(limit: int) -> ProblemError:
    return ProblemError(413, f"the request's body is too large; at most {limit} bytes are accepted")


def _quoted(name: str) -> str:
    return repr(name[:80])
