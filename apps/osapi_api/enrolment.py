"""The endpoints that say which agents' keys wait, and decide about them."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta, Struct

import osapi
from osapi.errors import shown
from osapi.rules.names import normalise_hostname
from osapi_api.endpoints import Endpoint, Reply
from osapi_api.orders import Message, by_whom
from osapi_api.problems import Problem, ProblemError
from osapi_api.views import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osapi_api.endpoints import Call


_FINGERPRINT: Final = r"^[0-9a-f]{64}$"


class PendingAgent(Struct, frozen=True, kw_only=True):
    """A key that waits to be accepted; compare its fingerprint with the one that the host itself shows."""

    machine_id: str
    hostname: str
    fingerprint: str
    requested_at: str


class PendingAgents(Struct, frozen=True, kw_only=True):
    """All keys that wait, by hostname."""

    agents: tuple[PendingAgent, ...]
    total: int


class KeyQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which key is meant: needed where several wait, or another one is accepted."""

    fingerprint: Annotated[str, Meta(extra_json_schema={"pattern": _FINGERPRINT})] | None = None

    def __post_init__(self) -> None:
        """Refuse what is none, in better words than those of a pattern."""
        if self.fingerprint is not None and not re.search(_FINGERPRINT, self.fingerprint):
            raise ValueError(f"{shown(self.fingerprint)} is no fingerprint; give all its 64 digits, 0 to 9 and a to f")


async def list_pending(call: Call) -> Reply:
    """Return the keys that wait; without trust there are none."""
    enrolments = call.api.client.enrolments
    waiting = await enrolments.pending() if enrolments.possible else ()
    agents = tuple(
        PendingAgent(
            machine_id=one.machine_id,
            hostname=one.hostname,
            fingerprint=one.fingerprint,
            requested_at=timestamp(one.requested_at),
        )
        for one in waiting
    )
    return Reply(PendingAgents(agents=agents, total=len(agents)))


def _enrolled(call: Call) -> str:
    hostname = normalise_hostname(call.path["hostname"])
    if not call.api.client.enrolments.possible:
        raise ProblemError(400, "no agent needs to be accepted: this server has no keys of agents (controller.pki)")
    return hostname


async def accept_agent(call: Call) -> Reply:
    """Accept a key as that of an agent."""
    hostname = _enrolled(call)
    try:
        await call.api.client.enrolments.accept(hostname, fingerprint=call.query.fingerprint, by=by_whom(call.identity))
    except osapi.UnknownHostError as error:
        raise ProblemError(404, str(error)) from None
    return Reply(Message(message=f"{hostname} is accepted, and takes jobs from its next heartbeat on"))


async def reject_agent(call: Call) -> Reply:
    """Reject a key, or take the acceptance of one back."""
    hostname = _enrolled(call)
    try:
        await call.api.client.enrolments.reject(hostname, fingerprint=call.query.fingerprint, by=by_whom(call.identity))
    except osapi.UnknownHostError as error:
        raise ProblemError(404, str(error)) from None
    return Reply(Message(message=f"{hostname} is rejected: it takes no jobs, and its answers do not count"))


_DECIDED: Final[Mapping[int, Any]] = {200: Message, 400: Problem, 404: Problem}
_DECIDE = partial(Endpoint, method="POST", permission="agent:write", query=KeyQuery, answers=_DECIDED)

ENDPOINTS: Final = (
    Endpoint(
        name="list_pending_agents",
        method="GET",
        path="/agent/pending",
        summary="List the agents whose keys wait to be accepted",
        handler=list_pending,
        permission="agent:read",
        answers={200: PendingAgents},
    ),
    _DECIDE(
        name="accept_agent",
        path="/agent/<hostname>/accept",
        summary="Accept an agent's key",
        handler=accept_agent,
    ),
    _DECIDE(
        name="reject_agent",
        path="/agent/<hostname>/reject",
        summary="Reject an agent's key, or take its acceptance back",
        handler=reject_agent,
    ),
)
