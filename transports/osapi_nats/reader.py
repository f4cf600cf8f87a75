"""Reading a stream without a consumer.

With one replica the server's direct reads are answered by the one that has it all. With more, any replica may answer
one, also one that lags behind; a definition that was stored a moment ago would be missing. There the leader reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
import trio

from osapi.errors import TransportError
from osapi_nats.api import MessageAnswer, NoMessageError, refusal_of
from osapi_nats.messages import entry_of, message_of, stored_entry, stored_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from osapi.transport import Entry, Message
    from osapi_nats.api import Api, StoredMessage
    from osapi_nats.connection import Incoming

T = TypeVar("T")

# The server refuses a batch of more than 1,024 subjects (413), and their names must fit into one request.
_AT_ONCE = 256
_NOT_FOUND = 404

_encode = msgspec.json.Encoder().encode


class Reader:
    """Reads of one stream; `offset` is where our part of its subjects begins, after a prefix of ours."""

    def __init__(self, api: Api, stream: str, what: str, offset: int, replicas: int) -> None:
        self._api = api
        self._stream = stream
        self._what = what
        self._offset = offset
        self._is_direct = replicas == 1
        self._get = f"$JS.API.DIRECT.GET.{stream}"

    async def newest(self, subject: str) -> Entry | None:
        """Return the newest entry on a subject, markers included."""
        if not self._is_direct:
            return await self._one({"last_by_subj": subject}, entry_of, stored_entry)
        await trio.lowlevel.checkpoint_if_cancelled()
        # In the subject of the request, the server need not read what is asked for out of JSON.
        told = await self._api.link.request(f"{self._get}.{subject}")
        if told.status:
            await self._check_none(told)
            return None
        return entry_of(self._offset, told)

    async def newest_of(self, subjects: list[str]) -> dict[str, Entry]:
        """Return the newest entries of many subjects by key, markers included."""
        if not self._is_direct:
            return await self._newest_one_by_one(subjects)
        found: dict[str, Entry] = {}
        for start in range(0, len(subjects), _AT_ONCE):
            part = subjects[start : start + _AT_ONCE]
            for told in await self._batch({"multi_last": part, "batch": len(part)}):
                entry = entry_of(self._offset, told)
                found[entry.key] = entry
        return found

    async def all_of(self, subject: str) -> list[Entry]:
        """Return the kept entries of a subject, oldest first."""
        if self._is_direct:
            batch = await self._batch({"seq": 1, "next_by_subj": subject, "batch": _AT_ONCE})
            return [entry_of(self._offset, told) for told in batch]
        found: list[Entry] = []
        while True:
            after = found[-1].revision + 1 if found else 1
            entry = await self._one({"seq": after, "next_by_subj": subject}, entry_of, stored_entry)
            if entry is None:
                return found
            found.append(entry)

    async def message(self, request: object) -> Message | None:
        """Return a message by `{"seq": n}` or `{"last_by_subj": subject}`."""
        return await self._one(request, message_of, stored_message)

    # --- Steps ---------------------------------------------------------------------------------------------

    async def _one(
        self,
        request: object,
        direct: Callable[[int, Incoming], T],
        stored: Callable[[int, StoredMessage], T],
    ) -> T | None:
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._is_direct:
            told = await self._api.link.request(self._get, _encode(request))
            if told.status:
                await self._check_none(told)
                return None
            return direct(self._offset, told)
        try:
            answer = await self._api.read(f"STREAM.MSG.GET.{self._stream}", request, MessageAnswer, self._what)
        except NoMessageError:
            return None
        return None if answer.message is None else stored(self._offset, answer.message)

    async def _check_none(self, told: Incoming) -> None:
        if told.status != _NOT_FOUND:
            raise await self._api.refused(refusal_of(told), self._stream, self._what)

    async def _batch(self, request: object) -> list[Incoming]:
        await trio.lowlevel.checkpoint_if_cancelled()
        batch = await self._api.link.request_batch(self._get, _encode(request))
        if batch and batch[-1].status:
            if batch[-1].status != _NOT_FOUND:
                raise await self._api.refused(refusal_of(batch[-1]), self._stream, self._what)
            batch.pop()
        return batch

    async def _newest_one_by_one(self, subjects: list[str]) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        failed: list[TransportError] = []

        async def read(subject: str) -> None:
            try:
                entry = await self.newest(subject)
            except TransportError as error:
                failed.append(error)
                nursery.cancel_scope.cancel()
                return
            if entry is not None:
                found[entry.key] = entry

        async with trio.open_nursery() as nursery:
            for subject in subjects:
                nursery.start_soon(read, subject)
        if failed:
            raise failed[0]
        return found
