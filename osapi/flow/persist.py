"""Writes that get through: repeated while the broker is away, and never in doubt afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import trio

from osapi.errors import ConflictError, DisconnectedError, UncertainError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from osapi.transport import KeyValue

T = TypeVar("T")

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


async def insist(call: Callable[[], Awaitable[T]], patience: float) -> T:
    """Make a call that may safely be made twice, again and again for up to `patience` seconds.

    Raises:
        DisconnectedError, UncertainError: the last of them, when patience is at its end; and what `call` raises.

    """
    pauses: _Pauses | None = None
    while True:
        try:
            return await call()
        except (DisconnectedError, UncertainError):
            pauses = pauses or _Pauses(patience)
            if not await pauses.next():
                raise


async def write(bucket: KeyValue, key: str, value: bytes, revision: int, *, ttl: int | None, patience: float) -> int:
    """Create a key (revision 0) or replace that revision of it, and return the new revision.

    A write whose answer was lost is repeated. If it then conflicts with a value that is ours byte for byte, it
    had been stored the first time: values must therefore differ from any that another would write.

    Raises:
        ConflictError: somebody else wrote first.
        DisconnectedError, UncertainError: the last of them, when patience is at its end.
        PayloadTooLargeError, LimitReachedError, InvalidKeyError: from the bucket.

    """
    pauses: _Pauses | None = None
    doubt = False
    while True:
        try:
            if revision:
                return await bucket.update(key, value, revision, ttl=ttl)
            return await bucket.create(key, value, ttl=ttl)
        except ConflictError:
            if not doubt:
                raise
            stored = await insist(lambda: bucket.get(key), patience)
            if stored is not None and stored.value == value:
                return stored.revision
            raise
        except (DisconnectedError, UncertainError) as error:
            doubt = doubt or isinstance(error, UncertainError)
            pauses = pauses or _Pauses(patience)
            if not await pauses.next():
                raise


class _Pauses:
    """Growing waits until patience is at its end."""

    def __init__(self, patience: float) -> None:
        self._until = trio.current_time() + patience
        self._pause = _FIRST_PAUSE

    async def next(self) -> bool:
        """Wait, and tell whether to try again."""
        if trio.current_time() + self._pause > self._until:
            return False
        await trio.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        return True
