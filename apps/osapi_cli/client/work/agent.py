"""What `osapi client agent` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osapi_cli import exits, output
from osapi_cli.client import shapes
from osapi_cli.client.http import ask, part
from osapi_cli.client.tables import compact
from osapi_cli.output import Heading, Paragraph, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from osapi_cli.group import Flags
    from osapi_cli.output import Block


def list_agents(flags: Flags) -> int:
    """Show all agents."""
    answer = ask(flags, "GET", "/agent")
    found = answer.read(shapes.AgentList)
    if flags.json:
        output.show_json(answer.body)
    else:
        output.show([*_list(found)])
    return exits.OK


def _list(found: shapes.AgentList) -> Iterator[Block]:
    if found.agents:
        yield Table(
            columns=("HOSTNAME", "STATUS", "STATE", "LABELS", "JOBS", "STARTED"),
            right=frozenset({"JOBS"}),
            times=frozenset({"STARTED"}),
            rows=[
                (agent.hostname, agent.status, agent.state, _pairs(agent.labels), _jobs(agent), agent.started_at)
                for agent in found.agents
            ],
        )
    ready = sum(agent.status == "Ready" and agent.state == "Ready" for agent in found.agents)
    yield Paragraph(f"{found.total} agent{'' if found.total == 1 else 's'}: {ready} ready")


def _pairs(values: Mapping[str, str]) -> str:
    return ", ".join(f"{key}:{value}" for key, value in sorted(values.items()))


def _jobs(agent: shapes.Agent) -> str:
    return "" if agent.active_jobs is None else f"{agent.active_jobs}/{agent.max_jobs}"


def get(flags: Flags, hostname: str) -> int:
    """Show one agent."""
    answer = ask(flags, "GET", f"/agent/{part(hostname)}")
    found = answer.read(shapes.Agent)
    if flags.json:
        output.show_json(answer.body)
    else:
        output.show([*_detail(found)])
    return exits.OK


def _detail(agent: shapes.Agent) -> Iterator[Block]:
    yield Heading(f"Agent {agent.hostname}")
    yield Table(rows=[(name, value) for name, value in _facts(agent) if value])
    if agent.conditions:
        yield Heading("Conditions")
        yield Table(
            columns=("CONDITION", "STATUS", "SINCE", "REASON"),
            times=frozenset({"SINCE"}),
            rows=[(c.type, compact(c.status), c.last_transition_time, c.reason) for c in agent.conditions],
        )
    if agent.timeline:
        yield Heading("Timeline")
        yield Table(
            columns=("TIME", "EVENT", "MESSAGE"),
            rows=[(e.timestamp, e.event, e.error or e.message) for e in agent.timeline],
        )
    if agent.facts:
        yield Heading("Facts")
        yield Table(rows=[(name, compact(value)) for name, value in sorted(agent.facts.items())])
    if agent.operations:
        yield Heading("Operations")
        yield Table(rows=[(name,) for name in agent.operations])


def _facts(agent: shapes.Agent) -> Iterator[tuple[str, str]]:
    yield "Status", agent.status
    yield "State", agent.state
    yield "Labels", _pairs(agent.labels)
    yield "Jobs", _jobs(agent)
    yield "Started", agent.started_at
    yield "Last heartbeat", agent.last_heartbeat
    if agent.os_info:
        yield "System", f"{agent.os_info.distribution} {agent.os_info.version}".strip()
    yield "Machine id", agent.machine_id
    yield "Fingerprint", agent.fingerprint


def order(flags: Flags, hostname: str, verb: str, **query: str | None) -> int:
    """Tell an agent something, or something about it, and show what the server says to that."""
    answer = ask(flags, "POST", f"/agent/{part(hostname)}/{verb}", query=query)
    said = answer.read(shapes.Message)
    if flags.json:
        output.show_json(answer.body)
    else:
        output.show([Paragraph(said.message)])
    return exits.OK


def pending(flags: Flags) -> int:
    """Show who waits to be accepted."""
    answer = ask(flags, "GET", "/agent/pending")
    found = answer.read(shapes.PendingList)
    if flags.json:
        output.show_json(answer.body)
        return exits.OK
    table = Table(
        columns=("HOSTNAME", "FINGERPRINT", "MACHINE ID", "REQUESTED"),
        whole=frozenset({"FINGERPRINT"}),
        times=frozenset({"REQUESTED"}),
        rows=[(each.hostname, each.fingerprint, each.machine_id, each.requested_at) for each in found.agents],
    )
    count = Paragraph(f"{found.total} agent{'' if found.total == 1 else 's'} to be accepted or rejected")
    output.show([table, count] if found.agents else [count])
    return exits.OK
