"""Every answer's type; the description of the API is drawn from these.

Times are RFC 3339 in UTC. A payload or result is whatever JSON value the operation has.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

import osapi

Outcome = Literal["ok", "failed", "skipped"]

# A moment in a query, whose values are all text: read as numbers may be, 0.5 would be a moment as well.
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]

# --- Jobs ----------------------------------------------------------------------------------------------------


class JobQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which jobs to list; those that were created from `since` on and before `until`."""

    status: osapi.JobStatus | None = None
    operation: str | None = None
    target: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    offset: Annotated[int, Meta(ge=0, le=2**53)] = 0


class JobOperation(Struct, frozen=True, kw_only=True):
    """What a job does."""

    type: str
    data: Any


class HostResponse(Struct, frozen=True, kw_only=True):
    """What one host answered."""

    hostname: str
    status: osapi.SlotStatus
    changed: bool
    data: Any
    error: str


class AgentState(Struct, frozen=True, kw_only=True):
    """Where one host stands; `duration` is the time of its last attempt, such as `1.250s`."""

    status: osapi.SlotStatus
    error: str
    duration: str


class TimelineEvent(Struct, frozen=True, kw_only=True):
    """One line of a job's story."""

    timestamp: str
    event: str
    hostname: str
    message: str
    error: str


class JobDetail(Struct, frozen=True, kw_only=True):
    """A job as it is stored.

    `hostname`, `result` and `changed` are those of a job with one answer; of several, `responses` has them. `expected`
    lists the hosts that a job was frozen for, and is null for one of N.
    """

    id: str
    status: osapi.JobStatus
    created: str
    updated_at: str
    operation: JobOperation
    target: str
    expected: tuple[str, ...] | None
    hostname: str
    result: Any
    changed: bool
    error: str
    responses: dict[str, HostResponse]
    agent_states: dict[str, AgentState]
    timeline: tuple[TimelineEvent, ...]
    attempts: int
    deadline: str
    retry_of: str | None
    retried_as: str | None


class JobList(Struct, frozen=True, kw_only=True):
    """A page of jobs, newest first; `total_items` counts those that match, `status_counts` all there are."""

    total_items: int
    status_counts: dict[str, int]
    items: tuple[JobDetail, ...]


class RetryRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom the job shall go to this time; its own target by default."""

    target_hostname: str | None = None


class JobCreated(Struct, frozen=True, kw_only=True):
    """A job that was submitted."""

    job_id: str
    status: Literal["created"] = "created"
    revision: int
    timestamp: str


class JobAccepted(Struct, frozen=True, kw_only=True):
    """A job whose answers were not waited for; `Location` says where they will be."""

    job_id: str


class HostResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one host answered to an operation; `data` is missing unless it is `ok`."""

    hostname: str
    status: Outcome
    changed: bool
    error: str | UnsetType = UNSET
    data: Any = UNSET


class Results(Struct, frozen=True, kw_only=True):
    """The answers to an operation, by host, those that stayed silent included."""

    job_id: str
    results: tuple[HostResult, ...]


# --- Events --------------------------------------------------------------------------------------------------


class JobEvent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a job's story as it happens; `progress`, from 0 to 1, is there if a host told any."""

    job_id: str
    timestamp: str
    event: str
    hostname: str
    message: str
    error: str
    progress: float | UnsetType = UNSET


class JobOutput(Struct, frozen=True, kw_only=True):
    """A piece of what a host writes; `dropped` counts the bytes that are missing, at the end of an attempt."""

    job_id: str
    hostname: str
    attempt: int
    stream: Literal["stdout", "stderr"]
    text: str
    dropped: int


class JobEnd(Struct, frozen=True, kw_only=True):
    """The last event of a job."""

    job_id: str
    status: osapi.JobStatus
    summary: str


class JobChanged(Struct, frozen=True, kw_only=True):
    """A job that has come to a status."""

    job_id: str
    status: osapi.JobStatus
    operation: str
    target: str
    timestamp: str


class AgentChanged(Struct, frozen=True, kw_only=True):
    """An agent that came, changed its state, or went; one that went is `NotReady`."""

    hostname: str
    state: Literal["Ready", "Draining", "Cordoned", "Pending"]
    status: Literal["Ready", "NotReady"]


# --- Health --------------------------------------------------------------------------------------------------


class Alive(Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whether requests can be served."""

    status: Literal["ready", "not_ready"]
    error: str | UnsetType = UNSET


class Component(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that the API stands on."""

    status: Literal["ok", "error"]
    error: str | UnsetType = UNSET


class StreamFigures(Struct, frozen=True, kw_only=True):
    """What a stream holds."""

    name: str
    messages: int
    bytes: int
    consumers: int


class BucketFigures(Struct, frozen=True, kw_only=True):
    """What a bucket holds."""

    name: str
    keys: int
    bytes: int


class ConsumerFigures(Struct, frozen=True, kw_only=True):
    """Where a consumer stands."""

    name: str
    pending: int
    ack_pending: int
    redelivered: int


class Consumers(Struct, frozen=True, kw_only=True):
    """The consumers of the stream of jobs."""

    total: int
    consumers: tuple[ConsumerFigures, ...]


class JobFigures(Struct, frozen=True, kw_only=True):
    """How many jobs there are; `processing` includes those that wait for another attempt, `dlq` counts dead letters."""

    total: int
    unprocessed: int
    processing: int
    completed: int
    failed: int
    dlq: int


class AgentLine(Struct, frozen=True, kw_only=True):
    """One agent; `registered` is how long ago it started, such as `1h5m0s`."""

    hostname: str
    labels: dict[str, str]
    registered: str


class AgentFigures(Struct, frozen=True, kw_only=True):
    """Who is there."""

    total: int
    ready: int
    agents: tuple[AgentLine, ...]


class RegistryLine(Struct, frozen=True, kw_only=True):
    """One agent that is there or known and away; `status` is its state, or `NotReady`.

    `conditions` names those that are true. `cpu_percent` of one processor and `mem_bytes` are those of its process.
    """

    type: Literal["agent"] = "agent"
    hostname: str
    status: str
    conditions: tuple[str, ...]
    age: str
    cpu_percent: float | None
    mem_bytes: int | None


class Broker(Struct, frozen=True, kw_only=True):
    """The broker that this server is connected to, or was last."""

    url: str
    version: str


class Status(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All of it; what could not be read is missing, and `components` says why. There are no object stores."""

    status: Literal["ok", "degraded"]
    version: str
    uptime: str
    components: dict[str, Component]
    nats: Broker
    streams: tuple[StreamFigures, ...] = ()
    kv_buckets: tuple[BucketFigures, ...] = ()
    object_stores: tuple[BucketFigures, ...]
    consumers: Consumers | UnsetType = UNSET
    jobs: JobFigures | UnsetType = UNSET
    agents: AgentFigures
    registry: tuple[RegistryLine, ...] = ()
