"""What the server answers, as far as the tables show it; what a server of another version leaves out has a default."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct, field

# --- Jobs ----------------------------------------------------------------------------------------------------


class JobOperation(Struct, frozen=True, kw_only=True):
    """What a job does."""

    type: str = ""
    data: Any = None


class HostResponse(Struct, frozen=True, kw_only=True):
    """What one host answered."""

    hostname: str = ""
    status: str = ""
    changed: bool = False
    data: Any = None
    error: str = ""


class AgentState(Struct, frozen=True, kw_only=True):
    """Where one host stands."""

    status: str = ""
    error: str = ""
    duration: str = ""


class TimelineEvent(Struct, frozen=True, kw_only=True):
    """One line of a job's story."""

    timestamp: str = ""
    event: str = ""
    hostname: str = ""
    message: str = ""
    error: str = ""
    progress: float | None = None


# The events after which a host of a job does nothing more for it.
ENDS: Final = frozenset({"completed", "failed", "skipped", "cancelled", "expired", "unreachable"})


class JobEnd(Struct, frozen=True, kw_only=True):
    """The last event of a job."""

    job_id: str
    status: str
    summary: str = ""


class JobOutput(Struct, frozen=True, kw_only=True):
    """A piece of what a host writes; `dropped` counts the bytes that are missing."""

    hostname: str = ""
    stream: str = "stdout"
    text: str = ""
    dropped: int = 0


class Job(Struct, frozen=True, kw_only=True):
    """A job as it is stored."""

    id: str
    status: str
    created: str = ""
    updated_at: str = ""
    operation: JobOperation = JobOperation()
    target: str = ""
    expected: list[str] | None = None
    hostname: str = ""
    result: Any = None
    changed: bool = False
    error: str = ""
    responses: dict[str, HostResponse] = field(default_factory=dict[str, HostResponse])
    agent_states: dict[str, AgentState] = field(default_factory=dict[str, AgentState])
    timeline: list[TimelineEvent] = field(default_factory=list[TimelineEvent])
    attempts: int = 0
    deadline: str = ""
    retry_of: str | None = None
    retried_as: str | None = None


class JobList(Struct, frozen=True, kw_only=True):
    """A page of jobs."""

    total_items: int
    status_counts: dict[str, int]
    items: list[Job]


class JobCreated(Struct, frozen=True, kw_only=True):
    """A job that was submitted."""

    job_id: str


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A job that was given up; `job` is None if nothing is left of it."""

    sequence: int
    timestamp: str = ""
    reason: str = ""
    consumer: str = ""
    deliveries: int = 0
    job_id: str | None = None
    operation: str = ""
    target: str = ""
    hostname: str = ""
    job: Job | None = None


class DeadLetterList(Struct, frozen=True, kw_only=True):
    """Dead letters, newest first."""

    total_items: int
    items: list[DeadLetter]


class Purged(Struct, frozen=True, kw_only=True):
    """How many dead letters were removed."""

    purged: int


class Firing(Struct, frozen=True, kw_only=True):
    """What became of a due time, or of `count` that were missed."""

    due: str = ""
    outcome: str = ""
    job_id: str = ""
    reason: str = ""
    count: int = 1


class Schedule(Struct, frozen=True, kw_only=True):
    """A schedule, when it is due next, and what became of the newest due times."""

    name: str
    operation: JobOperation = JobOperation()
    target: str = ""
    at: str | None = None
    every: float | None = None
    cron: str | None = None
    time_zone: str = ""
    catch_up: float = 0.0
    overlap: str = ""
    paused: bool = False
    created: str = ""
    updated: str = ""
    by: str = ""
    next_times: list[str] = field(default_factory=list[str])
    job_id: str = ""
    job_status: str | None = None
    submitted: int = 0
    skipped: int = 0
    missed: int = 0
    refused: int = 0
    firings: list[Firing] = field(default_factory=list[Firing])


class ScheduleList(Struct, frozen=True, kw_only=True):
    """All schedules, by name."""

    items: list[Schedule]
    total: int


class AuditEntry(Struct, frozen=True, kw_only=True):
    """Who asked for what, and how it ended."""

    id: str
    timestamp: str = ""
    user: str = ""
    roles: list[str] = field(default_factory=list[str])
    method: str = ""
    path: str = ""
    operation_id: str = ""
    source_ip: str = ""
    response_code: int = 0
    duration_ms: float = 0
    trace_id: str = ""


class AuditList(Struct, frozen=True, kw_only=True):
    """A page of the audit log, newest first."""

    total_items: int
    items: list[AuditEntry]


class AuditOne(Struct, frozen=True, kw_only=True):
    """One entry of the audit log."""

    entry: AuditEntry


# --- Agents --------------------------------------------------------------------------------------------------


class OsInfo(Struct, frozen=True, kw_only=True):
    """An operating system."""

    distribution: str = ""
    version: str = ""


class MemoryInfo(Struct, frozen=True, kw_only=True):
    """Physical memory in bytes."""

    total: int = 0
    free: int = 0
    used: int = 0


class LoadAverage(Struct, frozen=True, kw_only=True):
    """The load over one, five and fifteen minutes."""

    one: float = field(name="1min", default=0.0)
    five: float = field(name="5min", default=0.0)
    fifteen: float = field(name="15min", default=0.0)


class Message(Struct, frozen=True, kw_only=True):
    """What was done, in one sentence."""

    message: str


# --- Rollouts ------------------------------------------------------------------------------------------------


class RolloutBatch(Struct, frozen=True, kw_only=True):
    """A batch that has begun."""

    job_id: str
    hosts: list[str] = field(default_factory=list[str])
    started: str = ""
    ended: str | None = None
    outcomes: dict[str, int] = field(default_factory=dict[str, int])


class RolloutFailure(Struct, frozen=True, kw_only=True):
    """A host that failed, in which batch, from 0."""

    hostname: str
    batch: int = 0
    status: str = ""
    error: str = ""


class Rollout(Struct, frozen=True, kw_only=True):
    """A broadcast in batches."""

    id: str
    status: str
    operation: str = ""
    target: str = ""
    created: str = ""
    updated: str = ""
    by: str = ""
    reason: str = ""
    hosts: int = 0
    batch: int = 1
    canary: int = 0
    pause: float = 0.0
    max_failures: int = 0
    batches: list[RolloutBatch] = field(default_factory=list[RolloutBatch])
    failed: int = 0
    failures: list[RolloutFailure] = field(default_factory=list[RolloutFailure])
    waiting: list[str] = field(default_factory=list[str])


class RolloutList(Struct, frozen=True, kw_only=True):
    """The newest rollouts."""

    items: list[Rollout]
