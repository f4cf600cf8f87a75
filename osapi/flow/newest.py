"""Reading the jobs newest first, without an index: from the end of the bucket back, as far as it takes."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from osapi.errors import UntrustedError
from osapi.flow.persist import insist
from osapi.rules.codec import DEFINITION
from osapi.rules.keys import DEFINITIONS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator

    from osapi.flow.store import Store
    from osapi.rules.records import Definition

# Other things than definitions lie in the bucket, too. Where it was too little, four times as much is read.
_MORE_THAN_WANTED = 2
_AT_LEAST = 64
_GROWTH = 4

_DEFINITION = DEFINITIONS.removesuffix("*")


async def newest(store: Store, wanted: int) -> AsyncGenerator[list[Definition]]:
    """Yield the jobs' definitions in the order in which they were written, newest first: at first about `wanted`.

    What it costs depends on how far back one reads, and not on how many jobs there are: the revisions of a bucket tell
    what came last. What is written meanwhile is not among them.

    Raises:
        RecordError, DisconnectedError

    """
    last = (await insist(store.jobs.info, store.settings.persist)).revision
    span = _MORE_THAN_WANTED * wanted + _AT_LEAST
    upto = last
    while upto > 0:
        start = max(0, last - span)
        yield await insist(partial(_between, store, start, upto), store.settings.persist)
        span *= _GROWTH
        upto = start


async def _between(store: Store, start: int, upto: int) -> list[Definition]:
    """Read the definitions that came after one revision, up to another.

    All that came is watched, and picked from: JetStream finds the end of a bucket at once, and that of what matches a
    pattern by counting.
    """
    found: dict[str, bytes] = {}
    async with store.jobs.watch(start=start) as watch:
        while not watch.caught_up:
            for entry in await watch.receive():
                if not entry.key.startswith(_DEFINITION):
                    continue
                if entry.change == "put" and entry.revision <= upto:
                    found[entry.key] = entry.value
                else:
                    # It was removed, or came, since.
                    found.pop(entry.key, None)
    return list(trusted(reversed(found.values())))


def trusted(values: Iterable[bytes]) -> Iterator[Definition]:
    """Decode definitions, and pass over those that cannot be trusted: the log tells of them where they are refused.

    Raises:
        RecordError: one is damaged.

    """
    for value in values:
        with suppress(UntrustedError):
            yield DEFINITION.decode(value)
