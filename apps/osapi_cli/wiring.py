"""From the configuration to what the library, the backend and the API are given. Nothing is opened here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from msgspec.structs import replace

import osapi
from osapi.errors import InvalidInputError
from osapi.settings import Place, Places
from osapi_cli.configuration.kinds import YEAR
from osapi_cli.problems import ProblemError
from osapi_nats import Options as Broker

if TYPE_CHECKING:
    from osapi_agent import Thresholds
    from osapi_api import AuditSettings, Options, Security
    from osapi_cli.configuration import Configuration
    from osapi_cli.configuration.broker import Dlq as DeadLetters
    from osapi_cli.configuration.broker import Facts, Registry, State, Stream
    from osapi_cli.configuration.schema import Connection, Metrics
    from osapi_cli.configuration.schema import Pki as AnyPki

# As the library has them where nothing contradicts.
_WITHIN: Final = osapi.Settings().within
_HEARTBEAT: Final = osapi.Settings().heartbeat
_BEATS: Final = 3  # that fit into the life of a registration: one may get lost


@dataclass(frozen=True, slots=True)
class Listen:
    """An address to listen on; port 0 is any free one."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Notifying:
    """Who is told of conditions, a webhook or without a `url` the log; `renotify` in seconds, 0 for never."""

    url: str
    renotify: float

    def __repr__(self) -> str:
        return f"Notifying(url={'***' if self.url else ''!r}, renotify={self.renotify!r})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pki:
    """The folder in which a program keeps its keys, and whether a controller accepts every agent.

    A key that another takes the place of counts for `grace` seconds more.
    """

    key_dir: Path
    grace: float
    auto_accept: bool = False


@dataclass(frozen=True, slots=True)
class Tracing:
    """Where spans go; the endpoint is that of a collector."""

    exporter: Literal["stdout", "otlp"]
    endpoint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ControllerPlan:
    """All that the controller is started with."""

    broker: Broker
    settings: osapi.Settings
    security: Security
    options: Options
    audit: AuditSettings
    api: Listen
    metrics: Listen | None
    notifying: Notifying | None
    pki: Pki | None
    tracing: Tracing | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AgentPlan:
    """All that an agent is started with; an empty `hostname` is that of the operating system."""

    broker: Broker
    settings: osapi.Settings
    hostname: str
    labels: dict[str, str]
    max_jobs: int
    metrics: Listen | None
    pki: Pki | None
    tracing: Tracing | None
    thresholds: Thresholds


def controller_plan(configuration: Configuration) -> ControllerPlan:
    """Return what the controller is started with.

    Raises:
        ProblemError: a key is missing, or has a value that the API refuses.

    """
    controller = configuration.controller
    return ControllerPlan(
        broker=broker(controller.nats),
        settings=_settings_in(configuration, controller.nats),
        security=security(configuration),
        options=_options(configuration),
        audit=_audit(configuration),
        api=Listen(controller.api.host, controller.api.port),
        metrics=_metrics(controller.metrics),
        notifying=_notifying(configuration),
        pki=_pki(controller.pki, grace=controller.pki.rotation_grace_period, auto_accept=controller.pki.auto_accept),
        tracing=_tracing(configuration),
    )


def agent_plan(configuration: Configuration) -> AgentPlan:
    """Return what an agent is started with."""
    agent = configuration.agent
    kept = _settings_in(configuration, agent.nats)
    return AgentPlan(
        broker=broker(agent.nats),
        settings=kept,
        hostname=agent.hostname,
        labels=agent.labels,
        max_jobs=agent.max_jobs,
        metrics=_metrics(agent.metrics),
        pki=_pki(agent.pki, grace=min(kept.job_ttl, YEAR)),  # what it has answered stays readable
        tracing=_tracing(configuration),
        thresholds=_thresholds(configuration),
    )


def settings(configuration: Configuration) -> osapi.Settings:
    """Return what the controller and all agents must have in common; both read the same keys for it.

    A job and its notification have one lifetime, the shorter of the two that are configured.
    """
    nats, agent = configuration.nats, configuration.agent
    job_ttl = min(nats.kv.ttl, nats.stream.max_age)
    return osapi.Settings(
        stream=nats.stream.name,
        job_bucket=nats.kv.bucket,
        response_bucket=nats.kv.response_bucket,
        registry_bucket=nats.registry.bucket,
        facts_bucket=nats.facts.bucket,
        state_bucket=nats.state.bucket,
        dead_letter_stream=f"{nats.stream.name}-DLQ",
        schedule_stream=f"{nats.stream.name}-SCHEDULES",
        job_ttl=job_ttl,
        within=min(_WITHIN, job_ttl),
        max_bytes=_limit(nats.kv.max_bytes),
        max_msgs=_limit(nats.stream.max_msgs),
        policy=_policy(configuration),
        ack_wait=agent.consumer.ack_wait,
        max_ack_pending=agent.consumer.max_ack_pending,
        registry_ttl=nats.registry.ttl,
        heartbeat=min(_HEARTBEAT, nats.registry.ttl / _BEATS),
        facts_ttl=nats.facts.ttl,
        facts_interval=agent.facts.interval,
        dead_letter_ttl=nats.dlq.max_age,
        dead_letter_max_msgs=_limit(nats.dlq.max_msgs),
        storage=nats.kv.storage,
        replicas=nats.kv.replicas,
        places=Places(
            stream=_place(nats.stream),
            registry=_place(nats.registry),
            facts=_place(nats.facts),
            state=_place(nats.state),
            dead_letters=_place(nats.dlq),
        ),
    )


