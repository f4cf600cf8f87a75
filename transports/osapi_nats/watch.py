"""A watch on JetStream: an ordered push consumer of the bucket's stream, made anew wherever it left off."""

from __future__ import annotations

from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Literal

import trio

from osapi.errors import DisconnectedError
from osapi.inbox import Inbox
from osapi.transport import Entry
from osapi_nats.api import ConsumerAnswer
from osapi_nats.documents import ns
from osapi_nats.messages import change_of, place_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from osapi_nats.api import Api
    from osapi_nats.connection import Incoming, Subscription
    from osapi_nats.messages import Place

# The server says that often that it is there, in seconds; unheard for twice as long, the watch is made anew.
_HEARTBEAT = 2.0
# A consumer that was not taken away goes by itself after so long without anybody listening.
_LINGERS = 30.0
# While replicas elect a leader nobody answers, so after a break we ask again this often.
_PATIENCE = 1.0

_CONTROL = 100


class NatsWatch:
    """Implements `osapi.transport.Watch`, and `osapi_nats.link.Receiver`.

    Flow control: the server stops sending while the reader has not taken what came, so a slow watcher costs bounded
    memory here.
    """

    goes_by_others = False

    def __init__(
        self,
        api: Api,
        stream: str,
        what: str,
        filters: list[str],
        key_at: int,
        start: Literal["all", "new"] | int,
        *,
        headers_only: bool,
    ) -> None:
        self._api = api
        self._stream = stream
        self._what = what
        self._filters = filters
        self._key_at = key_at
        self._headers_only = headers_only
        self._start = start
        self._position = start if isinstance(start, int) else 0  # the newest revision that has come
        self._inbox: Inbox[Entry] = Inbox()
        self._first = 0  # so many of what waits in the inbox belong to the first set
        self._has_first = start == "new"  # whether the first set has come as a whole
        self._flow = ""  # what to answer once everything was taken
        self._name = ""
        self._subscription: Subscription | None = None
        self._last_number: int = 0
        self._number_of_first = 0  # the first set has so many entries, by what the server said when it began
        self._is_broken = False
        self._heard = 0.0
        self._is_placed = False  # whether it has been in place once: from then on nothing may be left out

    # --- For the reader ------------------------------------------------------------------------------------

    @property
    def caught_up(self) -> bool:
        """Tell whether `receive` has given all of the first set."""
        return self._has_first and not self._first

    async def receive(self) -> Sequence[Entry]:
        """Wait for entries and return all that have come; a cancelled call loses nothing."""
        if self._inbox.items:
            await trio.lowlevel.checkpoint()
        while not (taken := self.receive_nowait()):
            await self._inbox.wait()
        return taken

    async def first_set(self) -> list[Entry]:
        """Wait for the whole first set and return what `receive` would, which may be nothing."""
        entries: list[Entry] = []
        while not self.caught_up:
            if not self._inbox.items:
                await self._inbox.wait()
            entries += self.receive_nowait()
        return entries

    def receive_nowait(self) -> Sequence[Entry]:
        """Return what has already come, perhaps nothing, without waiting."""
        taken = self._inbox.take()
        if 0 < self._first < len(taken):
            self._inbox.items = taken[self._first :]
            del taken[self._first :]
        self._first -= min(self._first, len(taken))
        if self._flow and not self._inbox.items:
            self._api.link.post(self._flow, b"")
            self._flow = ""
        return taken

    # --- For the connection --------------------------------------------------------------------------------

    async def resume(self) -> None:
        """Make the consumer, after the last entry that has come."""
        self._leave()
        self._name = token_hex(8)
        subject, self._subscription = self._api.link.listen(self._arrive)
        self._last_number = 0
        self._number_of_first = 0
        self._is_broken = False
        self._flow = ""
        request = {"stream_name": self._stream, "config": self._document(subject), "action": "create"}
        ask = partial(
            self._api.ask, f"CONSUMER.CREATE.{self._stream}.{self._name}", request, ConsumerAnswer, self._what
        )
        answer = await (self._insist(ask) if self._is_placed else ask())
        self._heard = trio.current_time()
        if answer is None:
            return
        if not self._is_placed and self._start == "new":
            self._position = max(self._position, answer.delivered.stream_seq)
        self._is_placed = True
        self._number_of_first = answer.num_pending
        if self._last_number >= answer.num_pending:
            self._complete()

    async def _insist(self, ask: Callable[[], Awaitable[ConsumerAnswer]]) -> ConsumerAnswer | None:
        """Ask until there is an answer, which makes one consumer; None if it may tell of more than has come here."""
        with trio.move_on_after(_PATIENCE):
            return await ask()
        with trio.move_on_after(self._api.link.timeout):
            while True:
                with trio.move_on_after(_PATIENCE):
                    await ask()
                    return None
        raise DisconnectedError(f"{self._what}: nobody made the consumer of a watch in time")

    @property
    def deaf_at(self) -> float:
        """Return when the server will have missed two heartbeats."""
        return self._heard + 2 * _HEARTBEAT + 0.5

    def end(self, error: Exception) -> None:
        """Let the reader get an error once it has taken what came."""
        self._inbox.end(error)

    def close(self, error: Exception) -> None:
        """End the watch here and at the server; what was not yet received is dropped."""
        self._leave()
        self._first = 0
        self._inbox.items.clear()
        self._inbox.end(error)

    def _leave(self) -> None:
        if self._subscription is not None:
            self._subscription.unsubscribe()
            self._subscription = None
            self._api.link.post(f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._name}", b"")

    def _document(self, subject: str) -> dict[str, Any]:
        document: dict[str, Any] = {
            "name": self._name,
            "deliver_subject": subject,
            "ack_policy": "none",
            "filter_subjects": self._filters,
            "flow_control": True,
            "idle_heartbeat": ns(_HEARTBEAT),
            "inactive_threshold": ns(_LINGERS),
            "headers_only": self._headers_only,
            "mem_storage": True,
            "num_replicas": 1,
        }
        if self._start == "all" and not self._has_first:
            return document | {"deliver_policy": "last_per_subject"}
        if self._start == "new" and not self._is_placed:
            return document | {"deliver_policy": "new"}
        if [pattern[self._key_at :] for pattern in self._filters] == [">"]:
            # All the bucket has. For a filter the server counts what is left: with 100,000 keys, a watch of the last
            # few takes 10 ms, and 1 without. An empty list would not do: a cluster that is asked again takes that for
            # another consumer, and refuses (seen with 2.15.1).
            del document["filter_subjects"]
        return document | {"deliver_policy": "by_start_sequence", "opt_start_seq": self._position + 1}

    # --- What comes ----------------------------------------------------------------------------------------

    def _arrive(self, message: Incoming) -> None:
        self._heard = trio.current_time()
        if message.status:
            self._control(message)
            return
        place = place_of(message.reply)
        if self._is_broken or place.number != self._last_number + 1:
            self._is_broken = True
            self._api.link.resume(self)
            return
        self._last_number = place.number
        if place.sequence > self._position:
            self._position = place.sequence
            self._put(message, place)
        # What is written while the first set is on its way counts as pending too.
        if not place.pending or place.number == self._number_of_first:
            self._complete()

    def _put(self, message: Incoming, place: Place) -> None:
        change = change_of(message.headers)
        value = message.payload if change == "put" else b""
        if not self._has_first:
            self._first += 1
        self._inbox.put(Entry(message.subject[self._key_at :], value, place.sequence, place.created, change))

    def _control(self, message: Incoming) -> None:
        if message.status != _CONTROL:
            self._api.link.resume(self)
            return
        if flow := message.reply or message.headers.get("Nats-Consumer-Stalled", ""):
            if self._inbox.items:
                self._flow = flow
            else:
                self._api.link.post(flow, b"")
            return
        # A heartbeat comes when there is nothing else to send: the rest of the first set may have expired.
        last = int(message.headers.get("Nats-Last-Consumer", "0"))
        if last == self._last_number:
            self._complete()
        else:
            self._api.link.resume(self)

    def _complete(self) -> None:
        if not self._has_first:
            self._has_first = True
            self._inbox.nudge()
