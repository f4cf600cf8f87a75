"""What is stored of a rollout: its plan, the batches that have begun, and where it stands."""

from __future__ import annotations

from enum import StrEnum
from math import ceil

from msgspec import Raw, Struct

from osapi.rules.records import Kind, Policy


class RolloutStatus(StrEnum):
    """Where a rollout stands; one that is halted waits for somebody to resume or abort it."""

    RUNNING = "running"
    PAUSED = "paused"
    HALTED = "halted"
    COMPLETED = "completed"
    ABORTED = "aborted"


class Plan(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a rollout does; never changed. Counts are of hosts, durations in seconds.

    The first `canary` hosts are a batch of their own. `pause` is between the end of one batch and the next, `within`
    how long each batch may take, `lifetime` how long its job is kept.
    """

    id: str
    operation: str
    kind: Kind
    data: Raw
    target: str
    origin: str
    hosts: tuple[str, ...]
    created: float
    within: float
    lifetime: float
    batch: int = 1
    canary: int = 0
    pause: float = 0.0
    max_failures: int = 0
    start_within: float | None = None
    timeout: float | None = None
    policy: Policy | None = None
    by: str = ""


class Batch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One batch that has begun: its job, and when it has ended, how many hosts came to which end."""

    job: str
    started: float
    submitted: bool = False
    ended: float | None = None
    outcomes: dict[str, int] = {}


class HostEnd(Struct, frozen=True, kw_only=True):
    """How a host ended, and in which batch."""

    batch: int
    host: str
    status: str
    error: str


class Rollout(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rollout as it is stored; times in Unix seconds.

    `by` and `reason` are of its last change by somebody. `failures` tells of the first hosts that failed, `failed`
    counts all of them, `forgiven` those that do not count any more.
    """

    v: int
    plan: Plan
    status: RolloutStatus
    updated: float
    batches: tuple[Batch, ...] = ()
    next_at: float = 0.0
    failed: int = 0
    forgiven: int = 0
    failures: tuple[HostEnd, ...] = ()
    by: str = ""
    reason: str = ""

    @property
    def id(self) -> str:
        """Return the rollout's id."""
        return self.plan.id

    @property
    def running(self) -> Batch | None:
        """Return the batch that has begun and not ended."""
        return self.batches[-1] if self.batches and self.batches[-1].ended is None else None

    @property
    def is_over(self) -> bool:
        """Tell whether nothing will change any more."""
        return self.status in {RolloutStatus.COMPLETED, RolloutStatus.ABORTED} and self.running is None

    @property
    def waiting(self) -> tuple[str, ...]:
        """Return the hosts whose batch has not begun."""
        begun = len(self.batches)
        return self.plan.hosts[start_of(self.plan, begun) :]

    def hosts(self, number: int) -> tuple[str, ...]:
        """Return the hosts of a batch, counted from 0."""
        return self.plan.hosts[start_of(self.plan, number) : start_of(self.plan, number + 1)]


def batch_count(plan: Plan) -> int:
    """Return how many batches there are."""
    return bool(plan.canary) + ceil((len(plan.hosts) - plan.canary) / plan.batch)


def start_of(plan: Plan, number: int) -> int:
    """Return how many hosts are in the batches before this one."""
    if not plan.canary:
        return min(number * plan.batch, len(plan.hosts))
    return min(plan.canary + (number - 1) * plan.batch, len(plan.hosts)) if number else 0
