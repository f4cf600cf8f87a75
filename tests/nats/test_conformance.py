"""The NATS backend keeps every guarantee on a real server, whichever client carries it."""

from __future__ import annotations

from functools import partial

import pytest

import osapi_nats
from osapi.conformance import CHECKS, run
from osapi_nats.options import DRIVERS

# The checks wait most of their time; on a machine of two cores more at once only make each other late.
_AT_ONCE = 12


@pytest.mark.parametrize("url", ["?driver={driver}", "?driver={driver}&namespace=prod"])
@pytest.mark.parametrize("driver", DRIVERS)
async def test_the_nats_backend_conforms(driver: str, url: str, nats_server: str) -> None:
    connect = partial(osapi_nats.open_transport, f"{nats_server}/{url.format(driver=driver)}")
    outcomes = await run(connect, concurrency=_AT_ONCE)
    assert len(outcomes) == len(CHECKS)
    assert not [str(outcome) for outcome in outcomes if not outcome.passed]
