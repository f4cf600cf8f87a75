"""Web pages of other origins: none may ask, unless they are named."""

from __future__ import annotations

import pytest

import osapi_api
from tests.api.conftest import Rest, fleet

PAGE = "https://board.example.com"
ALLOW = "Access-Control-Allow-Origin"


async def test_no_page_may_ask_by_default(api: Rest) -> None:
    asked = await api("GET", "/agent", Origin=PAGE)
    assert ALLOW not in asked.headers
    assert "Vary" not in asked.headers
    preflight = await api("OPTIONS", "/agent", token="", Origin=PAGE, Access_Control_Request_Method="GET")
    assert preflight.status == 401
    assert ALLOW not in preflight.headers


@pytest.mark.parametrize(("origins", "told"), [((PAGE,), PAGE), (("*",), "*")])
async def test_a_page_that_is_named_may_ask(origins: tuple[str, ...], told: str) -> None:
    async with fleet(agents={}, options=osapi_api.Options(allow_origins=origins)) as api:
        asked = await api("GET", "/agent", Origin=PAGE)
        assert (asked.headers[ALLOW], asked.headers["Vary"]) == (told, "Origin")
        assert "X-Request-ID" in asked.headers["Access-Control-Expose-Headers"]
        refused = await api("GET", "/agent", token="", Origin=PAGE)
        assert (refused.status, refused.headers[ALLOW]) == (401, told), "the page may read why"
        ask = {"Origin": PAGE, "Access_Control_Request_Method": "DELETE"}
        preflight = await api("OPTIONS", "/job/x", token="", **ask)
        assert preflight.status == 204
        assert preflight.headers[ALLOW] == told
        assert preflight.headers["Access-Control-Allow-Methods"] == "DELETE, GET, HEAD"
        assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
        assert (await api("OPTIONS", "/nothing", token="", **ask)).status == 401
        assert "Access-Control-Allow-Credentials" not in preflight.headers


async def test_other_pages_may_not_ask() -> None:
    async with fleet(agents={}, options=osapi_api.Options(allow_origins=(PAGE,))) as api:
        for other in ("https://evil.example.com", f"{PAGE}.evil.com", "null", "", "http://board.example.com"):
            assert ALLOW not in (await api("GET", "/agent", Origin=other)).headers
            ask = {"Origin": other, "Access_Control_Request_Method": "GET"}
            assert (await api("OPTIONS", "/agent", token="", **ask)).status == 401
