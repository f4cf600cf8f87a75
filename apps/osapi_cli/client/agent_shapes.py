"""The parts of answers about agents that the client reads; what it does not know it passes over."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from osapi_cli.client.shapes import LoadAverage, MemoryInfo, OsInfo, TimelineEvent


class Condition(Struct, frozen=True, kw_only=True):
    """Something that is so or not so of a host."""

    type: str = ""
    status: Any = None
    reason: str = ""
    last_transition_time: str = ""


class Interface(Struct, frozen=True, kw_only=True):
    """A network interface."""

    name: str = ""
    addresses: list[str] = field(default_factory=list[str])
    mac: str = ""


class Route(Struct, frozen=True, kw_only=True):
    """Where a network is reached."""

    destination: str = ""
    gateway: str = ""
    interface: str = ""
    metric: int = 0


class Agent(Struct, frozen=True, kw_only=True):
    """An agent as it describes itself."""

    hostname: str
    status: str = ""
    state: str = ""
    labels: dict[str, str] = field(default_factory=dict[str, str])
    started_at: str = ""
    last_heartbeat: str = ""
    max_jobs: int | None = None
    active_jobs: int | None = None
    operations: list[str] = field(default_factory=list[str])
    os_info: OsInfo | None = None
    machine_id: str = ""
    fingerprint: str = ""
    registered_at: str = ""
    uptime: float | None = None
    load_average: LoadAverage | None = None
    memory: MemoryInfo | None = None
    cpu_percent: float | None = None
    mem_bytes: int | None = None
    architecture: str = ""
    kernel_version: str = ""
    cpu_count: int | None = None
    fqdn: str = ""
    service_mgr: str = ""
    package_mgr: str = ""
    primary_interface: str = ""
    interfaces: list[Interface] = field(default_factory=list[Interface])
    routes: list[Route] = field(default_factory=list[Route])
    conditions: list[Condition] = field(default_factory=list[Condition])
    timeline: list[TimelineEvent] = field(default_factory=list[TimelineEvent])
    facts: dict[str, Any] = field(default_factory=dict[str, Any])


class AgentList(Struct, frozen=True, kw_only=True):
    """All registered agents."""

    agents: list[Agent]
    total: int


class PendingAgent(Struct, frozen=True, kw_only=True):
    """An agent that waits to be accepted."""

    hostname: str = ""
    fingerprint: str = ""
    machine_id: str = ""
    requested_at: str = ""


class PendingList(Struct, frozen=True, kw_only=True):
    """Who waits to be accepted."""

    agents: list[PendingAgent]
    total: int
