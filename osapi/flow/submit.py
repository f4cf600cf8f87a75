"""Submitting: the definition first, then the notification."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import trio
from msgspec.structs import replace

from osapi.errors import (
    ConflictError,
    KeyReusedError,
    LimitReachedError,
    PayloadTooLargeError,
    TransportError,
    shown,
)
from osapi.flow.notify import notify
from osapi.flow.persist import insist, write
from osapi.flow.waiting import leave_note
from osapi.rules import gather
from osapi.rules.codec import DEFINITION, HOLDER
from osapi.rules.idempotency import digest, holder_key
from osapi.rules.keys import job_key, slots_pattern
from osapi.rules.records import VERSION, Holder

if TYPE_CHECKING:
    from osapi.flow.store import Store
    from osapi.rules.records import Definition
    from osapi.rules.targets import Target

# How long an interrupted submission may take to remove what it wrote.
UNDO_SECONDS = 1.0


async def submit(store: Store, definition: Definition, target: Target, *, agents: int = 0, away: bool = False) -> None:
    """Write a job and announce it; `agents` is how many there are, `away` says that its host is none of them.

    If it cannot be announced, or is cancelled before it was, the definition is removed again, so that nobody
    runs a job whose submission failed.

    Raises:
        PayloadTooLargeError, LimitReachedError, DisconnectedError, UncertainError

    """
    # Nobody else has this id: there is nothing to compare with, and repeated, the same bytes are put again.
    key = job_key(definition.id)
    put = partial(store.jobs.put, key, DEFINITION.encode(definition), ttl=store.ttl(definition))
    try:
        await insist(put, store.settings.persist)
    except (PayloadTooLargeError, LimitReachedError):
        raise  # nothing was stored, and the marker of a purge would take room as well
    except BaseException:
        await undo(store, key)
        raise
    try:
        await _announce(store, definition, target, agents, away=away)
    except BaseException:
        await undo(store, key)
        raise


async def undo(store: Store, key: str) -> None:
    """Remove the definition of a job that shall not run, within a second, whatever else is cancelled.

    If the broker is away, nobody hears of the job, or it runs and ends by its deadline.
    """
    with trio.CancelScope(shield=True, deadline=trio.current_time() + UNDO_SECONDS), suppress(TransportError):
        await insist(partial(store.jobs.purge, key), UNDO_SECONDS)


async def submit_once(
    store: Store, definition: Definition, key: str, target: Target, *, agents: int = 0, away: bool = False
) -> Definition:
    """Write and announce the job that an idempotency key stands for, as far as that is not done; return it.

    It is this one, or the one that came first with the same key and payload. Nothing is removed when a step fails,
    since another may rely on it by then: whoever repeats the call goes on where this one stopped.

    Raises:
        KeyReusedError: the key stands for another payload.
        RecordError: what is stored cannot be read.
        PayloadTooLargeError, LimitReachedError, DisconnectedError, UncertainError

    """
    definition = replace(definition, id=await _hold(store, definition, key))
    try:
        return await submit_known(store, definition, target, agents=agents, away=away)
    except PayloadTooLargeError:
        # No repetition can succeed: the key is free for a smaller payload.
        await insist(partial(store.jobs.purge, holder_key(key)), store.settings.persist)
        raise


async def submit_known(
    store: Store, definition: Definition, target: Target, *, agents: int = 0, away: bool = False
) -> Definition:
    """Write and announce a job whose id others know as well, as far as that is not done; return it as it stands.

    Repeated, by anybody, it goes on where it stopped.

    Raises:
        RecordError: what is stored cannot be read.
        PayloadTooLargeError, LimitReachedError, DisconnectedError, UncertainError

    """
    first = await _stored(store, definition.id)
    if first is None:
        try:
            await _define(store, definition)
        except ConflictError:
            first = await _stored(store, definition.id)
    standing = first or definition
    if first is None or not await _is_heard(store, standing):
        await _announce(store, standing, target, agents, away=away)
    return standing


async def _is_heard(store: Store, definition: Definition) -> bool:
    """Tell whether every slot has a record: one host that has heard of a job says nothing of the others."""
    pattern = slots_pattern(definition.origin, definition.id)
    answered = await insist(partial(store.responses.keys, pattern), store.settings.persist)
    return len(answered) == len(gather.slots(definition))


async def forbid(store: Store, key: str) -> str | None:
    """Take an idempotency key, so that nothing is submitted under it any more; return the job that it stands for.

    It is empty if there is none and never will be; None if somebody has the key and may be about to submit.

    Raises:
        RecordError, LimitReachedError, DisconnectedError, UncertainError

    """
    name, patience = holder_key(key), store.settings.persist
    nothing = HOLDER.encode(Holder(v=VERSION, job="", digest=""))
    try:
        await write(store.jobs, name, nothing, 0, ttl=None, patience=patience)
    except ConflictError:
        entry = await insist(partial(store.jobs.get, name), patience)
        if entry is None:
            return None
        job = HOLDER.decode(entry.value).job
        return job if not job or await _stored(store, job) is not None else None
    return ""


async def _announce(store: Store, definition: Definition, target: Target, agents: int, *, away: bool) -> None:
    if away:
        await leave_note(store, definition, target.host)
    await notify(store, definition, target, agents=agents)


async def _define(store: Store, definition: Definition) -> None:
    await write(
        store.jobs,
        job_key(definition.id),
        DEFINITION.encode(definition),
        0,
        ttl=store.ttl(definition),
        patience=store.settings.persist,
    )


async def _stored(store: Store, job_id: str) -> Definition | None:
    entry = await insist(partial(store.jobs.get, job_key(job_id)), store.settings.persist)
    return None if entry is None else DEFINITION.decode(entry.value)


async def _hold(store: Store, definition: Definition, key: str) -> str:
    """Return the id of the job that the key stands for from now on."""
    mine = Holder(v=VERSION, job=definition.id, digest=digest(definition))
    name, patience = holder_key(key), store.settings.persist
    while True:
        try:
            await write(store.jobs, name, HOLDER.encode(mine), 0, ttl=store.ttl(definition), patience=patience)
        except ConflictError:
            entry = await insist(partial(store.jobs.get, name), patience)
            if entry is None:
                continue
            holder = HOLDER.decode(entry.value)
            if holder.digest != mine.digest:
                raise KeyReusedError(
                    f"idempotency key {shown(key)} stands for job {holder.job}, which has another operation, target or "
                    f"data; use another key"
                ) from None
            return holder.job
        return mine.job
