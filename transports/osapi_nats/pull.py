"""A receiver of a durable consumer: requests that wait at the server, and what they are served."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import msgspec
import trio

from osapi.errors import ClosedError, InvalidSettingError
from osapi.inbox import Inbox
from osapi_nats.api import ConsumerAnswer
from osapi_nats.documents import ns
from osapi_nats.messages import delivery_of, users

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from osapi_nats.api import Api
    from osapi_nats.connection import Incoming, Subscription
    from osapi_nats.link import Link

# So long a request waits at the server before it has to be made again, in seconds.
_EXPIRES = 30.0
# That often the server says that it still holds a request. A server that is killed takes its connections along, but
# one replica's leader may die while the connection is to another; then silence is all there is to see.
_HEARTBEAT = 5.0
_HEARTBEAT_OF_REPLICAS = 1.5
# For each heartbeat that is due, and each request that expires, the server looks at all that wait at the consumer:
# twice as many are four times the work. Where more may wait than by default, they ask less often, for no heartbeats.
_CROWD = 512
_EXPIRES_OF_CROWD = 60.0
_SILENCE_OF_CROWD = 70.0
# A request that was refused (too many wait) is made again after so long.
_PAUSE = 1.0
# While replicas elect a leader nobody answers for a consumer; so long we wait to hear whether it is still there.
_PATIENCE = 1.0

_HEARTBEAT_STATUS = 100
_TIMED_OUT = 408
_CONFLICT = 409

_encode = msgspec.json.Encoder().encode


class NatsPull:
    """Implements `osapi.transport.Pull`, and `osapi_nats.link.Receiver`."""

    def __init__(
        self, api: Api, stream: str, consumer: str, subject_at: int, *, replicas: int, max_waiting: int
    ) -> None:
        self._api = api
        self._stream = stream
        self._consumer = consumer
        self._subject_at = subject_at
        self.goes_by_others = max_waiting > _CROWD
        if self.goes_by_others:
            self._asks_for = {"expires": ns(_EXPIRES_OF_CROWD)}
            self._longest_silence = _SILENCE_OF_CROWD
        else:
            heartbeat = _HEARTBEAT if replicas == 1 else _HEARTBEAT_OF_REPLICAS
            self._asks_for = {"expires": ns(_EXPIRES), "idle_heartbeat": ns(heartbeat)}
            self._longest_silence = 2 * heartbeat + 0.5
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox: Inbox[NatsDelivery] = Inbox()
        self._outstanding = 0  # requested and not yet here
        self._held_back = 0  # of these, what the server has not been told of
        self._reply = ""
        self._subscription: Subscription | None = None
        self._heard = 0.0
        self._resumed = float("-inf")

    # --- For the receiver ----------------------------------------------------------------------------------

    def request(self, count: int) -> None:
        """Ask for `count` messages more.

        Raises:
            InvalidSettingError: not a whole number of at least 1.

        """
        if type(count) is not int or count < 1:
            raise InvalidSettingError(count, "is not a number of messages", "request at least 1")
        if not self._outstanding:
            self._heard = trio.current_time()
        self._outstanding += count
        self._held_back += count
        self._ask()

    async def receive(self) -> Sequence[NatsDelivery]:
        """Wait for messages and return all that have come; a cancelled call loses nothing."""
        if self._inbox.items:
            await trio.lowlevel.checkpoint()
        else:
            await self._inbox.wait()
        return self._inbox.take()

    # --- For the connection --------------------------------------------------------------------------------

    async def resume(self) -> None:
        """Ask again for all that has not come, where no answer to an earlier request can arrive."""
        self._leave()
        await trio.sleep(max(0.0, self._resumed + _PAUSE - trio.current_time()))
        self._resumed = trio.current_time()
        with trio.move_on_after(_PATIENCE):
            await self._api.ask(
                f"CONSUMER.INFO.{self._stream}.{self._consumer}", None, ConsumerAnswer, f"consumer {self._consumer}"
            )
        self._reply, self._subscription = self._api.link.listen(self._arrive)
        self._heard = trio.current_time()
        self._held_back = self._outstanding
        self._ask()

    @property
    def deaf_at(self) -> float:
        """Return when the server will have missed two heartbeats, or the end, of a request that should wait there."""
        return self._heard + self._longest_silence if self._outstanding else inf

    def end(self, error: Exception) -> None:
        """Let the receiver get an error once it has taken what came."""
        self._inbox.end(error)

    def close(self, error: Exception) -> None:
        """End; what has come and was not received is given back."""
        self._leave()
        for delivery in self._inbox.items:
            delivery.nak()
        self._inbox.items.clear()
        self._inbox.end(error)

    def _leave(self) -> None:
        # Without anybody listening the server drops the requests.
        if self._subscription is not None:
            self._subscription.unsubscribe()
            self._subscription = None

    def _ask(self) -> None:
        # A request for each message costs the server more than the message. Some are held back, as long as four
        # times as many wait there: whoever asked for more than arrives gets no less, for at none waiting all are sent.
        count = self._held_back
        if count and 4 * count >= self._outstanding - count and self._subscription is not None:
            self._held_back = 0
            self._api.link.post(self._next, _encode({"batch": count, **self._asks_for}), self._reply)

    # --- What comes ----------------------------------------------------------------------------------------

    def _arrive(self, message: Incoming) -> None:
        self._heard = trio.current_time()
        if message.status:
            self._control(message)
        else:
            self._outstanding -= 1
            if self._held_back:
                self._ask()
            self._inbox.put(NatsDelivery(self._api.link, message, self._subject_at))

    def _control(self, message: Incoming) -> None:
        if message.status == _HEARTBEAT_STATUS:
            return
        if message.status == _TIMED_OUT:
            self._held_back += int(message.headers.get("Nats-Pending-Messages", "1"))
            self._ask()
        elif message.status == _CONFLICT and "Deleted" in message.description:
            self._inbox.end(ClosedError(f"consumer {self._consumer} was deleted"))
        else:
            # Too many wait, the leader has changed, the server shuts down, or the consumer is not there.
            self._api.link.resume(self)


class NatsDelivery:
    """Implements `osapi.transport.Delivery`."""

    __slots__ = ("_headers", "_link", "_reply", "payload", "subject")

    def __init__(self, link: Link, message: Incoming, subject_at: int) -> None:
        self._link = link
        self._headers = message.headers
        self._reply = message.reply
        self.subject = message.subject[subject_at:]
        self.payload = message.payload

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers that whoever published it gave."""
        return users(self._headers)

    @property
    def sequence(self) -> int:
        """Return its sequence in the stream."""
        return delivery_of(self._reply)[1]

    @property
    def deliveries(self) -> int:
        """Return how often it has been delivered, this time included."""
        return delivery_of(self._reply)[0]

    def ack(self) -> None:
        """Answer that it is done."""
        self._link.post(self._reply, b"+ACK")

    def nak(self, delay: float = 0.0) -> None:
        """Ask for another delivery, `delay` seconds from now."""
        self._link.post(self._reply, b"-NAK" if delay <= 0 else b'-NAK {"delay": %d}' % ns(delay))

    def in_progress(self) -> None:
        """Start `ack_wait` anew."""
        self._link.post(self._reply, b"+WPI")

    def term(self, reason: str = "") -> None:
        """Answer that it shall never be delivered again."""
        self._link.post(self._reply, f"+TERM {reason}".rstrip().encode())
