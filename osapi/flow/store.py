"""The places on the broker that jobs pass through."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import TYPE_CHECKING

from osapi.flow.persist import insist
from osapi.settings import dead_letters_config, job_bucket, registry_bucket, response_bucket, stream_config

if TYPE_CHECKING:
    from osapi.rules.records import Definition
    from osapi.settings import Settings
    from osapi.transport import KeyValue, Stream, Transport


@dataclass(frozen=True, slots=True)
class Store:
    """A transport with the buckets and the streams of osapi open on it.

    `announced` says until when each group's agents need no other notice (see `groups`).
    """

    transport: Transport
    settings: Settings
    jobs: KeyValue
    responses: KeyValue
    registry: KeyValue
    stream: Stream
    dead_letters: Stream
    announced: dict[str, float] = field(default_factory=dict[str, float])

    def now(self) -> float:
        """Return the broker's time in Unix seconds."""
        return self.transport.now()

    def ttl(self, definition: Definition, at: float | None = None) -> int | None:
        """Return how long anything written about a job now, or at some moment, may live, in whole seconds.

        None as long as that is the lifetime of everything in the buckets and the stream: most of what is written about
        a job is written in its first second, and a lifetime that says nothing new costs both ends and the broker.
        """
        seconds = ceil(definition.expires - (self.transport.now() if at is None else at))
        if seconds >= self.settings.job_ttl:
            return None
        return max(1, seconds)


async def open_store(transport: Transport, settings: Settings) -> Store:
    """Open the buckets and the streams, creating those that are missing.

    Raises:
        MismatchError: one of them exists with other settings.
        DisconnectedError, UncertainError: the broker stayed away for longer than `settings.persist`.

    """
    patience = settings.persist
    return Store(
        transport=transport,
        settings=settings,
        jobs=await insist(partial(transport.bucket, job_bucket(settings)), patience),
        responses=await insist(partial(transport.bucket, response_bucket(settings)), patience),
        registry=await insist(partial(transport.bucket, registry_bucket(settings)), patience),
        stream=await insist(partial(transport.stream, stream_config(settings)), patience),
        dead_letters=await insist(partial(transport.stream, dead_letters_config(settings)), patience),
    )
