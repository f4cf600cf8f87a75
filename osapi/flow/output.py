"""Reading what a job writes: all that is there in order, then what comes, until it has ended."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import trio
from msgspec.structs import replace

from osapi.errors import UnknownHostError, UnknownJobError, UntrustedError, shown
from osapi.flow.persist import insist
from osapi.flow.sealed import SignedEntry
from osapi.rules import gather
from osapi.rules.keys import output_key, response_key
from osapi.rules.lifecycle import TERMINAL
from osapi.rules.names import normalise_hostname
from osapi.rules.output import Chunk, data_of, places
from osapi.rules.records import ANY_SLOT
from osapi.rules.seals import refusal, without_seal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from osapi.flow.store import Store
    from osapi.handle import JobHandle
    from osapi.rules.output import Place
    from osapi.rules.records import Definition
    from osapi.transport import Entry

# Chunks that are read at once.
_AT_ONCE = 16


async def read_output(
    store: Store, handle: JobHandle, host: str | None, after: Mapping[str, int]
) -> AsyncGenerator[Chunk]:
    """Yield the chunks of a job, or of one host, those of each slot in order, until the slots have ended.

    `after` says for each slot up to which position nothing is wanted.

    Raises:
        UnknownHostError, InvalidNameError: the host.
        UnknownJobError: the job is gone; ClosedError: the client's block ended first.
        UntrustedError: a piece is not signed by the host that it is from.
        RecordError, DisconnectedError

    """
    host = None if host is None else normalise_hostname(host)
    slots = _slots(handle.definition, host)
    seen = {slot: after.get(slot, 0) for slot in slots}
    while True:
        version = handle.version
        more = False
        for slot in slots:
            found = _next(handle, slot, seen[slot])
            more = more or len(found) == _AT_ONCE
            for chunk in await _read(store, handle.definition, slot, found):
                if host in {None, chunk.host}:
                    yield chunk
                seen[slot] = chunk.position
        # All that was there when the last of them ended has been read.
        if not more and version == handle.version:
            if all(slot in handle.records and handle.records[slot].status in TERMINAL for slot in slots):
                await trio.lowlevel.checkpoint()
                return
            await handle.changed(version)


def _slots(definition: Definition, host: str | None) -> Sequence[str]:
    slots = gather.slots(definition)
    if host is None or slots == (ANY_SLOT,):
        return slots
    if host not in slots:
        raise UnknownHostError(f"job {definition.id} is not for {shown(host)}; it is for {', '.join(slots[:10])}")
    return (host,)


def _next(handle: JobHandle, slot: str, position: int) -> list[Place]:
    record = handle.records.get(slot)
    return [] if record is None else places(record, position, _AT_ONCE)


async def _read(store: Store, definition: Definition, slot: str, found: Sequence[Place]) -> list[Chunk]:
    key = response_key(definition.origin, definition.id, slot)
    keys = [output_key(key, place.attempt, place.number) for place in found if not place.dropped]
    hosts = [place.host for place in found if not place.dropped]
    entries = await insist(partial(store.responses.get_many, keys), store.settings.persist) if keys else []
    values = [_vouched(entry, host) for entry, host in zip(entries, hosts, strict=True) if entry is not None]
    if len(values) < len(keys):
        raise UnknownJobError(f"job {definition.id} was deleted, or has outlived its lifetime: its output is gone")
    left = iter(values)
    return [_chunk(slot, place, None if place.dropped else next(left)) for place in found]


def _vouched(entry: Entry, host: str) -> bytes:
    """Return a stored chunk, if it is that host's, as far as there are keys to tell.

    Raises:
        UntrustedError

    """
    refused = refusal(entry.value)
    if refused is not None:
        raise UntrustedError(f"a piece of the output of {host} is refused: {refused[0]}", refused[1])
    if isinstance(entry, SignedEntry) and entry.host != host:
        raise UntrustedError(f"a piece of the output of {host} is refused: it is signed by {entry.host}", entry.value)
    return without_seal(entry.value)


def _chunk(slot: str, place: Place, value: bytes | None) -> Chunk:
    host, attempt, number, position, dropped = place
    told = Chunk(host=host, slot=slot, attempt=attempt, number=number, position=position, dropped=dropped)
    if value is None:
        return told
    stream, data = data_of(value)
    return replace(told, stream=stream, data=data)
