"""What `osapi client agent` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from osapi_cli import exits, output
from osapi_cli.client import agent_shapes, shapes
from osapi_cli.client.http import ask, part
from osapi_cli.client.tables import compact
from osapi_cli.human import duration, share, size
from osapi_cli.output import Heading, Paragraph, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from osapi_cli.group import Flags
    from osapi_cli.output import Block


# Facts that are shown elsewhere.
_SHOWN: Final = frozenset(
    {"arch", "cpu_count", "fqdn", "interface", "interfaces", "kernel", "memory", "os", "package_mgr", "routes"}
    | {"service_mgr"}
)

_IF_TOLD: Final = frozenset({"CONDITIONS", "LOAD", "MEMORY"})


def list_agents(flags: Flags) -> int:
    """Show all agents."""
    answer = ask(flags, "GET", "/agent")
    found = answer.read(agent_shapes.AgentList)
    output.present(answer.body, _list(found), as_json=flags.json)
    return exits.OK


def _list(found: agent_shapes.AgentList) -> Iterator[Block]:
    if found.agents:
        rows = [_row(agent) for agent in found.agents]
        # What no agent tells has no column.
        columns = [name for name in rows[0] if name not in _IF_TOLD or any(row[name] for row in rows)]
        yield Table(
            columns=columns,
            right=frozenset({"JOBS", "LOAD", "MEMORY"}),
            times=frozenset({"STARTED"}),
            rows=[[row[name] for name in columns] for row in rows],
        )
    ready = sum(agent.status == "Ready" and agent.state == "Ready" for agent in found.agents)
    yield Paragraph(f"{found.total} agent{'' if found.total == 1 else 's'}: {ready} ready")


def _row(agent: agent_shapes.Agent) -> dict[str, str]:
    return {
        "HOSTNAME": agent.hostname,
        "STATUS": agent.status,
        "STATE": agent.state,
        "CONDITIONS": ", ".join(condition.type for condition in agent.conditions if condition.status is True),
        "LABELS": _pairs(agent.labels),
        "JOBS": _jobs(agent),
        "LOAD": f"{agent.load_average.one:.2f}" if agent.load_average else "",
        "MEMORY": share(agent.memory.used, agent.memory.total) if agent.memory else "",
        "STARTED": agent.started_at,
    }


def _pairs(values: Mapping[str, str]) -> str:
    return ", ".join(f"{key}:{value}" for key, value in sorted(values.items()))


def _jobs(agent: agent_shapes.Agent) -> str:
    return "" if agent.active_jobs is None else f"{agent.active_jobs}/{agent.max_jobs}"


def get(flags: Flags, hostname: str) -> int:
    """Show one agent."""
    answer = ask(flags, "GET", f"/agent/{part(hostname)}")
    found = answer.read(agent_shapes.Agent)
    output.present(answer.body, _detail(found), as_json=flags.json)
    return exits.OK


def _detail(agent: agent_shapes.Agent) -> Iterator[Block]:
    yield Heading(f"Agent {agent.hostname}")
    yield Table(rows=[(name, value) for name, value in _facts(agent) if value])
    if agent.conditions:
        yield Heading("Conditions")
        yield Table(
            columns=("CONDITION", "STATUS", "SINCE", "REASON"),
            times=frozenset({"SINCE"}),
            rows=[(c.type, "yes" if c.status else "no", c.last_transition_time, c.reason) for c in agent.conditions],
        )
    if agent.timeline:
        yield Heading("Timeline")
        yield Table(
            columns=("TIME", "EVENT", "MESSAGE"),
            rows=[(e.timestamp, e.event, e.error or e.message) for e in agent.timeline],
        )
    yield from _network(agent)
    own = {name: value for name, value in agent.facts.items() if name not in _SHOWN}
    if own:
        yield Heading("Facts")
        yield Table(rows=[(name, compact(value)) for name, value in sorted(own.items())])
    if agent.operations:
        yield Heading("Operations")
        yield Table(rows=[(name,) for name in agent.operations])


def _network(agent: agent_shapes.Agent) -> Iterator[Block]:
    if agent.interfaces:
        yield Heading("Interfaces")
        yield Table(
            columns=("INTERFACE", "ADDRESSES", "MAC"),
            rows=[(each.name, ", ".join(each.addresses), each.mac) for each in agent.interfaces],
        )
    if agent.routes:
        yield Heading("Routes")
        yield Table(
            columns=("DESTINATION", "GATEWAY", "INTERFACE", "METRIC"),
            right=frozenset({"METRIC"}),
            rows=[(each.destination, each.gateway, each.interface, str(each.metric)) for each in agent.routes],
        )


def _facts(agent: agent_shapes.Agent) -> Iterator[tuple[str, str]]:
    yield "Status", agent.status
    yield "State", agent.state
    yield "Labels", _pairs(agent.labels)
    yield "Jobs", _jobs(agent)
    yield "Registered", agent.registered_at
    yield "Started", agent.started_at
    yield "Last heartbeat", agent.last_heartbeat
    yield from _host(agent)
    yield "Machine id", agent.machine_id
    yield "Fingerprint", agent.fingerprint


def _host(agent: agent_shapes.Agent) -> Iterator[tuple[str, str]]:
    if agent.os_info:
        yield "System", f"{agent.os_info.distribution} {agent.os_info.version}".strip()
    yield "Kernel", f"{agent.kernel_version} {agent.architecture}".strip()
    yield "Name", agent.fqdn
    yield "Uptime", "" if agent.uptime is None else duration(agent.uptime)
    if agent.load_average:
        load = agent.load_average
        cpus = f" on {agent.cpu_count} cpus" if agent.cpu_count else ""
        yield "Load", f"{load.one:.2f} {load.five:.2f} {load.fifteen:.2f}{cpus}"
    if agent.memory:
        used, total = agent.memory.used, agent.memory.total
        yield "Memory", f"{size(used)} of {size(total)} used ({share(used, total)})"
    if agent.mem_bytes is not None:
        yield "Agent uses", f"{size(agent.mem_bytes)}, {agent.cpu_percent or 0:g} % of a processor"
    yield "Services", agent.service_mgr
    yield "Packages", agent.package_mgr
    yield "Interface", agent.primary_interface


def order(flags: Flags, hostname: str, verb: str, **query: str | None) -> int:
    """Tell an agent something, or something about it, and show what the server says to that."""
    answer = ask(flags, "POST", f"/agent/{part(hostname)}/{verb}", query=query)
    said = answer.read(shapes.Message)
    output.present(answer.body, [Paragraph(said.message)], as_json=flags.json)
    return exits.OK


def pending(flags: Flags) -> int:
    """Show who waits to be accepted."""
    answer = ask(flags, "GET", "/agent/pending")
    found = answer.read(agent_shapes.PendingList)
    table = Table(
        columns=("HOSTNAME", "FINGERPRINT", "MACHINE ID", "REQUESTED"),
        whole=frozenset({"FINGERPRINT"}),
        times=frozenset({"REQUESTED"}),
        rows=[(each.hostname, each.fingerprint, each.machine_id, each.requested_at) for each in found.agents],
    )
    count = Paragraph(f"{found.total} agent{'' if found.total == 1 else 's'} to be accepted or rejected")
    output.present(answer.body, [table, count] if found.agents else [count], as_json=flags.json)
    return exits.OK
