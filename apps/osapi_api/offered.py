"""All endpoints, in the order in which the description tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from osapi_api import (
    agents,
    audit_trail,
    dead_letters,
    domain,
    enrolment,
    facts,
    health,
    jobs,
    live,
    orders,
    rollouts,
    schedules,
)

if TYPE_CHECKING:
    import osapi
    from osapi_api.endpoints import Endpoint

# Those that are there whatever the registry holds.
FIXED: Final[tuple[Endpoint, ...]] = (
    *jobs.ENDPOINTS,
    *orders.JOB_ENDPOINTS,
    *live.ENDPOINTS,
    *dead_letters.ENDPOINTS,
    *agents.ENDPOINTS,
    *enrolment.ENDPOINTS,
    *orders.AGENT_ENDPOINTS,
    *facts.ENDPOINTS,
    *rollouts.ENDPOINTS,
    *schedules.ENDPOINTS,
    *audit_trail.ENDPOINTS,
    *health.ENDPOINTS,
)


def endpoints(operations: osapi.Operations) -> list[Endpoint]:
    """Return the endpoints of an API that offers these operations, without that of its description."""
    return [*FIXED, *domain.endpoints(operations)]
