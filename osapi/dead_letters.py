"""Dead letters: what the agents' consumers gave up, joined with the jobs that it was about."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from osapi.detail import JobDetail, read_details
from osapi.errors import RecordError, TransportError, UnknownLetterError
from osapi.flow.persist import insist
from osapi.flow.stories import story_key
from osapi.index import MAX_LIMIT, check_page
from osapi.rules.codec import STORY
from osapi.rules.dead_letters import Advisory, job_of, parse_advisory
from osapi.rules.keys import consumer_host, job_key
from osapi.settings import story_bucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from osapi.flow.store import Store
    from osapi.handle import JobHandle
    from osapi.submitter import Submitter
    from osapi.transport import Entry, KeyValue, Message, Stream, StreamInfo

_log = logging.getLogger("osapi.client")

# Messages that are asked for at once.
_PAGE = 50

# So many of the newest messages are looked at to count dead letters.
_COUNTED = 10_000


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A notification that a consumer gave up.

    An agent refused it, the job's last attempt failed in a way that might have passed, nobody was left to take it over,
    or its deliveries were used up. `sequence` is its own; `at` in Unix seconds; `reason` is the agent's, or says that
    `max_deliver` was reached; `host` is empty when the consumer is one that agents share. The rest is what is left:
    `job` is None if it is gone and no sweeper kept its story, or if it cannot be read.
    """

    sequence: int
    at: float
    stream: str
    consumer: str
    deliveries: int
    reason: str
    host: str = ""
    subject: str = ""
    job_id: str | None = None
    job: JobDetail | None = None


