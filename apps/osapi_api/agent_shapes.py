"""The types of answers about agents and their hosts; sizes are bytes, durations seconds, times RFC 3339."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field


class OsInfo(Struct, frozen=True, kw_only=True):
    """An operating system."""

    distribution: str
    version: str


class HostMemory(Struct, frozen=True, kw_only=True):
    """Physical memory."""

    total: int
    free: int
    used: int


class LoadAverage(Struct, frozen=True, kw_only=True):
    """The load over one, five and fifteen minutes."""

    one: float = field(name="1min")
    five: float = field(name="5min")
    fifteen: float = field(name="15min")


class Interface(Struct, frozen=True, kw_only=True):
    """A network interface."""

    name: str = ""
    addresses: tuple[str, ...] = ()
    mac: str = ""


class Route(Struct, frozen=True, kw_only=True):
    """Where a network is reached; without a gateway it is at the interface itself."""

    destination: str = ""
    gateway: str = ""
    interface: str = ""
    metric: int = 0


class Condition(Struct, frozen=True, kw_only=True):
    """Something that is so or not so of a host; `reason` says by which figures it is so."""

    type: str
    status: bool
    reason: str
    last_transition_time: str


class AgentEvent(Struct, frozen=True, kw_only=True):
    """Something that became of an agent."""

    timestamp: str
    event: str
    hostname: str
    message: str


class AgentInfo(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent and its host. What the agent does not tell is missing; one that is away tells nothing of its state.

    `registered_at` is when it came first, `started_at` when it last did; `timeline` is what became of it, oldest first,
    and empty in a list.
    """

    hostname: str
    status: Literal["Ready", "NotReady"]
    state: Literal["Ready", "Draining", "Cordoned", "Pending"] | None = None
    machine_id: str
    fingerprint: str
    labels: dict[str, str]
    registered_at: str
    started_at: str
    last_heartbeat: str | None = None
    max_jobs: int | None = None
    active_jobs: int | None = None
    operations: tuple[str, ...]
    uptime: float | None = None
    load_average: LoadAverage | None = None
    memory: HostMemory | None = None
    cpu_percent: float | None = None
    mem_bytes: int | None = None
    os_info: OsInfo | None = None
    architecture: str | None = None
    kernel_version: str | None = None
    cpu_count: int | None = None
    fqdn: str | None = None
    service_mgr: str | None = None
    package_mgr: str | None = None
    primary_interface: str | None = None
    interfaces: tuple[Interface, ...]
    routes: tuple[Route, ...]
    facts: dict[str, Any]
    conditions: tuple[Condition, ...]
    timeline: tuple[AgentEvent, ...]


class AgentList(Struct, frozen=True, kw_only=True):
    """All agents by hostname, those that are known and away included."""

    agents: tuple[AgentInfo, ...]
    total: int
