"""Stories: what became of the jobs that dead letters are about, kept when their jobs are gone."""

from __future__ import annotations

import logging
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from osapi.detail import read_details
from osapi.errors import ClosedError, DisconnectedError, MissingError, RecordError, TransportError
from osapi.flow.persist import insist
from osapi.rules.codec import STORY
from osapi.rules.dead_letters import job_of, parse_advisory
from osapi.rules.keys import job_key
from osapi.rules.records import VERSION, Story
from osapi.settings import story_bucket, story_consumer

if TYPE_CHECKING:
    from osapi.flow.store import Store
    from osapi.transport import Delivery, KeyValue

_log = logging.getLogger("osapi.sweeper")

# Dead letters that wait here while one is looked at.
_AHEAD = 20

# What cannot be kept now is tried again after so long.
_PAUSE = 5.0


async def keep_stories(store: Store) -> None:
    """Keep the story of each job that is given up, for as long as the task runs.

    Raises:
        MismatchError: the bucket exists with other settings.
        ClosedError: the transport has ended.

    """
    bucket = await insist(partial(store.transport.bucket, story_bucket(store.settings)), inf)
    while True:
        consumer = await insist(partial(store.dead_letters.consumer, story_consumer(store.settings)), inf)
        try:
            async with consumer.pull() as pull:
                pull.request(_AHEAD)
                while True:
                    for delivery in await pull.receive():
                        await _keep(store, bucket, delivery)
                        pull.request(1)
        except (ClosedError, MissingError, DisconnectedError) as error:
            _log.warning("dead letters are received anew: %s", error)


async def _keep(store: Store, bucket: KeyValue, delivery: Delivery) -> None:
    try:
        await _write(store, bucket, delivery)
    except RecordError as error:
        _log.warning("the story of dead letter %d cannot be told: %s", delivery.sequence, error)
    except TransportError as error:
        _log.warning("the story of dead letter %d cannot be kept yet: %s", delivery.sequence, error)
        delivery.nak(_PAUSE)
        return
    delivery.ack()


async def _write(store: Store, bucket: KeyValue, delivery: Delivery) -> None:
    advisory = parse_advisory(delivery.payload)
    if not advisory.is_given_up:
        return
    patience = store.settings.persist
    notification = await insist(partial(store.stream.get, advisory.stream_seq), patience)
    job_id = None if notification is None else job_of(notification.subject)
    if notification is None or job_id is None:
        return
    for job in await read_details(store, [job_key(job_id)]):
        story = Story(
            v=VERSION, subject=notification.subject, definition=job.definition, records=tuple(job.records.values())
        )
        await insist(partial(bucket.put, story_key(delivery.sequence), STORY.encode(story)), patience)


def story_key(sequence: int) -> str:
    """Name the key that holds the story of a dead letter."""
    return f"letter.{sequence}"
