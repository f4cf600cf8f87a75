"""Every request is told to the log, in one line."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tests.api.conftest import SECURITY

if TYPE_CHECKING:
    import pytest

    from tests.api.conftest import Rest


async def test_a_request_is_one_line(api: Rest, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "osapi.api"):
        await api("GET", "/agent?x=secret", X_Request_ID="find-me")
        await api("GET", "/agent", token="")
        await api("GET", "/health", token="")
    records: list[Any] = [record for record in caplog.records if record.name == "osapi.api"]
    told = [(r.method, r.path, r.status, r.subject, r.levelname) for r in records]
    assert told == [
        ("GET", "/api/agent", 400, "tester", "INFO"),
        ("GET", "/api/agent", 401, "", "INFO"),
        ("GET", "/api/health", 200, "", "INFO"),
    ]
    assert records[0].request_id == "find-me"
    assert records[0].duration_ms > 0
    assert "secret" not in caplog.text
    assert "request find-me: GET /api/agent by tester: 400 in " in caplog.text
    assert ": GET /api/health by nobody: 200 in " in caplog.text


async def test_nobody_can_write_lines_of_their_own(api: Rest, caplog: pytest.LogCaptureFixture) -> None:
    token = SECURITY.generate("anna\nrequest x: GET / by admin", roles=["admin"])
    with caplog.at_level(logging.INFO, "osapi.api"):
        await api("GET", "/agent/%0Arequest%20y" + "z" * 2000, token=token)
    (record,) = [record for record in caplog.records if record.name == "osapi.api"]
    assert "\n" not in record.getMessage()
    assert len(record.getMessage()) < 1200
