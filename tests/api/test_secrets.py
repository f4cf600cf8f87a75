"""Secret fields are shown to nobody who looks at jobs, dead letters, errors or logs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import osapi
import osapi_api
from tests.api.conftest import SECURITY, Rest
from tests.api.operations import operations

if TYPE_CHECKING:
    import pytest

SECRET = "hunter22-\"q'"


async def test_a_job_shows_its_data_and_result_without_them(both: Rest) -> None:
    ran = await both("POST", "/operation/_all/test.login", {"user": "anna", "password": SECRET})
    assert ran.body["results"][0]["data"] == {"user": "anna", "token": f"{SECRET}-token"}, "who asked may see it"
    job = (await both("GET", f"/job/{ran.body['job_id']}")).body
    assert job["operation"]["data"] == {"user": "anna", "password": "***"}
    assert job["responses"]["web-01"]["data"] == {"user": "anna", "token": "***"}
    listed = (await both("GET", "/job")).body
    cancelled = (await both("POST", f"/job/{job['id']}/cancel")).body
    for shown in (job, listed, cancelled):
        assert "hunter22" not in str(shown)


async def test_an_error_that_repeats_one_is_stored_and_logged_without_it(
    both: Rest, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        ran = await both("POST", "/operation/web-01/test.login", {"user": "nobody", "password": SECRET})
        skipped = await both("POST", "/operation/web-01/test.login", {"user": "guest", "password": SECRET})
    (row,) = ran.body["results"]
    assert "is not the password of nobody" in row["error"]
    assert "guests have no ***" in skipped.body["results"][0]["error"]
    job = (await both("GET", f"/job/{ran.body['job_id']}")).body
    assert "hunter22" not in str([row, job, skipped.body])
    assert "is not the password of nobody" in caplog.text
    assert "hunter22" not in caplog.text


async def test_of_an_operation_that_is_not_known_here_all_is_hidden(api: Rest) -> None:
    ran = await api("POST", "/operation/web-01/test.echo", "hunter22")
    app = osapi_api.create_app(api.client, transport=api.transport, operations=osapi.Operations(), security=SECURITY)
    job = (await Rest(app, api.client, api.transport)("GET", f"/job/{ran.body['job_id']}")).body
    assert (job["operation"]["data"], job["result"]) == ("***", "***")
    assert "test.echo" in operations
