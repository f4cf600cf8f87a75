"""What is there for the length of a block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from types import TracebackType


class Block(ABC):
    """An object to be entered with `async with`, whose `_open` says in one generator what happens then.

    It is to a class what `asynccontextmanager` is to a function, and `_open` is decorated with that.
    """

    _block: AbstractAsyncContextManager[None]

    @abstractmethod
    def _open(self) -> AbstractAsyncContextManager[None]:
        """Do what comes before the block, yield once, and do what comes after it."""

    async def __aenter__(self) -> Self:
        self._block = self._open()
        await self._block.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._block.__aexit__(kind, error, trace)
