"""The names, lifetimes and bounds that a client and its agents must share."""

from __future__ import annotations

from msgspec import Struct

from osapi.errors import InvalidSettingError
from osapi.rules.records import Policy
from osapi.rules.retry import check_policy
from osapi.transport import BucketConfig, ConsumerConfig, Storage, StreamConfig


class Place(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a stream or bucket is kept, and in how many copies."""

    storage: Storage = "file"
    replicas: int = 1


class Places(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where what is not the jobs themselves is kept; None: as `Settings.storage` and `Settings.replicas` say.

    `dead_letters` are the stream of dead letters and the bucket of their stories.
    """

    stream: Place | None = None
    registry: Place | None = None
    facts: Place | None = None
    state: Place | None = None
    dead_letters: Place | None = None


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names on the broker, and how long things live; durations in seconds, sizes in bytes.

    `job_ttl` is the one lifetime of a job: its definition, its notification and its answers are gone that long after it
    was submitted. `within` is how long a job may take unless `submit` says otherwise. `ack_wait` is the lease: an agent
    that is silent for so long loses what it was running. An agent counts as gone when `registry_ttl` has passed since
    its last `heartbeat`; what it tells of its host lives for `facts_ttl` and is told again every `facts_interval`. A
    rollout that is over is kept for `rollout_ttl`. `drain` bounds how long an agent that stops waits for its running
    jobs, `persist` how long a write is repeated while the broker cannot be reached. `max_output` bounds what is kept of
    the output of one slot, `max_result` a result. `fleet` is signed with everything: where the same
    keys serve several namespaces, give each a name of its own, and nothing signed for one counts in another.

    `max_deliver` bounds deliveries, which are not attempts: an agent gives a delivery back while another one holds
    the lease, and a job goes round until somebody offers its operation. A small bound would give healthy jobs up;
    attempts are bounded by the policy.

    Raises:
        InvalidSettingError: a value is out of range, or contradicts another.

    """

    stream: str = "JOBS"
    job_bucket: str = "job-queue"
    response_bucket: str = "job-responses"
    registry_bucket: str = "agent-registry"
    facts_bucket: str = "agent-facts"
    state_bucket: str = "agent-state"
    dead_letter_stream: str = "JOBS-DLQ"
    story_bucket: str = "job-stories"
    rollout_bucket: str = "job-rollouts"
    schedule_bucket: str = "job-schedules"
    schedule_stream: str = "JOBS-SCHEDULES"
    job_ttl: float = 3600.0
    within: float = 300.0
    max_bytes: int = 100 * 1024 * 1024
    max_msgs: int = -1
    policy: Policy = Policy()
    ack_wait: float = 120.0
    max_ack_pending: int = 1000
    max_deliver: int = -1
    registry_ttl: float = 30.0
    heartbeat: float = 10.0
    facts_ttl: float = 300.0
    facts_interval: float = 60.0
    dead_letter_ttl: float = 7 * 24 * 3600.0
    dead_letter_max_msgs: int = 1000
    rollout_ttl: float = 7 * 24 * 3600.0
    drain: float = 10.0
    persist: float = 10.0
    max_output: int = 1024 * 1024
    max_result: int = 16 * 1024 * 1024
    storage: Storage = "file"
    replicas: int = 1
    places: Places = Places()
    fleet: str = ""

    def __post_init__(self) -> None:
        """Check what one field demands of another."""
        _at_least("job_ttl", self.job_ttl, 1.0)
        _at_least("ack_wait", self.ack_wait, 0.1)
        _at_least("heartbeat", self.heartbeat, 0.05)
        _at_least("facts_interval", self.facts_interval, 0.05)
        _at_least("dead_letter_ttl", self.dead_letter_ttl, 0.0)
        _at_least("rollout_ttl", self.rollout_ttl, 1.0)
        _limit("dead_letter_max_msgs", self.dead_letter_max_msgs)
        _limit("max_deliver", self.max_deliver)
        _limit("max_msgs", self.max_msgs)
        check_policy(self.policy)
        _at_least("drain", self.drain, 0.0)
        _at_least("persist", self.persist, 0.0)
        _at_least("max_output", self.max_output, 0)
        _at_least("max_result", self.max_result, 1)
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
        if not max(1.0, 2 * self.facts_interval) <= self.facts_ttl < float("inf"):
            raise InvalidSettingError(
                self.facts_ttl,
                "is too short for facts_ttl",
                f"use at least 1 and two facts_intervals of {self.facts_interval}",
            )

    @property
    def buckets(self) -> tuple[str, ...]:
        """Return the names of all buckets that osapi may make."""
        return (
            self.job_bucket,
            self.response_bucket,
            self.registry_bucket,
            self.facts_bucket,
            self.state_bucket,
            self.story_bucket,
            self.rollout_bucket,
            self.schedule_bucket,
        )

    @property
    def streams(self) -> tuple[str, ...]:
        """Return the names of all streams that osapi may make."""
        return (self.stream, self.dead_letter_stream, self.schedule_stream)


def _at_least(name: str, value: float, low: float) -> None:
    if not low <= value < float("inf"):
        raise InvalidSettingError(value, f"is out of range for {name}", f"use at least {low}")


def _limit(name: str, value: int) -> None:
    if value != -1 and value < 1:
        raise InvalidSettingError(value, f"is out of range for {name}", "use at least 1, or -1 for no limit")


def stream_config(settings: Settings) -> StreamConfig:
    """Return the stream of notifications: one for each job, scheduled retries besides.

    By default it holds no count of its own: every notification belongs to a definition, so the bucket's `max_bytes`
    bounds both, and refuses a job aloud where a full stream would drop the oldest waiting one in silence.
    """
    place = _place(settings, settings.places.stream)
    return StreamConfig(
        name=settings.stream,
        subjects=("jobs.>",),
        max_age=settings.job_ttl,
        max_msgs=settings.max_msgs,
        max_consumers=100_000,
        storage=place.storage,
        replicas=place.replicas,
    )


def dead_letters_config(settings: Settings) -> StreamConfig:
    """Return the stream of what the agents' consumers gave up; it outlives the jobs, and the oldest make room."""
    place = _place(settings, settings.places.dead_letters)
    return StreamConfig(
        name=settings.dead_letter_stream,
        dead_letters_of=settings.stream,
        max_age=settings.dead_letter_ttl,
        max_msgs=settings.dead_letter_max_msgs,
        storage=place.storage,
        replicas=place.replicas,
    )


def story_bucket(settings: Settings) -> BucketConfig:
    """Return the bucket of what became of the jobs that dead letters are about; it is opened by who asks or keeps."""
    place = _place(settings, settings.places.dead_letters)
    return BucketConfig(
        name=settings.story_bucket,
        ttl=settings.dead_letter_ttl,
        max_bytes=settings.max_bytes,
        storage=place.storage,
        replicas=place.replicas,
    )


def story_consumer(settings: Settings) -> ConsumerConfig:
    """Return the consumer by which dead letters reach whoever keeps their stories."""
    return ConsumerConfig(name="stories", deliver="all", ack_wait=settings.ack_wait)


def job_bucket(settings: Settings) -> BucketConfig:
    """Return the bucket of definitions."""
    return _bucket(settings, settings.job_bucket)


def response_bucket(settings: Settings) -> BucketConfig:
    """Return the bucket of slot records."""
    return _bucket(settings, settings.response_bucket)


def registry_bucket(settings: Settings) -> BucketConfig:
    """Return the bucket of agents; its markers let everybody see one go whose heartbeat stopped.

    By default it is stored as the jobs are: in the memory of a single server it would be gone after a restart, and
    with it the agents that live on.
    """
    place = _place(settings, settings.places.registry)
    return BucketConfig(
        name=settings.registry_bucket,
        ttl=settings.registry_ttl,
        marker_ttl=max(1.0, settings.registry_ttl),
        storage=place.storage,
        replicas=place.replicas,
    )


def facts_bucket(settings: Settings) -> BucketConfig:
    """Return the bucket of facts; it is opened by those who tell or ask for some."""
    place = _place(settings, settings.places.facts)
    return BucketConfig(
        name=settings.facts_bucket,
        ttl=settings.facts_ttl,
        marker_ttl=max(1.0, settings.facts_ttl),
        storage=place.storage,
        replicas=place.replicas,
    )


def state_bucket(settings: Settings) -> BucketConfig:
    """Return the bucket of what is remembered of agents, and of what they are told to do; nothing there expires."""
    place = _place(settings, settings.places.state)
    return BucketConfig(name=settings.state_bucket, storage=place.storage, replicas=place.replicas)


def rollout_bucket(settings: Settings) -> BucketConfig:
    """Return the bucket of rollouts; what is over expires by a TTL of its own, what is not stays until it is."""
    return BucketConfig(
        name=settings.rollout_bucket,
        max_bytes=settings.max_bytes,
        marker_ttl=1.0,
        storage=settings.storage,
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
        max_deliver=settings.max_deliver,
        # Every idle agent keeps a request waiting here, and the bound cannot be raised later.
        max_waiting=100_000,
    )


def group_consumer(settings: Settings, name: str, pattern: str) -> ConsumerConfig:
    """Return the consumer that the agents with a label share for jobs to one of them.

    It starts with what is on the stream, and is gone when no agent has listened for as long as that lives.
    """
    return ConsumerConfig(
        name=name,
        filters=(pattern,),
        deliver="all",
        ack_wait=settings.ack_wait,
        max_ack_pending=settings.max_ack_pending,
        max_deliver=settings.max_deliver,
        max_waiting=100_000,
        inactive_threshold=settings.job_ttl,
    )


def own_consumer(settings: Settings, name: str, filters: tuple[str, ...]) -> ConsumerConfig:
    """Return the consumer of one agent; it outlives a restart for as long as its messages do."""
    return ConsumerConfig(
        name=name,
        filters=filters,
        deliver="new",
        ack_wait=settings.ack_wait,
        max_ack_pending=settings.max_ack_pending,
        max_deliver=settings.max_deliver,
        inactive_threshold=settings.job_ttl,
    )


def _place(settings: Settings, place: Place | None) -> Place:
    return place or Place(storage=settings.storage, replicas=settings.replicas)


def _bucket(settings: Settings, name: str) -> BucketConfig:
    return BucketConfig(
        name=name,
        ttl=settings.job_ttl,
        max_bytes=settings.max_bytes,
        marker_ttl=1.0,
        storage=settings.storage,
        replicas=settings.replicas,
    )
