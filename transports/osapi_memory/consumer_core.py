"""A durable pull consumer without a clock, a task or a wire: who gets which message, and when again.

C1-C6 and C9 of `osapi.transport`, as JetStream was seen to do it. A message is in one of
these places, and nothing is ever searched for:

    new       matches, and was never delivered
    pending   delivered and unanswered; of these, some are
    again       waiting for their turn to be delivered again: `ack_wait` has passed, or a nak came
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from osapi_memory.agenda import Agenda

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from osapi.transport import ConsumerConfig, Message


class PullCore:
    """One receiver: `sink` is called with each message it is given and the number of the delivery."""

    __slots__ = ("ended", "sink", "wanted")

    def __init__(self, sink: Callable[[Message, int], None], ended: Callable[[], None]) -> None:
        self.sink = sink
        self.ended = ended
        self.wanted = 0


def unheard(sequence: int, deliveries: int) -> None:
    """Tell nobody that a message was given up."""


class ConsumerCore:
    """What one consumer has yet to deliver, what it waits to hear of, and who waits for messages."""

    __slots__ = (
        "_again",
        "_agenda",
        "_give_up",
        "_messages",
        "_new",
        "_newest",
        "_pending",
        "_waiting",
        "config",
        "position",
        "pulls",
    )

    def __init__(
        self,
        config: ConsumerConfig,
        messages: Mapping[int, Message],
        newest: Callable[[], int],
        give_up: Callable[[int, int], None] = unheard,
    ) -> None:
        self.config = config
        self.position = 0  # up to this sequence everything was delivered, or passed over
        self.pulls: dict[PullCore, None] = {}
        self._messages = messages
        self._newest = newest
        self._give_up = give_up  # called with a sequence and its deliveries when `max_deliver` is reached
        self._agenda: Agenda[int] = Agenda()
        self._new: OrderedDict[int, Message] = OrderedDict()
        self._pending: dict[int, int] = {}  # by sequence, the number of deliveries
        self._again: OrderedDict[int, None] = OrderedDict()
        self._waiting: deque[PullCore] = deque()  # each once, as long as it wants messages

    def set_alarm(self, alarm: Callable[[float], None]) -> None:
        """Tell `alarm` from now on of each moment that became the earliest one."""
        self._agenda.set_alarm(alarm)

    def end(self) -> None:
        """End all receivers: the consumer was deleted. It forgets everything, so late answers mean nothing."""
        for places in (self._new, self._pending, self._again, self._waiting):
            places.clear()
        self._agenda = Agenda()
        for pull in self.pulls:
            pull.ended()
        self.pulls.clear()

    # Every method below only takes note; `dispatch` hands out, once the caller has removed what is no longer kept.

    # --- What the log says ---------------------------------------------------------------------------------

    def offer(self, message: Message) -> None:
        """Take note of a message that was just stored and matches."""
        self._new[message.sequence] = message

    def forget(self, sequence: int) -> int:
        """Let go of a message that is no longer kept; return what `release` does."""
        return 0 if self._new.pop(sequence, None) is not None else self.release(sequence)

    def refill(self, messages: Iterable[Message]) -> None:
        """Replace what is yet to be delivered, after filters were set; messages in order."""
        self._new = OrderedDict((message.sequence, message) for message in messages)

    # --- What receivers say --------------------------------------------------------------------------------

    def open(self, pull: PullCore) -> None:
        """Add a receiver."""
        self.pulls[pull] = None

    def close(self, pull: PullCore) -> None:
        """Remove a receiver with its requests; what was given to it is delivered again after `ack_wait`."""
        del self.pulls[pull]
        if pull.wanted:
            pull.wanted = 0
            self._waiting.remove(pull)

    def request(self, pull: PullCore, count: int) -> None:
        """Add to what a receiver wants."""
        if not pull.wanted:
            self._waiting.append(pull)
        pull.wanted += count

    def release(self, sequence: int) -> int:
        """End a message (ack, term), by any of its deliveries: the broker fences nothing.

        Return how often it was delivered, 0 if it was not pending; a pending one frees its slot.
        """
        deliveries = self._pending.pop(sequence, 0)
        if deliveries:
            self._agenda.cancel(sequence)
            if self._again:
                self._again.pop(sequence, None)
        return deliveries

    def nak(self, sequence: int, delay: float, now: float) -> bool:
        """Line up again, at once or after a delay during which the message keeps its slot; tell if it is pending."""
        if sequence not in self._pending:
            return False
        if delay > 0:
            self._again.pop(sequence, None)
            self._agenda.set(sequence, now + delay)
        else:
            self._agenda.cancel(sequence)
            self._again[sequence] = None
        return True

    def in_progress(self, sequence: int, now: float) -> None:
        """Start the wait for an answer anew, unless it is over already."""
        deliveries = self._pending.get(sequence)
        if deliveries is not None and sequence not in self._again:
            self._agenda.set(sequence, now + self._wait(deliveries))

    # --- Time ----------------------------------------------------------------------------------------------

    def next_due(self) -> float:
        """Return when `advance` should be called next, infinity for never."""
        return self._agenda.next_due()

    def advance(self, now: float) -> bool:
        """Line up again what was not answered in time, and tell if there was any."""
        late: list[int] = []
        while due := self._agenda.pop(now):
            late.append(due[1])
        for sequence in sorted(late):
            # JetStream gives a message up at once only if it may be delivered once; otherwise at the next pull.
            if self.config.max_deliver == 1:
                self._give_up(sequence, self._pending.pop(sequence))
            else:
                self._again[sequence] = None
        return bool(late)

    # --- Handing out ---------------------------------------------------------------------------------------

    def dispatch(self, now: float) -> None:
        """Give messages to waiting receivers in turn, as long as there are both."""
        waiting = self._waiting
        while waiting and (self._again or self._new):
            found = self._next()
            if found is None:
                return
            message, deliveries = found
            sequence = message.sequence
            self._pending[sequence] = deliveries
            self._agenda.set(sequence, now + self._wait(deliveries))
            pull = waiting.popleft()
            pull.wanted -= 1
            if pull.wanted:
                waiting.append(pull)
            pull.sink(message, deliveries)
        if waiting and not self._new and not self.is_stalled:
            # Whoever looked for a match in vain has looked at everything.
            self.position = self._newest()

    @property
    def is_stalled(self) -> bool:
        """Tell whether as many are unanswered as may be."""
        return 0 < self.config.max_ack_pending <= len(self._pending)

    def _next(self) -> tuple[Message, int] | None:
        # Redeliveries come first and need no slot: they still have theirs.
        while self._again:
            sequence, _ = self._again.popitem(last=False)
            deliveries = self._pending[sequence] + 1
            if 0 < self.config.max_deliver < deliveries:
                self._give_up(sequence, self._pending.pop(sequence))
            else:
                return self._messages[sequence], deliveries
        if not self._new or self.is_stalled:
            return None
        self.position, message = self._new.popitem(last=False)
        return message, 1

    def _wait(self, deliveries: int) -> float:
        backoff = self.config.backoff
        return backoff[min(deliveries, len(backoff)) - 1] if backoff else self.config.ack_wait

    # --- Figures -------------------------------------------------------------------------------------------

    @property
    def new(self) -> int:
        """Return how many messages were never delivered."""
        return len(self._new)

    @property
    def ack_pending(self) -> int:
        """Return how many are unanswered."""
        return len(self._pending)

    @property
    def redelivered(self) -> int:
        """Return how many of the unanswered were delivered more than once."""
        return sum(deliveries > 1 for deliveries in self._pending.values())

    @property
    def deadlines(self) -> int:
        """Return how many moments are kept in mind, those included that no longer count."""
        return self._agenda.size

    @property
    def waiting(self) -> int:
        """Return how many receivers want messages."""
        return len(self._waiting)
