"""Every key of the configuration: its type, its range, its default."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, field

from osapi_cli.configuration.broker import Nats
from osapi_cli.configuration.kinds import (
    DURATION,
    Count,
    Duration,
    Grace,
    OwnPort,
    Part,
    Percent,
    Period,
    Port,
    Secret,
    Text,
)

# --- What several programs have ------------------------------------------------------------------------------


class Metrics(Part, frozen=True, kw_only=True):
    """Where a program tells its figures."""

    enabled: bool = True
    host: Text = "127.0.0.1"
    port: OwnPort = 9090


class Auth(Part, frozen=True, kw_only=True):
    """Who we are to the NATS server."""

    type: Literal["none", "user_pass", "nkey", "creds", "token"] = "none"
    username: str = ""
    password: Secret = ""
    token: Secret = ""
    nkey_file: str = ""
    creds_file: str = ""


class Connection(Part, frozen=True, kw_only=True):
    """How to reach the NATS server."""

    host: Text = "localhost"
    port: Port = 4222
    client_name: str = "osapi-api"
    namespace: str = ""
    auth: Auth = Auth()


class Pki(Part, frozen=True, kw_only=True):
    """Signed jobs."""

    enabled: bool = False
    key_dir: str = ""


class ControllerPki(Pki, frozen=True, kw_only=True):
    """Signed jobs, and whom to believe."""

    auto_accept: bool = False
    rotation_grace_period: Grace = 3600.0


# --- controller ----------------------------------------------------------------------------------------------


class Cors(Part, frozen=True, kw_only=True):
    """Which web pages may ask."""

    allow_origins: tuple[str, ...] = ()


class Role(Part, frozen=True, kw_only=True):
    """A named set of permissions."""

    permissions: tuple[str, ...] = ()


class ApiSecurity(Part, frozen=True, kw_only=True):
    """How tokens are checked, and what they allow."""

    signing_key: Secret = ""
    cors: Cors = Cors()
    roles: dict[str, Role] = field(default_factory=dict[str, Role])


class Api(Part, frozen=True, kw_only=True):
    """The HTTP API."""

    host: Text = "127.0.0.1"
    port: OwnPort = 8080
    job_timeout: Annotated[float, Meta(ge=1, le=3600, extra=DURATION)] = 30.0
    security: ApiSecurity = ApiSecurity()


class ClientSecurity(Part, frozen=True, kw_only=True):
    """Who the command line is."""

    bearer_token: Secret = ""


class ApiClient(Part, frozen=True, kw_only=True):
    """Where the command line finds the API."""

    url: Text = "http://127.0.0.1:8080"
    security: ClientSecurity = ClientSecurity()


class Notifications(Part, frozen=True, kw_only=True):
    """What to do when a host's condition changes."""

    enabled: bool = False
    notifier: Literal["log", "webhook"] = "log"
    url: Secret = ""
    renotify_interval: Duration = 0.0


class Controller(Part, frozen=True, kw_only=True):
    """The program that serves the API."""

    api: Api = Api()
    nats: Connection = Connection()
    client: ApiClient = ApiClient()
    metrics: Metrics = Metrics()
    notifications: Notifications = Notifications()
    pki: ControllerPki = ControllerPki()


# --- agent ---------------------------------------------------------------------------------------------------


class Consumer(Part, frozen=True, kw_only=True):
    """How jobs come to an agent, and how often."""

    name: Text = "jobs-agent"
    max_deliver: Annotated[int, Meta(ge=1, le=100)] = 5
    ack_wait: Period = 120.0
    max_ack_pending: Count = 1000
    replay_policy: Literal["instant"] = "instant"
    back_off: tuple[Duration, ...] = (30.0, 120.0, 300.0, 900.0, 1800.0)


class AgentFacts(Part, frozen=True, kw_only=True):
    """How often an agent tells what its host is."""

    interval: Period = 60.0


class Conditions(Part, frozen=True, kw_only=True):
    """When a host counts as under pressure: per cent, and load per processor."""

    memory_pressure_threshold: Percent = 90
    high_load_multiplier: Annotated[float, Meta(gt=0, le=1000)] = 2.0
    disk_pressure_threshold: Percent = 90


class ProcessConditions(Part, frozen=True, kw_only=True):
    """When a process counts as too large; 0 is never."""

    memory_pressure_bytes: Annotated[int, Meta(ge=0, le=2**53)] = 0
    high_cpu_percent: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0


class PrivilegeEscalation(Part, frozen=True, kw_only=True):
    """Whether commands that change something run under sudo."""

    enabled: bool = False


class Agent(Part, frozen=True, kw_only=True):
    """The program that does jobs on its host; without a `hostname` it is the operating system's."""

    nats: Connection = Connection(client_name="osapi-agent")
    consumer: Consumer = Consumer()
    queue_group: Text = "job-agents"
    hostname: str = ""
    max_jobs: Annotated[int, Meta(ge=1, le=10_000)] = 10
    labels: dict[str, str] = field(default_factory=dict[str, str])
    facts: AgentFacts = AgentFacts()
    conditions: Conditions = Conditions()
    process_conditions: ProcessConditions = ProcessConditions()
    metrics: Metrics = Metrics(port=9091)
    privilege_escalation: PrivilegeEscalation = PrivilegeEscalation()
    pki: Pki = Pki()


# --- telemetry -----------------------------------------------------------------------------------------------


class Tracing(Part, frozen=True, kw_only=True):
    """Where traces go."""

    enabled: bool = False
    exporter: Literal["", "stdout", "otlp"] = ""
    otlp_endpoint: str = ""


class Telemetry(Part, frozen=True, kw_only=True):
    """What the programs tell of themselves."""

    tracing: Tracing = Tracing()


class Configuration(Part, frozen=True, kw_only=True):
    """The whole of it."""

    debug: bool = False
    controller: Controller = Controller()
    nats: Nats = Nats()
    agent: Agent = Agent()
    telemetry: Telemetry = Telemetry()


# Keys of the Go system's own files that mean nothing here, with all that is below them.
UNUSED: Final = frozenset(
    {
        "controller.ui",
        "nats.objects",
        "nats.file_state",
        "nats.enrollment",
        "nats.server.metrics",
    }
)
