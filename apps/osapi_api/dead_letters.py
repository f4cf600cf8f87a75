"""The endpoints under /job/dlq: what the agents' consumers gave up."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta, Struct

from osapi.index import MAX_LIMIT
from osapi_api import shapes
from osapi_api.dispatch import authorise
from osapi_api.endpoints import Endpoint, Reply
from osapi_api.jobs import created
from osapi_api.problems import Problem, ProblemError
from osapi_api.views import job_detail, timestamp

if TYPE_CHECKING:
    import osapi
    from osapi_api.endpoints import Call

_MAX_SEQUENCE: Final = 2**63 - 1


class LetterQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters to list; `reason` is what theirs must contain."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    operation: str | None = None
    target: str | None = None
    reason: str | None = None


class PurgeQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters to remove: `all`, or those that the others name."""

    all: Literal["true"] | None = None
    operation: str | None = None
    target: str | None = None
    reason: str | None = None


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A notification that was given up; `job` is null, and what comes from it empty, if nothing is left of it."""

    sequence: int
    timestamp: str
    reason: str
    consumer: str
    deliveries: int
    job_id: str | None
    operation: str
    target: str
    hostname: str
    job: shapes.JobDetail | None


class DeadLetterList(Struct, frozen=True, kw_only=True):
    """Dead letters, newest first; `total_items` counts those that match."""

    total_items: int
    items: tuple[DeadLetter, ...]


class Purged(Struct, frozen=True, kw_only=True):
    """How many dead letters were removed."""

    purged: int


async def list_letters(call: Call) -> Reply:
    """Return the newest dead letters, and how many there are."""
    query: LetterQuery = call.query
    found = await call.api.client.dead_letters.list(
        limit=MAX_LIMIT, operation=query.operation, target=query.target, reason=query.reason
    )
    items = tuple(_shown(letter, call.api.operations) for letter in found[: query.limit])
    return Reply(DeadLetterList(total_items=len(found), items=items))


async def get_letter(call: Call) -> Reply:
    """Return one dead letter."""
    return Reply(_shown(await call.api.client.dead_letters.get(_sequence(call)), call.api.operations))


async def replay_letter(call: Call) -> Reply:
    """Submit the job of a dead letter once more, for who may submit such a job."""
    api, sequence = call.api, _sequence(call)
    letter = await api.client.dead_letters.get(sequence)
    if letter.job is not None and call.identity is not None:
        authorise(api, call.identity, api.operations[letter.job.definition.operation].permission)
    return await created(call, await api.client.dead_letters.replay(sequence))


async def delete_letter(call: Call) -> Reply:
    """Remove one dead letter."""
    sequence = _sequence(call)
    await call.api.client.dead_letters.get(sequence)
    await call.api.client.dead_letters.purge(sequence)
    return Reply(status=204)


async def purge_letters(call: Call) -> Reply:
    """Remove all dead letters, or those that are named."""
    query: PurgeQuery = call.query
    named = {"operation": query.operation, "target": query.target, "reason": query.reason}
    if (query.all is None) == all(value is None for value in named.values()):
        raise ProblemError(400, "say which dead letters: some of operation, target and reason, or else all=true")
    return Reply(Purged(purged=await call.api.client.dead_letters.purge_all(**named)))


def _sequence(call: Call) -> int:
    text = call.path["sequence"]
    # Python's int() would take signs, blanks, underscores and other alphabets' digits.
    if text.isascii() and text.isdigit() and len(text) <= 19 and 1 <= int(text) <= _MAX_SEQUENCE:
        return int(text)
    raise ProblemError(400, f"{text[:40]!r} is no sequence of a dead letter; use 1 or more")


def _shown(letter: osapi.DeadLetter, operations: osapi.Operations) -> DeadLetter:
    definition = None if letter.job is None else letter.job.definition
    return DeadLetter(
        sequence=letter.sequence,
        timestamp=timestamp(letter.at),
        reason=letter.reason,
        consumer=letter.consumer,
        deliveries=letter.deliveries,
        job_id=letter.job_id,
        operation="" if definition is None else definition.operation,
        target="" if definition is None else definition.target,
        hostname=letter.host,
        job=None if letter.job is None else job_detail(letter.job, operations),
    )


_READ = partial(Endpoint, permission="job:read")
_WRITE = partial(Endpoint, permission="job:write")

ENDPOINTS: Final = (
    _READ(
        name="list_dead_letters",
        method="GET",
        path="/job/dlq",
        summary="List dead letters, newest first",
        handler=list_letters,
        query=LetterQuery,
        answers={200: DeadLetterList, 400: Problem},
    ),
    _WRITE(
        name="purge_dead_letters",
        method="DELETE",
        path="/job/dlq",
        summary="Remove dead letters: those of an operation, a target or a reason, or all",
        handler=purge_letters,
        query=PurgeQuery,
        answers={200: Purged, 400: Problem},
    ),
    _READ(
        name="get_dead_letter",
        method="GET",
        path="/job/dlq/<sequence>",
        summary="Show one dead letter with its job",
        handler=get_letter,
        answers={200: DeadLetter, 400: Problem, 404: Problem},
    ),
    _WRITE(
        name="delete_dead_letter",
        method="DELETE",
        path="/job/dlq/<sequence>",
        summary="Remove one dead letter; its job stays as it is",
        handler=delete_letter,
        answers={204: None, 400: Problem, 404: Problem},
    ),
    _WRITE(
        name="replay_dead_letter",
        method="POST",
        path="/job/dlq/<sequence>/replay",
        summary="Submit the job of a dead letter once more; needs the permission of its operation, too",
        handler=replay_letter,
        answers={201: shapes.JobCreated, 400: Problem, 404: Problem},
    ),
)
