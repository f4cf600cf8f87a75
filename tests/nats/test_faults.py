"""What happens to jobs while servers and agents are killed: the short version of `python -m tests.soak`."""

from __future__ import annotations

import sys
from random import Random
from typing import TYPE_CHECKING

import pytest
import trio

import osapi
from osapi.rules.records import SlotStatus
from tests.soak.killed_agents import killed_agents
from tests.soak.log import Log
from tests.soak.outages import outages

if TYPE_CHECKING:
    from pathlib import Path

    from osapi_nats.server import Server

# A lease as short as it can be when the server is away for about a second: some are lost, and some are not.
SETTINGS = osapi.Settings(ack_wait=1.5, heartbeat=0.5, registry_ttl=30.0)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "log")


@pytest.mark.parametrize(("driver", "cycles"), [("native", 10), ("nats-py", 2)])
async def test_every_job_ends_once_though_the_server_is_killed(
    driver: str, cycles: int, private_server: Server, log: Log
) -> None:
    found = await outages(
        private_server, SETTINGS, Random(1), log, driver=driver, cycles=range(cycles), up=0.2, down=0.1
    )
    assert not found.problems
    assert found.counts["jobs"] > cycles
    assert len(found.times["deaf by name"]) == 4 * cycles, "each agent answered after each restart"


@pytest.mark.parametrize("signed", [False, True])
async def test_jobs_of_killed_agents_are_taken_over_or_expire(
    private_server: Server, tmp_path: Path, *, signed: bool
) -> None:
    settings = osapi.Settings(ack_wait=1.0, heartbeat=0.5, registry_ttl=3.0)
    given_up = {f"slots {status}" for status in (SlotStatus.EXPIRED, SlotStatus.UNREACHABLE)}
    seen: set[str] = set()
    for seed in range(1, 11):  # whom a kill meets is chance: as many rounds as it takes to see both ends
        found = await killed_agents(
            private_server,
            settings,
            Random(seed),
            Log(tmp_path / str(seed)),
            driver="native",
            cycles=range(2),
            within=4.0,
            signed=tmp_path / "keys" if signed else None,
        )
        assert not found.problems
        assert all((tmp_path / "keys" / f"{host}.journal").exists() is signed for host in "abxy")
        seen |= {"taken over" for _ in found.times.get("taken over, after the claim", ())}
        seen |= {"given up" for _ in given_up & found.counts.keys()}
        if len(seen) == 2:
            return
    pytest.fail(f"of jobs taken over and jobs given up only these were seen: {seen}")


@pytest.mark.usefixtures("nats_binary")
async def test_a_fleet_answers_broadcasts_by_the_command_for_long_runs() -> None:
    options = ["fleet", "--agents", "50", "--processes", "2", "--driver", "native"]
    ended = await trio.run_process([sys.executable, "-m", "tests.soak", *options], capture_stdout=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert b"fleet (native, 50 agents in 2 processes)" in ended.stdout
    assert b"consumers 51" in ended.stdout
