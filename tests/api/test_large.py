"""Results that are stored in parts: whole where one job is shown, left out of lists."""

from __future__ import annotations

import osapi_api
from tests.api.conftest import fleet

SIZE = 1_500_000


async def test_a_large_result_is_answered_whole_and_left_out_of_lists(autojump_clock: object) -> None:
    async with fleet() as api:
        answer = await api("POST", "/operation/_all/test.large", 1.0)
        assert [len(row["data"]) for row in answer.body["results"]] == [SIZE, SIZE]
        job = (await api("GET", f"/job/{answer.body['job_id']}")).body
        assert {host: len(told["data"]) for host, told in job["responses"].items()} == {"web-01": SIZE, "db-01": SIZE}
        (listed,) = (await api("GET", "/job")).body["items"]
        assert {host: told["data"] for host, told in listed["responses"].items()} == {"web-01": None, "db-01": None}


async def test_it_is_whole_too_while_another_host_is_silent(autojump_clock: object) -> None:
    async with fleet(options=osapi_api.Options(job_timeout=5.0)) as api:
        rows = (await api("POST", "/operation/_all/test.large", 60.0)).body["results"]
        assert [(row["hostname"], row["status"]) for row in rows] == [("db-01", "failed"), ("web-01", "ok")]
        assert len(rows[1]["data"]) == SIZE
