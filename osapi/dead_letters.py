"""Dead letters: what the agents' consumers gave up, joined with the jobs that it was about."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from osapi.detail import JobDetail, read_details
from osapi.errors import RecordError, TransportError
from osapi.flow.persist import insist
from osapi.rules.dead_letters import Advisory, job_of, parse_advisory
from osapi.rules.keys import job_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from osapi.flow.store import Store
    from osapi.transport import Message, Stream

_log = logging.getLogger("osapi.client")

# Messages that are asked for at once.
_PAGE = 50


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A notification that a consumer gave up, because an agent refused it or its deliveries were used up.

    `sequence` is its own, for `Client.purge_dead_letter`; `at` in Unix seconds; `reason` is the agent's, or says that
    `max_deliver` was reached. The rest is what is left: without the notification (it lives as long as its job)
    `subject` is empty and `job_id` None; `job` is None if it is gone, or cannot be read.
    """

    sequence: int
    at: float
    stream: str
    consumer: str
    deliveries: int
    reason: str
    subject: str = ""
    job_id: str | None = None
    job: JobDetail | None = None


async def read_dead_letters(store: Store, limit: int) -> list[DeadLetter]:
    """Return the newest dead letters, newest first; what only ended with its job's lifetime is passed over.

    Raises:
        DisconnectedError

    """
    info = await insist(store.dead_letters.info, store.settings.persist)
    found: list[tuple[Message, Advisory]] = []
    newest = info.last_sequence
    while newest >= max(info.first_sequence, 1) and len(found) < limit:
        oldest = max(info.first_sequence, newest - _PAGE + 1, 1)
        page = await _messages(store, store.dead_letters, range(oldest, newest + 1))
        found.extend(_given_up(page[sequence] for sequence in sorted(page, reverse=True)))
        newest = oldest - 1
    return await _joined(store, found[:limit])


async def purge_dead_letter(store: Store, sequence: int) -> None:
    """Remove a dead letter; nothing happens if it is not there.

    Raises:
        DisconnectedError, UncertainError

    """
    await insist(partial(store.dead_letters.delete, sequence), store.settings.persist)


def _given_up(messages: Iterable[Message]) -> list[tuple[Message, Advisory]]:
    found: list[tuple[Message, Advisory]] = []
    for message in messages:
        try:
            advisory = parse_advisory(message.payload)
        except RecordError as error:
            _log.warning("dead letter %d is passed over: %s", message.sequence, error)
            continue
        if advisory.is_given_up:
            found.append((message, advisory))
    return found


async def _joined(store: Store, found: list[tuple[Message, Advisory]]) -> list[DeadLetter]:
    notifications: dict[int, Message] = {}
    wanted = sorted({advisory.stream_seq for _, advisory in found})
    for start in range(0, len(wanted), _PAGE):
        notifications |= await _messages(store, store.stream, wanted[start : start + _PAGE])
    jobs = {sequence: job_id for sequence, told in notifications.items() if (job_id := job_of(told.subject))}
    details = await _details(store, sorted(set(jobs.values())))
    letters: list[DeadLetter] = []
    for message, advisory in found:
        notification = notifications.get(advisory.stream_seq)
        job_id = jobs.get(advisory.stream_seq)
        letters.append(
            DeadLetter(
                sequence=message.sequence,
                at=message.created,
                stream=store.settings.stream,
                consumer=advisory.consumer,
                deliveries=advisory.deliveries,
                reason=advisory.told,
                subject="" if notification is None else notification.subject,
                job_id=job_id,
                job=None if job_id is None else details.get(job_id),
            )
        )
    return letters


async def _details(store: Store, job_ids: list[str]) -> dict[str, JobDetail]:
    try:
        return {job.id: job for job in await read_details(store, [job_key(job_id) for job_id in job_ids])}
    except RecordError:
        # That a job cannot be read is what its dead letter may be about: the others are read all the same.
        if len(job_ids) == 1:
            return {}
        middle = len(job_ids) // 2
        return await _details(store, job_ids[:middle]) | await _details(store, job_ids[middle:])


async def _messages(store: Store, stream: Stream, sequences: Iterable[int]) -> dict[int, Message]:
    """Read messages at once; those that are gone are left out."""
    found: dict[int, Message] = {}
    failed: list[TransportError] = []

    async def read(sequence: int) -> None:
        try:
            message = await insist(partial(stream.get, sequence), store.settings.persist)
        except TransportError as error:
            failed.append(error)
            nursery.cancel_scope.cancel()
            return
        if message is not None:
            found[sequence] = message

    async with trio.open_nursery() as nursery:
        for sequence in sequences:
            nursery.start_soon(read, sequence)
    if failed:
        raise failed[0]
    return found
