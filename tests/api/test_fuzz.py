"""Schemathesis finds nothing between what is described and what is served, with a token and without.

This run is short and the same every time; docs/howto/deploy-the-api.md tells how to let it look for longer.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trio

import osapi_api
from tests.api.conftest import token_of
from tests.api.serving import served

HERE = Path(__file__).parent / "fuzz"


@pytest.mark.parametrize(
    ("headers", "bounds"),
    [
        ([f"Authorization: Bearer {token_of('admin')}"], ["--phases=coverage,fuzzing", "--max-examples=1"]),
        ([], ["--phases=fuzzing", "--max-examples=1"]),
    ],
    ids=["admin", "stranger"],
)
async def test_schemathesis_finds_nothing(headers: list[str], bounds: list[str], tmp_path: Path) -> None:
    # It keeps what it has found beside its settings, and would begin with that the next time.
    for name in ("schemathesis.toml", "hooks.py"):
        shutil.copy(HERE / name, tmp_path)
    options = osapi_api.Options(job_timeout=0.2)
    async with served(within=600.0, api_options=options) as server:
        # It reads every answer to its end.
        server.api.end_streams()
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file=schemathesis.toml", "run", "--no-color"]
        asked = [f"--header={header}" for header in headers]
        finished = await trio.run_process(
            [*command, "--checks=all", "--seed=1", *bounds, *asked, f"{server.url}/api/openapi.json"],
            cwd=tmp_path,
            check=False,
            capture_stdout=True,
            stderr=subprocess.STDOUT,
        )
        told = finished.stdout.decode()
        assert finished.returncode == 0, told
        assert "passed" in told
        assert (await server.client.get("/api/health")).status_code == 200
