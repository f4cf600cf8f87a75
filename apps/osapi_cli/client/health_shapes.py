"""What the server answers about itself, as far as it is shown; what it leaves out has a default."""

from __future__ import annotations

from msgspec import Struct, field


class Health(Struct, frozen=True, kw_only=True):
    """How a server is."""

    status: str
    error: str = ""


class Component(Struct, frozen=True, kw_only=True):
    """One thing that a server stands on."""

    status: str = ""
    error: str = ""


class Broker(Struct, frozen=True, kw_only=True):
    """The broker that a server is connected to."""

    url: str = ""
    version: str = ""


class Figures(Struct, frozen=True, kw_only=True):
    """What a stream or bucket holds."""

    name: str = ""
    messages: int | None = None
    keys: int | None = None
    bytes: int = 0
    consumers: int | None = None


class Consumer(Struct, frozen=True, kw_only=True):
    """Where a consumer stands."""

    name: str = ""
    pending: int = 0
    ack_pending: int = 0
    redelivered: int = 0


class Consumers(Struct, frozen=True, kw_only=True):
    """The consumers of the stream of jobs."""

    total: int = 0
    consumers: list[Consumer] = field(default_factory=list[Consumer])


class AgentFigures(Struct, frozen=True, kw_only=True):
    """How many agents there are."""

    total: int = 0
    ready: int = 0


class RegistryLine(Struct, frozen=True, kw_only=True):
    """One entry of the registry."""

    type: str = ""
    hostname: str = ""
    status: str = ""
    age: str = ""
    conditions: list[str] = field(default_factory=list[str])
    cpu_percent: float | None = None
    mem_bytes: int | None = None


class HealthStatus(Struct, frozen=True, kw_only=True):
    """All that there is to see of a server."""

    status: str
    version: str = ""
    uptime: str = ""
    components: dict[str, Component] = field(default_factory=dict[str, Component])
    nats: Broker = Broker()
    streams: list[Figures] = field(default_factory=list[Figures])
    kv_buckets: list[Figures] = field(default_factory=list[Figures])
    consumers: Consumers | None = None
    jobs: dict[str, int] = field(default_factory=dict[str, int])
    agents: AgentFigures = AgentFigures()
    registry: list[RegistryLine] = field(default_factory=list[RegistryLine])