def _settings_in(configuration: Configuration, connection: Connection) -> osapi.Settings:
    # What is signed in one namespace counts in no other, though they have the same keys.
    return replace(settings(configuration), fleet=connection.namespace)


def broker(connection: Connection) -> Broker:
    """Return how a NATS server is reached, with the credentials of the type that is configured and no others."""
    auth = connection.auth
    host = f"[{connection.host}]" if ":" in connection.host else connection.host
    by_password = auth.type == "user_pass"
    return Broker(
        servers=(f"{host}:{connection.port}",),
        name=connection.client_name,
        namespace=connection.namespace,
        user=auth.username if by_password else "",
        password=auth.password if by_password else "",
        token=auth.token if auth.type == "token" else "",
        nkey=auth.nkey_file if auth.type == "nkey" else "",
        creds=auth.creds_file if auth.type == "creds" else "",
    )


def security(configuration: Configuration) -> Security:
    """Return the key that tokens are signed with, and the roles they may name.

    Raises:
        ProblemError: there is no key.

    """
    from osapi_api.security import Security  # noqa: PLC0415 - the API takes a while

    configured = configuration.controller.api.security
    try:
        return Security(
            configured.signing_key, roles={name: role.permissions for name, role in configured.roles.items()}
        )
    except InvalidInputError as error:
        raise _problem("controller.api.security", error) from error


def with_key(configuration: Configuration, key: str) -> Configuration:
    """Return a configuration that has this signing key."""
    controller = configuration.controller
    security = replace(controller.api.security, signing_key=key)
    return replace(configuration, controller=replace(controller, api=replace(controller.api, security=security)))


def _options(configuration: Configuration) -> Options:
    from osapi_api.options import Options  # noqa: PLC0415

    api = configuration.controller.api
    try:
        return Options(job_timeout=api.job_timeout, allow_origins=api.security.cors.allow_origins)
    except InvalidInputError as error:
        raise _problem("controller.api.security.cors.allow_origins", error) from error


def _audit(configuration: Configuration) -> AuditSettings:
    from osapi_api.audit import AuditSettings  # noqa: PLC0415

    audit = configuration.nats.audit
    return AuditSettings(
        stream=audit.stream,
        subject=audit.subject,
        max_age=audit.max_age,
        max_bytes=_limit(audit.max_bytes),
        storage=audit.storage,
        replicas=audit.replicas,
    )


def _problem(path: str, error: InvalidInputError) -> ProblemError:
    return ProblemError("", path, f"{error.value!r} {error.problem}", error.remedy)


def _policy(configuration: Configuration) -> osapi.Policy:
    """Return how often an operation is tried that does not say so itself.

    The key's name is that of deliveries, and all that its author wants to bound by it is how often a job starts: after
    a transient error, or after its agent fell silent.
    """
    consumer = configuration.agent.consumer
    return osapi.Policy(attempts=consumer.max_deliver, takeovers=consumer.max_deliver - 1, pauses=consumer.back_off)


def _notifying(configuration: Configuration) -> Notifying | None:
    notifications = configuration.controller.notifications
    if not notifications.enabled:
        return None
    url = notifications.url if notifications.notifier == "webhook" else ""
    return Notifying(url, notifications.renotify_interval)


def _thresholds(configuration: Configuration) -> Thresholds:
    from osapi_agent.conditions import Thresholds  # noqa: PLC0415 - the operations take a while

    agent = configuration.agent
    return Thresholds(
        memory_percent=agent.conditions.memory_pressure_threshold,
        load_per_cpu=agent.conditions.high_load_multiplier,
        disk_percent=agent.conditions.disk_pressure_threshold,
        process_bytes=agent.process_conditions.memory_pressure_bytes,
        process_cpu_percent=agent.process_conditions.high_cpu_percent,
    )


def _place(kept: Stream | Registry | Facts | State | DeadLetters) -> Place:
    return Place(storage=kept.storage, replicas=kept.replicas)


def _metrics(metrics: Metrics) -> Listen | None:
    return Listen(metrics.host, metrics.port) if metrics.enabled else None


def _pki(pki: AnyPki, *, grace: float, auto_accept: bool = False) -> Pki | None:
    return Pki(key_dir=Path(pki.key_dir), grace=grace, auto_accept=auto_accept) if pki.enabled else None


def _tracing(configuration: Configuration) -> Tracing | None:
    tracing = configuration.telemetry.tracing
    return Tracing(tracing.exporter, tracing.otlp_endpoint) if tracing.enabled and tracing.exporter else None


def _limit(limit: int) -> int:
    """Return a bound as the library has it: -1 for none, where the configuration may say 0, too."""
    return limit or -1
