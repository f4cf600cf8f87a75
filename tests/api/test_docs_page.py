"""The page for people: all of it comes from here, and a browser shows it."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
import trio

from tests.api.serving import served

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2

    from tests.api.conftest import Rest

PARTS = ("page.css", "page.js", "swagger-ui.css", "swagger-ui-bundle.js")


async def test_the_page_and_its_parts_need_no_token_and_are_from_here() -> None:
    async with served() as server:
        del server.client.headers["Authorization"]
        page = await server.client.get("/api/docs")
        checked(page, "text/html; charset=utf-8")
        named = re.findall(r'(?:href|src)="([^"]+)"', page.text)
        assert {f"docs/{part}" for part in PARTS} | {"data:,", "openapi.json"} == {*named}
        for part in PARTS:
            kind = "text/css" if part.endswith("css") else "text/javascript"
            checked(await server.client.get(f"/api/docs/{part}"), f"{kind}; charset=utf-8")


def checked(answer: httpx2.Response, content_type: str) -> None:
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "://" not in policy


async def test_what_has_not_changed_is_not_sent_again() -> None:
    async with served() as server:
        first = await server.client.get("/api/docs/swagger-ui.css")
        again = await server.client.get("/api/docs/swagger-ui.css", headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == first.headers["ETag"]
        other = await server.client.get("/api/docs/swagger-ui.css", headers={"If-None-Match": '"x"'})
        assert other.status_code == 200


async def test_no_other_file_is_there(api: Rest) -> None:
    for name in ("page.html", "LICENSE", "%2E%2E", "x"):
        assert (await api("GET", f"/docs/{name}", token="")).status == 404, name
    assert (await api("GET", "/docs/..%2F..%2Fapp.py", token="")).status == 401
    assert (await api("POST", "/docs", token="")).status == 405


@pytest.fixture(scope="session")
def browser() -> str:
    """Return Debian's Chromium; without it skip the test. No CI need have one: the page is not what hosts rely on."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("there is no chromium here; on Debian: apt-get install chromium")
    return found


async def shown(browser: str, url: str, tmp_path: Path) -> tuple[str, str]:
    """Return the page as a browser has drawn it, and what it has logged."""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    finished = await trio.run_process(
        [
            browser,
            *options,
            f"--user-data-dir={tmp_path}",
            "--enable-logging=stderr",
            "--virtual-time-budget=20000",
            "--dump-dom",
            url,
        ],
        capture_stdout=True,
        capture_stderr=True,
    )
    return finished.stdout.decode(), finished.stderr.decode(errors="replace")


async def test_a_browser_shows_every_endpoint_and_has_nothing_to_complain_of(browser: str, tmp_path: Path) -> None:
    async with served() as server:
        document = (await server.client.get("/api/openapi.json")).json()
        page, log = await shown(browser, f"{server.url}/api/docs", tmp_path)
        paths = re.findall(r'class="opblock-summary-path"[^>]*data-path="([^"]+)"', page)
        assert {*paths} == {*document["paths"]}
        assert len(paths) == sum(len(methods) for methods in document["paths"].values())
        # A script, style or picture that the policy forbids, and what failed in a script, is told here.
        assert "CONSOLE" not in log
