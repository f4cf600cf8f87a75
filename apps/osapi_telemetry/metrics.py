"""The figures, under the names of the Go system."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from osapi import SlotStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from prometheus_client.metrics_core import Metric

    import osapi

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

# From a hostname that is read to a package that is installed, in seconds.
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """What one program tells, in a registry of its own.

    Give it what the program has, with `watch_client`, `watch_agent` and `subsystem`, and give `observe` to the agent.
    All but the durations is read when somebody asks for it, so that jobs do not pay for it.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._clients: list[osapi.Client] = []
        self._agents: list[osapi.Agent] = []
        self._subsystems: dict[str, Callable[[], bool]] = {}
        self._durations = Histogram(
            "osapi_job_duration_seconds",
            "How long attempts took here, from the claim to the stored answer",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.registry.register(_Figures(self._clients, self._agents, self._subsystems))

    def watch_client(self, client: osapi.Client) -> None:
        """Tell how many jobs a client has submitted."""
        self._clients.append(client)

    def watch_agent(self, agent: osapi.Agent) -> None:
        """Tell what an agent has done, what it does, and when it was last heard of."""
        self._agents.append(agent)

    def subsystem(self, name: str, is_up: Callable[[], bool]) -> None:
        """Tell whether a part of the program works, as `is_up` says when it is asked."""
        self._subsystems[name] = is_up

    @contextmanager
    def observe(self, attempt: osapi.Attempt) -> Generator[None]:
        """Time an attempt: `osapi.Agent(..., observer=metrics.observe)`."""
        with self._durations.time():
            yield

    def render(self) -> bytes:
        """Return all figures as `CONTENT_TYPE` has them."""
        return generate_latest(self.registry)


class _Figures(Collector):
    def __init__(
        self, clients: list[osapi.Client], agents: list[osapi.Agent], subsystems: dict[str, Callable[[], bool]]
    ) -> None:
        self._clients = clients
        self._agents = agents
        self._subsystems = subsystems

    def collect(self) -> Iterable[Metric]:
        """Read everything."""
        yield GaugeMetricFamily("osapi_component_up", "Whether this program runs", value=1)
        subsystems = GaugeMetricFamily("osapi_subsystem_up", "Whether a part of it works", labels=["subsystem"])
        for name, is_up in sorted(self._subsystems.items()):
            subsystems.add_metric([name], float(is_up()))
        yield subsystems
        if self._clients:
            created = sum(client.submitted for client in self._clients)
            yield CounterMetricFamily("osapi_jobs_created", "Jobs that were submitted here", value=created)
        if self._agents:
            yield from self._of_agents()

    def _of_agents(self) -> Iterable[Metric]:
        processed = CounterMetricFamily(
            "osapi_jobs_processed", "Attempts that ended here, by how they did", labels=["status"]
        )
        for status in SlotStatus:
            count = sum(agent.counters.slots[status] for agent in self._agents)
            if count:
                processed.add_metric([status], count)
        yield processed
        active = sum(agent.active for agent in self._agents)
        yield GaugeMetricFamily("osapi_jobs_active", "Jobs that are claimed, run or answered now", value=active)
        age = max(agent.heartbeat_age for agent in self._agents)
        yield GaugeMetricFamily("osapi_heartbeat_age_seconds", "Since the last heartbeat that was stored", value=age)
