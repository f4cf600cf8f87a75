"""The page for people at /docs: Swagger UI over the description, all of it from here.

A token that is typed into it is kept by the page alone, until it is closed.
"""

from __future__ import annotations

from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from quart import request

from osapi_api.endpoints import Endpoint, Reply
from osapi_api.problems import Problem, ProblemError

if TYPE_CHECKING:
    from osapi_api.endpoints import Call

SWAGGER_UI: Final = "5.34.0"

_TYPES: Final = {
    "page.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
}

# Nothing but this server is asked, and no page may frame this one; the pictures lie in the style sheet.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def page(call: Call) -> Reply:
    """Return the page."""
    return _file("page.html")


async def part(call: Call) -> Reply:
    """Return one of the files that the page needs."""
    name = call.path["name"]
    if name not in _TYPES or name == "page.html":
        raise ProblemError(404, "there is nothing at this path")
    return _file(name)


def _file(name: str) -> Reply:
    data, tag = _read(name)
    headers = {"Cache-Control": "no-cache", "Content-Security-Policy": _POLICY, "ETag": tag}
    if request.if_none_match.contains(tag.strip('"')):
        return Reply(status=304, headers=headers)
    return Reply(data, headers=headers, content_type=_TYPES[name])


@cache
def _read(name: str) -> tuple[bytes, str]:
    data = files("osapi_api").joinpath("swagger", name).read_bytes()
    return data, f'"{SWAGGER_UI}-{len(data)}"'


_GET = partial(Endpoint, method="GET", answers={200: None, 404: Problem})

ENDPOINTS: Final = (
    _GET(name="docs", path="/docs", summary="Show this API to people", handler=page),
    _GET(name="docs_part", path="/docs/<name>", summary="A part of that page", handler=part),
)
