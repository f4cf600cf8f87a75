"""The names, lifetimes and bounds that a client and its agents must share."""

from __future__ import annotations

from msgspec import Struct

from osapi.errors import InvalidSettingError
from osapi.transport import BucketConfig, ConsumerConfig, Storage, StreamConfig


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names on the broker, and how long things live; durations in seconds, sizes in bytes.

    `job_ttl` is the one lifetime of a job: its definition, its notification and its answers are gone that long
    after it was submitted. `within` is how long a job may take unless `submit` says otherwise. `ack_wait` is
    the lease: an agent that is silent for so long loses what it was running. An agent counts as gone when
    `registry_ttl` has passed since its last `heartbeat`. `drain` bounds how long an agent that stops waits for
    its running jobs, `persist` how long a write is repeated while the broker cannot be reached.

    Raises:
        InvalidSettingError: a value is out of range, or contradicts another.

    """

    stream: str = "JOBS"
    job_bucket: str = "job-queue"
    response_bucket: str = "job-responses"
    registry_bucket: str = "agent-registry"
    job_ttl: float = 3600.0
    within: float = 300.0
    max_bytes: int = 100 * 1024 * 1024
    ack_wait: float = 120.0
    max_ack_pending: int = 1000
    registry_ttl: float = 30.0
    heartbeat: float = 10.0
    drain: float = 10.0
    persist: float = 10.0
    storage: Storage = "file"
    replicas: int = 1

    def __post_init__(self) -> None:
        """Check what one field demands of another."""
        _at_least("job_ttl", self.job_ttl, 1.0)
        _at_least("ack_wait", self.ack_wait, 0.1)
        _at_least("heartbeat", self.heartbeat, 0.05)
        _at_least("drain", self.drain, 0.0)
        _at_least("persist", self.persist, 0.0)
        if not 0.0 < self.within <= self.job_ttl:
            raise InvalidSettingError(
                self.within,
                "is no time that a job can take (within)",
                f"use more than 0, at most job_ttl {self.job_ttl}",
            )
        if self.registry_ttl < max(1.0, 2 * self.heartbeat):
            raise InvalidSettingError(
                self.registry_ttl,
                "is too short for registry_ttl",
                f"use at least 1 and two heartbeats of {self.heartbeat}",
            )


def _at_least(name: str, value: float, low: float) -> None:
    if not low <= value < float("inf"):
        raise InvalidSettingError(value, f"is out of range for {name}", f"use at least {low}")


def stream_config(settings: Settings) -> StreamConfig:
    """Return the stream of notifications: one for each job, scheduled retries besides.

    It holds no count of its own: every notification belongs to a definition, so the bucket's `max_bytes` bounds
    both, and refuses a job aloud where a full stream would drop the oldest waiting one in silence.
    """
    return StreamConfig(
        name=settings.stream,
        subjects=("jobs.>",),
        max_age=settings.job_ttl,
        max_consumers=100_000,
        storage=settings.storage,
        replicas=settings.replicas,
    )


def job_bucket(settings: Settings) -> BucketConfig:
    """Return the bucket of definitions."""
    return _bucket(settings, settings.job_bucket)


def response_bucket(settings: Settings) -> BucketConfig:
    """Return the bucket of slot records."""
    return _bucket(settings, settings.response_bucket)


def registry_bucket(settings: Settings) -> BucketConfig:
    """Return the bucket of agents; its markers let everybody see one go whose heartbeat stopped."""
    return BucketConfig(
        name=settings.registry_bucket,
        ttl=settings.registry_ttl,
        marker_ttl=max(1.0, settings.registry_ttl),
        storage="memory",
        replicas=settings.replicas,
    )


def any_consumer(settings: Settings, pattern: str) -> ConsumerConfig:
    """Return the consumer that all agents share for jobs to one of them."""
    return ConsumerConfig(
        name="any",
        filters=(pattern,),
        deliver="all",
        ack_wait=settings.ack_wait,
        max_ack_pending=settings.max_ack_pending,
        # Every idle agent keeps a request waiting here, and the bound cannot be raised later.
        max_waiting=100_000,
    )


def own_consumer(settings: Settings, name: str, filters: tuple[str, ...]) -> ConsumerConfig:
    """Return the consumer of one agent; it outlives a restart for as long as its messages do."""
    return ConsumerConfig(
        name=name,
        filters=filters,
        deliver="new",
        ack_wait=settings.ack_wait,
        max_ack_pending=settings.max_ack_pending,
        inactive_threshold=settings.job_ttl,
    )


def _bucket(settings: Settings, name: str) -> BucketConfig:
    return BucketConfig(
        name=name,
        ttl=settings.job_ttl,
        max_bytes=settings.max_bytes,
        marker_ttl=1.0,
        storage=settings.storage,
        replicas=settings.replicas,
    )