class DeadLetters:
    """The dead letters of a broker, as `Client.dead_letters`.

    The bucket of their stories is opened when it is first needed.
    """

    def __init__(self, store: Store, submitter: Submitter) -> None:
        self._store = store
        self._submitter = submitter
        self._stories: KeyValue | None = None
        self._counted: tuple[StreamInfo, int] | None = None

    async def list(
        self, *, limit: int = 10, operation: str | None = None, target: str | None = None, reason: str | None = None
    ) -> Sequence[DeadLetter]:
        """Return what the agents' consumers gave up, newest first: all, or those of an operation or a target.

        `reason` is what theirs must contain, in either case of letters; one whose job is gone is of no operation and no
        target. A notification that merely ended with its job's lifetime is none, but costs as much as one to pass over.

        Raises:
            InvalidSettingError: a limit that there is not.
            DisconnectedError

        """
        check_page(limit)
        found: list[DeadLetter] = []
        letters = self._store.dead_letters
        info = await insist(letters.info, self._store.settings.persist)
        newest = info.last_sequence
        while newest >= max(info.first_sequence, 1) and len(found) < limit:
            oldest = max(info.first_sequence, newest - _PAGE + 1, 1)
            page = await _messages(self._store, letters, range(oldest, newest + 1))
            joined = await self._joined(_given_up(page[sequence] for sequence in sorted(page, reverse=True)))
            found.extend(letter for letter in joined if _fits(letter, operation, target, reason))
            newest = oldest - 1
        return found[:limit]

    async def count(self) -> int:
        """Return how many there are among the newest 10,000 messages; they are read anew when some came or went.

        Raises:
            DisconnectedError

        """
        letters = self._store.dead_letters
        info = await insist(letters.info, self._store.settings.persist)
        if self._counted is not None and self._counted[0] == info:
            return self._counted[1]
        count, oldest = 0, max(info.first_sequence, info.last_sequence - _COUNTED + 1, 1)
        if info.messages:
            for start in range(oldest, info.last_sequence + 1, _PAGE):
                page = await _messages(self._store, letters, range(start, min(start + _PAGE, info.last_sequence + 1)))
                count += len(_given_up(page.values()))
        self._counted = info, count
        return count

    async def get(self, sequence: int) -> DeadLetter:
        """Return one dead letter by its sequence, with the story of its job.

        Raises:
            UnknownLetterError, DisconnectedError

        """
        messages = await _messages(self._store, self._store.dead_letters, [sequence])
        letters = await self._joined(_given_up(messages.values()))
        if not letters:
            raise UnknownLetterError(f"there is no dead letter {sequence}: it was purged, or has outlived its lifetime")
        return letters[0]

    async def replay(self, sequence: int) -> JobHandle:
        """Submit the job of a dead letter once more, then remove the letter.

        It goes to the job's own target; of a broadcast, to the host that gave it up. Cancelled, or failing, the job
        was submitted or not, and the letter is still there: replayed again, by whomever, it is the same job.

        Raises:
            UnknownLetterError: it is not there, or nothing is left of its job.
            and all that `Client.submit` raises.

        """
        letter = await self.get(sequence)
        if letter.job is None:
            raise UnknownLetterError(f"nothing is left of the job of dead letter {sequence}: it cannot be replayed")
        # The moment besides: a stream that was made anew counts from 1 again.
        once = f"dead letter {letter.sequence} of {letter.at!r}"
        handle = await self._submitter.again(letter.job.definition, letter.host or None, once)
        await self.purge(sequence)
        return handle

    async def purge(self, sequence: int) -> None:
        """Remove a dead letter and its story; nothing happens if it is gone. Its job stays as it is.

        Raises:
            DisconnectedError, UncertainError

        """
        patience = self._store.settings.persist
        await insist(partial(self._store.dead_letters.delete, sequence), patience)
        await insist(partial((await self._bucket()).purge, story_key(sequence), ttl=1), patience)

    async def purge_all(
        self, *, operation: str | None = None, target: str | None = None, reason: str | None = None
    ) -> int:
        """Remove all dead letters that `list` would return page by page, and say how many there were.

        Raises:
            DisconnectedError, UncertainError: some of them are removed.

        """
        removed = 0
        while True:
            letters = await self.list(limit=MAX_LIMIT, operation=operation, target=target, reason=reason)
            for letter in letters:
                await self.purge(letter.sequence)
            removed += len(letters)
            if len(letters) < MAX_LIMIT:
                return removed

    async def _bucket(self) -> KeyValue:
        if self._stories is None:
            settings = self._store.settings
            self._stories = await insist(
                partial(self._store.transport.bucket, story_bucket(settings)), settings.persist
            )
        return self._stories

    async def _joined(self, found: Sequence[tuple[Message, Advisory]]) -> Sequence[DeadLetter]:
        keys = [story_key(message.sequence) for message, _ in found]
        stories = await insist(partial((await self._bucket()).get_many, keys), self._store.settings.persist)
        kept = {message.sequence: told for (message, _), told in zip(found, map(_told, stories), strict=True) if told}
        live = await self._live([advisory for message, advisory in found if message.sequence not in kept])
        letters: list[DeadLetter] = []
        for message, advisory in found:
            nothing: tuple[str, str | None, JobDetail | None] = ("", None, None)
            subject, job_id, job = kept.get(message.sequence) or live.get(advisory.stream_seq) or nothing
            letters.append(
                DeadLetter(
                    sequence=message.sequence,
                    at=message.created,
                    stream=self._store.settings.stream,
                    consumer=advisory.consumer,
                    deliveries=advisory.deliveries,
                    reason=advisory.told,
                    host=consumer_host(advisory.consumer),
                    subject=subject,
                    job_id=job_id,
                    job=job,
                )
            )
        return letters

    async def _live(self, advisories: Sequence[Advisory]) -> dict[int, tuple[str, str | None, JobDetail | None]]:
        """Look for the notifications, and the jobs, that are still there; by the notification's sequence."""
        store = self._store
        notifications = await _messages(store, store.stream, sorted({advisory.stream_seq for advisory in advisories}))
        jobs = {sequence: job_of(message.subject) for sequence, message in notifications.items()}
        details = await _details(store, sorted({job_id for job_id in jobs.values() if job_id is not None}))
        return {
            sequence: (message.subject, jobs[sequence], details.get(jobs[sequence] or ""))
            for sequence, message in notifications.items()
        }


def _fits(letter: DeadLetter, operation: str | None, target: str | None, reason: str | None) -> bool:
    job = None if letter.job is None else letter.job.definition
    return (
        (operation is None or (job is not None and job.operation == operation))
        and (target is None or (job is not None and job.target == target))
        and (reason is None or reason.casefold() in letter.reason.casefold())
    )


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


def _told(entry: Entry | None) -> tuple[str, str, JobDetail] | None:
    if entry is None or entry.change != "put":
        return None
    try:
        story = STORY.decode(entry.value)
    except RecordError as error:
        _log.warning("the story of a dead letter is passed over: %s", error)
        return None
    records = {record.slot: record for record in story.records}
    return story.subject, story.definition.id, JobDetail(definition=story.definition, records=records)


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
