"""An agent in the words of the API: from its registration, what is remembered of it, and its facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from osapi_api import agent_shapes as shapes
from osapi_api.views import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    import osapi

T = TypeVar("T")


def agent_info(agent: osapi.AgentDetail) -> shapes.AgentInfo:
    """Return all that is known of an agent. Facts come from the agent: what is none of ours stays among `facts`."""
    registration, known, facts = agent.registration, agent.known, agent.facts
    told = registration or known
    if told is None:
        raise ValueError(agent.hostname)  # whoever is neither there nor known is no agent
    vitals = None if registration is None else registration.vitals
    load = None if vitals is None else vitals.load
    memory = None if vitals is None else vitals.memory
    started = registration.started if registration else known.seen if known else 0.0
    return shapes.AgentInfo(
        hostname=agent.hostname,
        status=agent.status,
        state=registration.state if registration else None,
        machine_id=told.machine_id,
        fingerprint=told.fingerprint,
        labels=told.labels,
        registered_at=timestamp((known.first or known.seen) if known else started),
        started_at=timestamp(started),
        last_heartbeat=timestamp(registration.heartbeat) if registration else None,
        max_jobs=registration.max_jobs if registration else None,
        active_jobs=registration.active if registration else None,
        operations=tuple(sorted(told.operations)),
        uptime=vitals.uptime if vitals else None,
        load_average=shapes.LoadAverage(one=load[0], five=load[1], fifteen=load[2]) if load else None,
        memory=shapes.HostMemory(total=memory.total, free=memory.free, used=memory.used) if memory else None,
        cpu_percent=vitals.cpu_percent if vitals else None,
        mem_bytes=vitals.mem_bytes if vitals else None,
        os_info=_read(facts, "os", shapes.OsInfo),
        architecture=_read(facts, "arch", str),
        kernel_version=_read(facts, "kernel", str),
        cpu_count=_read(facts, "cpu_count", int),
        fqdn=_read(facts, "fqdn", str),
        service_mgr=_read(facts, "service_mgr", str),
        package_mgr=_read(facts, "package_mgr", str),
        primary_interface=_read(_read(facts, "interface", dict[str, Any]) or {}, "primary", str),
        interfaces=_read(facts, "interfaces", tuple[shapes.Interface, ...]) or (),
        routes=_read(facts, "routes", tuple[shapes.Route, ...]) or (),
        facts=facts,
        conditions=conditions(registration),
        timeline=tuple(
            shapes.AgentEvent(
                timestamp=timestamp(moment.at), event=moment.event, hostname=agent.hostname, message=moment.message
            )
            for moment in agent.timeline
        ),
    )


def conditions(registration: osapi.Registration | None) -> tuple[shapes.Condition, ...]:
    """Return what an agent says of its host; nothing of one that is away."""
    if registration is None or registration.vitals is None:
        return ()
    return tuple(
        shapes.Condition(
            type=condition.type,
            status=condition.status,
            reason=condition.reason,
            last_transition_time=timestamp(condition.since),
        )
        for condition in registration.vitals.conditions
    )


def _read(facts: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    """Return a fact of a kind, None if there is none or it is another thing: an embedder's facts are its own."""
    if name not in facts:
        return None
    try:
        return msgspec.convert(facts[name], kind)
    except msgspec.ValidationError:
        return None
