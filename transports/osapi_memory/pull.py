"""A receiver of a consumer as a client sees it, and what it receives."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from osapi.errors import ClosedError, InvalidSettingError, TransportError
from osapi.inbox import Inbox
from osapi_memory.consumer_core import PullCore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from osapi.transport import Message
    from osapi_memory.connection import Connection
    from osapi_memory.stream_core import StreamCore


class MemoryPull:
    """Implements `osapi.transport.Pull`."""

    __slots__ = ("_copies", "_inbox", "_outstanding", "connection", "consumer", "core", "stream")

    def __init__(self, connection: Connection, stream: StreamCore, name: str) -> None:
        self.connection = connection
        self.stream = stream
        self._inbox: Inbox[MemoryDelivery] = Inbox()
        self._copies: deque[tuple[Message, int]] = deque()
        self._outstanding = 0  # requested and not yet here: what has to be requested again on a new connection
        arrive = self.arrive if connection.wire is None else connection.wire.unreliable(self)
        self.core = PullCore(arrive, self._on_deleted)
        self.consumer = stream.open_pull(name, self.core, connection.broker.now())

    def request(self, count: int) -> None:
        """Ask for `count` messages more.

        Raises:
            InvalidSettingError: not a whole number of at least 1.

        """
        if type(count) is not int or count < 1:
            raise InvalidSettingError(count, "is not a number of messages", "request at least 1")
        self._outstanding += count
        while self._copies and count:
            self.arrive(*self._copies.popleft())
            count -= 1
        if count and self.connection.is_up and self._inbox.ended is None:
            self.stream.request(self.consumer, self.core, count, self.connection.broker.now())

    async def receive(self) -> Sequence[MemoryDelivery]:
        """Wait for messages and return all that have come; a cancelled call loses nothing."""
        if self._inbox.items:
            await self.connection.turn()
        else:
            await self._inbox.wait()
        return self._inbox.take()

    def arrive(self, message: Message, deliveries: int) -> None:
        """Take what the broker hands over, unless the end came first."""
        if self._inbox.ended is None:
            self._outstanding -= 1
            self._inbox.put(MemoryDelivery(self, message, deliveries))

    def miss(self) -> None:
        """Ask again in place of a message that got lost, as a client does whose request has timed out."""
        self.consumer.request(self.core, 1)

    def copy(self, message: Message, deliveries: int) -> None:
        """Keep a second copy of a delivery until something is requested: no pull gets more than it asked for."""
        self._copies.append((message, deliveries))

    def detach(self) -> None:
        """Leave the broker: the connection is down, and requests are forgotten there."""
        self.stream.close_pull(self.consumer, self.core, self.connection.broker.now())
        self._copies.clear()

    def attach(self) -> None:
        """Come back and ask again for what did not arrive."""
        now = self.connection.broker.now()
        try:
            self.consumer = self.stream.open_pull(self.consumer.config.name, self.core, now)
        except TransportError as error:
            self._inbox.end(ClosedError(str(error)))
            return
        if self._outstanding:
            self.stream.request(self.consumer, self.core, self._outstanding, now)

    def close(self, error: Exception) -> None:
        """End; what has come and was not received is given back."""
        self.stream.close_pull(self.consumer, self.core, self.connection.broker.now())
        for delivery in self._inbox.items:
            delivery.nak()
        self._inbox.items.clear()
        self._inbox.end(error)

    def _on_deleted(self) -> None:
        self._inbox.end(ClosedError(f"consumer {self.consumer.config.name} was deleted"))


class MemoryDelivery:
    """Implements `osapi.transport.Delivery`."""

    __slots__ = ("_pull", "deliveries", "headers", "payload", "sequence", "subject")

    def __init__(self, pull: MemoryPull, message: Message, deliveries: int) -> None:
        self._pull = pull
        self.subject = message.subject
        self.payload = message.payload
        self.headers: Mapping[str, str] = message.headers
        self.sequence = message.sequence
        self.deliveries = deliveries

    def ack(self) -> None:
        """Answer that it is done."""
        pull = self._pull
        connection = pull.connection
        if connection.trouble is None:
            pull.stream.answer(pull.consumer, self.sequence, connection.broker.now())
        else:
            connection.trouble.post(self._end)

    def nak(self, delay: float = 0.0) -> None:
        """Ask for another delivery, `delay` seconds from now."""
        self._post(partial(self._nak, delay))

    def in_progress(self) -> None:
        """Start `ack_wait` anew."""
        self._post(self._progress)

    def term(self, reason: str = "") -> None:
        """Answer that it shall never be delivered again."""
        self._post(partial(self._term, reason))

    def _post(self, answer: Callable[[], None]) -> None:
        trouble = self._pull.connection.trouble
        if trouble is None:
            answer()
        else:
            trouble.post(answer)

    def _end(self) -> None:
        pull = self._pull
        pull.stream.answer(pull.consumer, self.sequence, pull.connection.broker.now())

    def _term(self, reason: str) -> None:
        pull = self._pull
        pull.stream.term(pull.consumer, self.sequence, self.deliveries, reason, pull.connection.broker.now())

    def _nak(self, delay: float) -> None:
        pull = self._pull
        pull.stream.nak(pull.consumer, self.sequence, delay, pull.connection.broker.now())

    def _progress(self) -> None:
        pull = self._pull
        pull.stream.in_progress(pull.consumer, self.sequence, pull.connection.broker.now())
