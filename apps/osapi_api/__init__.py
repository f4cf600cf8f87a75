"""The HTTP API: a Quart app on Trio to deploy, or a blueprint to mount in an app of one's own."""

# The layout, in the order in which a request passes through it:
#
#   app.py        create_app, create_blueprint, and what answers where nothing is
#   options.py    how long, how much, which web pages
#   serving.py    hypercorn, in the caller's nursery; osapi_telemetry.connections and last_part.py mend what ends it
#                 or never ends
#   dispatch.py   the way of a request: its id, who asks, may they, the handler, the headers
#   cors.py       which web pages may ask
#   security.py   tokens: made, checked, and what they allow
#   inputs.py     what the request says: query and body, within bounds
#   idempotency.py  requests that are repeated, and submit nothing twice
#   endpoints.py  what an endpoint is, and what its handler is given; offered.py: which there are
#   routes.py     which path stands for which operation
#   domain.py     the operations; jobs.py, orders.py, dead_letters.py, rollouts.py, schedules.py, agents.py,
#                 enrolment.py, health.py: the rest
#   live.py       what happens as it happens, over streams.py: server-sent events
#   views.py      a stored job and an agent in the words of the API
#   shapes.py     those words: every answer's type
#   audit.py      who asked for what, kept beside the requests; audit_trail.py: to be read
#   problems.py   every error as application/problem+json
#   openapi.py    the description of it all, drawn from the same tables; docs_page.py, swagger/: shown to people

from __future__ import annotations

from osapi_api.app import create_app, create_blueprint
from osapi_api.audit import Audit, AuditSettings
from osapi_api.options import Options
from osapi_api.problems import ProblemError
from osapi_api.security import Identity, Security, TokenError
from osapi_api.serving import serve

__all__ = [
    "Audit",
    "AuditSettings",
    "Identity",
    "Options",
    "ProblemError",
    "Security",
    "TokenError",
    "create_app",
    "create_blueprint",
    "serve",
]
