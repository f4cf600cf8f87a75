"""What is stored: a job's definition, the record of each of its slots, the registration of an agent.

All are immutable and written whole. Times are Unix seconds, durations seconds. Payloads stay raw JSON: only the
two ends that know their type decode them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from msgspec import Raw, Struct

from osapi.rules.vitals import Vitals

VERSION = 1
ANY_SLOT = "_any"

# A union of Raw and None would read every result as None: an empty one says that there is none.
NO_RESULT = Raw()

Kind = Literal["query", "modify"]

# An agent that is told to take no jobs is draining as long as some are running, then cordoned.
# One that signs takes none before it is accepted.
AgentState = Literal["Ready", "Draining", "Cordoned", "Pending"]


class SlotStatus(StrEnum):
    """Where one slot of a job stands; a slot without a record is pending.

    `untrusted` is never stored: so a reader that checks signatures shows a record which is not signed by who may write
    it.
    """

    PENDING = "pending"
    RUNNING = "running"
    RETRYABLE = "retryable"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    EXPIRED = "expired"
    UNREACHABLE = "unreachable"
    CANCELLED = "cancelled"
    UNTRUSTED = "untrusted"


class JobStatus(StrEnum):
    """Where a job stands as a whole: the fold over its slots, in the words of the REST API."""

    SUBMITTED = "submitted"
    PROCESSING = "processing"
    RETRYABLE = "retryable"
    COMPLETED = "completed"
    FAILED = "failed"
    PARTIAL_FAILURE = "partial_failure"
    SKIPPED = "skipped"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Policy(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How often and how long a job may be tried.

    `timeout` bounds one attempt. `attempts` counts those that end in a transient error; the wait after the
    n-th is `backoff * factor**(n-1)`, at most `max_backoff`; or, where there are `pauses`, the n-th of them, and the
    last again where there are fewer. It is varied by up to `jitter` of itself. `takeovers` counts how often another
    agent may start over when the one that held the lease fell silent; 0 runs a job at most once: cut off by an agent
    that stops, it has failed.
    """

    timeout: float = 60.0
    attempts: int = 1
    backoff: float = 1.0
    factor: float = 2.0
    max_backoff: float = 300.0
    jitter: float = 0.1
    takeovers: int = 3
    pauses: tuple[float, ...] = ()


class Definition(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A job as it was submitted; never changed.

    `expected` holds the hosts that the job was frozen for, None for one of N. `policy` overrides that of the
    operation, `timeout` only the policy's. No slot is started before `due` or after `start_by`, none runs after
    `finish_by`. `key` is the caller's idempotency key. `rollout` is the one whose batch it is: then `expected` is a
    part of those that the target matches. An agent that finds a field it does not know refuses the job: it may be a
    condition.
    """

    v: int
    id: str
    operation: str
    kind: Kind
    target: str
    origin: str
    data: Raw
    created: float
    finish_by: float
    expires: float
    expected: tuple[str, ...] | None = None
    policy: Policy | None = None
    timeout: float | None = None
    due: float | None = None
    start_by: float | None = None
    key: str | None = None
    retry_of: str | None = None
    rollout: str | None = None


class Holder(Struct, frozen=True, kw_only=True):
    """Which job an idempotency key stands for, and the digest of what was submitted with it."""

    v: int
    job: str
    digest: str


class Order(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An order to cancel a job: all of it, or what it is for some of its hosts."""

    by: str
    at: float
    reason: str = ""
    hosts: tuple[str, ...] | None = None


class Orders(Struct, frozen=True, kw_only=True):
    """All orders to cancel one job, oldest first."""

    v: int
    orders: tuple[Order, ...]


class Output(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much an attempt wrote: the chunks that are stored and their bytes, and the bytes that were dropped."""

    chunks: int = 0
    bytes: int = 0
    dropped: int = 0


class Parts(Struct, frozen=True, kw_only=True):
    """In how many parts a large result is stored, its size in bytes, and the SHA-256 of all of it."""

    count: int
    size: int
    digest: str = ""


class Attempt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An attempt that ended without ending the job: it may be tried again, was lost, or was given back."""

    number: int
    host: str
    claimed: float
    ended: float
    outcome: Literal["retryable", "lost", "released"]
    error: str = ""
    next_at: float | None = None
    progress: float | None = None
    message: str = ""
    progressed: float = 0.0
    output: Output | None = None


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The record of one slot. Only the holder of its lease writes it, always by compare-and-set.

    `earlier` tells the story of the attempts before this one, `max_attempts` how many its policy allows, `by` who
    cancelled it. `progress`, from 0 to 1, and `message` are what the handler reported last, `progressed` is when;
    `output` is what it wrote. With `parts` the result lies beside the record. Unknown fields are ignored when it is
    read: they are additions, and the lease holder is the only one who would write it back.
    """

    v: int
    job: str
    slot: str
    host: str
    status: SlotStatus
    attempt: int
    max_attempts: int = 1
    lease: str = ""
    lease_until: float = 0.0
    claimed: float = 0.0
    updated: float
    next_at: float | None = None
    changed: bool = False
    result: Raw = NO_RESULT
    error: str | None = None
    by: str = ""
    earlier: tuple[Attempt, ...] = ()
    progress: float | None = None
    message: str = ""
    progressed: float = 0.0
    output: Output | None = None
    parts: Parts | None = None


class Story(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job as it stood when its notification was given up, kept for as long as the dead letter."""

    v: int
    subject: str
    definition: Definition
    records: tuple[Record, ...]


class Registration(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent as it describes itself; `operations` maps each name it offers to its kind, `vitals` if it tells any."""

    v: int
    hostname: str
    session: str
    labels: dict[str, str]
    operations: dict[str, Kind]
    started: float
    heartbeat: float
    max_jobs: int
    active: int = 0
    state: AgentState = "Ready"
    machine_id: str = ""
    fingerprint: str = ""
    vitals: Vitals | None = None


class Known(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered of an agent that may be away; `first` is when it came first, `seen` when it last did."""

    v: int
    hostname: str
    labels: dict[str, str]
    operations: dict[str, Kind]
    seen: float
    first: float = 0.0
    machine_id: str = ""
    fingerprint: str = ""


class Drain(Struct, frozen=True, kw_only=True):
    """An order that an agent shall take no jobs until it is taken back."""

    v: int
    at: float
    by: str = ""
    reason: str = ""


class Join(Struct, frozen=True, kw_only=True):
    """An agent's request to be accepted: its public key, as text, and the machine that it runs on."""

    v: int
    hostname: str
    public: str
    machine_id: str
    requested_at: float


class Enrolment(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was decided about the keys of one host: the one that is accepted, and those that were refused, as text.

    Every decision has a higher `number`, so that whoever has seen a later one takes no earlier one back.
    """

    v: int
    hostname: str
    number: int
    at: float
    accepted: str = ""
    machine_id: str = ""
    rejected: tuple[str, ...] = ()
    by: str = ""


class Succession(Struct, frozen=True, kw_only=True):
    """The announcement that `new` follows the key which signed this: both count until `until`, the new one after."""

    v: int
    new: str
    at: float
    until: float


class Facts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an agent tells of its host; `facts` as `facts.normalise_facts` returns them."""

    v: int
    hostname: str
    updated: float
    facts: dict[str, Any]


class Event(Struct, frozen=True, kw_only=True):
    """One line of a job's timeline; `progress`, from 0 to 1, is how far a handler said that it had come."""

    at: float
    event: str
    host: str = ""
    message: str = ""
    error: str = ""
    progress: float | None = None
