"""Requests over a connection: each is answered, lost with the connection, or out of time. Nothing waits for ever."""

from __future__ import annotations

from itertools import count, islice
from math import inf
from secrets import token_hex
from typing import TYPE_CHECKING, Protocol

import trio

from osapi.errors import ClosedError, DisconnectedError, PayloadTooLargeError, TransportError
from osapi.inbox import Inbox
from osapi.rules.messages import headers_size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from osapi_nats.connection import Connection, Incoming, Subscription

# How soon again, and how late, we look for requests that are late and receivers that hear nothing, in seconds.
_SHORTEST_ROUND = 1.0
_LONGEST_ROUND = 5.0

# A batch of answers ends with one of these statuses; any other status is a refusal, which ends it as well.
_END_OF_BATCH = 204


class Receiver(Protocol):
    """A pull or a watch, as its connection sees it.

    One that hears nothing for long `goes_by_others`: when one of these is deaf, it may be as well.
    """

    goes_by_others: bool

    async def resume(self) -> None:
        """Go on where it was, now that there is a connection.

        Raises:
            DisconnectedError, UncertainError: it broke again; resume is called again with the next one.
            TransportError: there is nothing left to go on with.

        """
        ...

    @property
    def deaf_at(self) -> float:
        """Return when the server will have been silent for too long, by Trio's clock."""
        ...

    def end(self, error: Exception) -> None:
        """Let whoever receives get an error."""
        ...


class Link:
    """What all handles of one transport share: the connection, the requests under way, the open receivers."""

    def __init__(self, connection: Connection, timeout: float, nursery: trio.Nursery) -> None:
        self.connection = connection
        self.timeout = timeout
        self._nursery = nursery
        self._closed = False
        self._prefix = f"_INBOX.{token_hex(8)}."
        self._numbers = count()
        self._waiting: dict[str, _Asked] = {}
        self._receivers: dict[Receiver, bool] = {}  # True while it is being resumed
        self._up = trio.Event()
        self._up.set()
        connection.subscribe(f"{self._prefix}*", self._arrive)
        connection.watch_state(self._on_state)
        nursery.start_soon(self._make_rounds)

    # --- Requests ------------------------------------------------------------------------------------------

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        lost: type[TransportError] = DisconnectedError,
    ) -> Incoming:
        """Send a request and return its answer; cancelled, it may have been sent or not.

        Raises:
            ClosedError, DisconnectedError: nothing was sent.
            lost: it was sent, and the answer did not come.

        """
        answer = _Answer()
        key = self._send(subject, payload, headers, answer)
        try:
            if not answer.is_over:
                answer.task = trio.lowlevel.current_task()
                await trio.lowlevel.wait_task_rescheduled(answer.abort)
        finally:
            del self._waiting[key]
        if answer.told is None:
            raise answer.error(lost)
        return answer.told

    async def request_many(
        self, requests: Sequence[tuple[str, bytes, Mapping[str, str] | None]], *, lost: type[TransportError]
    ) -> list[Incoming | TransportError]:
        """Send requests, and return the answer of each, or what `request` would raise.

        Cancelled, each may have been sent or not.
        """
        answers: list[tuple[str, _Answer]] = []
        done: list[Incoming | TransportError] = []
        try:
            for subject, payload, headers in requests:
                answer = _Answer()
                try:
                    answers.append((self._send(subject, payload, headers, answer), answer))
                except TransportError as error:
                    answer.refuse(error)
                    answers.append(("", answer))
            # They come in much the same order: whoever waits for the first mostly finds the others there.
            for _, answer in answers:
                if not answer.is_over:
                    answer.task = trio.lowlevel.current_task()
                    await trio.lowlevel.wait_task_rescheduled(answer.abort)
                done.append(answer.told or answer.error(lost))
        finally:
            for key, _ in answers:
                self._waiting.pop(key, None)
        return done

    async def request_batch(self, subject: str, payload: bytes) -> list[Incoming]:
        """Send a request that only reads and return its answers, up to the one that marks the end, without that.

        A refusal is an answer, and the last one.

        Raises:
            ClosedError, DisconnectedError

        """
        answers = _Answers()
        key = self._send(subject, payload, None, answers)
        batch: list[Incoming] = []
        try:
            while not batch or not batch[-1].status:
                await answers.wait()
                batch += answers.take()
        finally:
            del self._waiting[key]
        return batch[:-1] if batch[-1].status == _END_OF_BATCH else batch

    def _send(self, subject: str, payload: bytes, headers: Mapping[str, str] | None, answer: _Asked) -> str:
        if self._closed:
            self.check_open()
        key = f"{self._prefix}{next(self._numbers)}"
        self.connection.publish(subject, payload, key, headers)
        answer.due = trio.current_time() + self.timeout
        self._waiting[key] = answer
        return key

    def _arrive(self, message: Incoming) -> None:
        if (answer := self._waiting.get(message.subject)) is not None:
            answer.put(message)

    def _give_up_late(self, now: float) -> None:
        # In the order in which they were sent, and all may take equally long: the late ones are in front. A look from
        # time to time in place of a timeout for each request saves a fifth of what a request costs.
        for answers in list(self._waiting.values()):
            if answers.due > now:
                return
            answers.end(DisconnectedError(f"the server did not answer within {self.timeout:g} s"))

    # --- What gets no answer -------------------------------------------------------------------------------

    def post(self, subject: str, payload: bytes, reply: str = "") -> None:
        """Send a message that nobody waits for; without a connection it is lost."""
        try:
            self.connection.publish(subject, payload, reply)
        except DisconnectedError:
            return

    def listen(self, handler: Callable[[Incoming], None]) -> tuple[str, Subscription]:
        """Return a subject that nobody else knows, and the subscription to it."""
        subject = f"{self._prefix}to.{next(self._numbers)}"
        return subject, self.connection.subscribe(subject, handler)

    def check_size(self, what: str, payload: bytes, headers: Mapping[str, str] | None) -> None:
        """Refuse what would make the server close the connection.

        Raises:
            PayloadTooLargeError

        """
        limit = self.connection.server.max_payload
        size = len(payload) + (headers_size(headers) if headers else 0)
        if size > limit:
            raise PayloadTooLargeError(what, size, limit)

    def check_open(self) -> None:
        """Refuse to go on after the transport's block.

        Raises:
            ClosedError

        """
        if self._closed:
            raise ClosedError("the transport's block has ended")

    # --- Receivers -----------------------------------------------------------------------------------------

    def add(self, receiver: Receiver) -> None:
        """Look after a receiver, until `remove`."""
        self._receivers[receiver] = False

    def remove(self, receiver: Receiver) -> None:
        """Leave a receiver alone."""
        self._receivers.pop(receiver, None)

    def resume(self, receiver: Receiver) -> None:
        """Let a receiver go on as soon as there is a connection, in the background."""
        if self._receivers.get(receiver) is False:
            self._receivers[receiver] = True
            self._nursery.start_soon(self._resume, receiver)

    async def _resume(self, receiver: Receiver) -> None:
        pause = 0.05
        while receiver in self._receivers:
            await self._up.wait()
            try:
                await receiver.resume()
                break
            except DisconnectedError:
                # With a connection, this is a server that does not answer yet, or a stream without a leader.
                await trio.sleep(pause)
                pause = min(2 * pause, 1.0)
            except Exception as error:  # noqa: BLE001 - whatever ended it is for whoever receives, not for the others
                receiver.end(_ended(error))
                break
        if receiver in self._receivers:
            self._receivers[receiver] = False

    async def _make_rounds(self) -> None:
        # No longer than a request may take: one that is made meanwhile is not late before the next round.
        longest = min(self.timeout, _LONGEST_ROUND)
        while True:
            now = trio.current_time()
            await trio.sleep_until(min(max(self._next_late(), now + _SHORTEST_ROUND), now + longest))
            now = trio.current_time()
            self._give_up_late(now)
            if self.connection.is_up:
                self._resume_deaf(now)

    def _next_late(self) -> float:
        requests = (answers.due for answers in islice(self._waiting.values(), 1))
        receivers = (one.deaf_at for one, is_resumed in self._receivers.items() if not is_resumed)
        return min((*requests, *receivers), default=inf)

    def _resume_deaf(self, now: float) -> None:
        deaf = [one for one, is_resumed in self._receivers.items() if not is_resumed and one.deaf_at <= now]
        if deaf:
            for receiver in (*deaf, *(one for one in self._receivers if one.goes_by_others)):
                self.resume(receiver)

    # --- State ---------------------------------------------------------------------------------------------

    def _on_state(self, is_up: bool) -> None:  # noqa: FBT001 - the callback's own shape
        if is_up:
            self._up.set()
            for receiver in list(self._receivers):
                self.resume(receiver)
        else:
            self._up = trio.Event()
            for answers in self._waiting.values():
                answers.end(DisconnectedError("the connection broke before the answer"))

    def close(self) -> None:
        """End all that is under way with `ClosedError`."""
        self._closed = True
        error = ClosedError("the transport has ended")
        for receiver in list(self._receivers):
            receiver.end(error)
        self._receivers.clear()
        for answers in self._waiting.values():
            answers.end(error)


class _Asked(Protocol):
    """Who waits for what comes back for one request, and by when it has to."""

    due: float

    def put(self, item: Incoming) -> None:
        """Take an answer."""
        ...

    def end(self, error: Exception) -> None:
        """Hear that none will come any more."""
        ...


class _Answer:
    """The one answer of a request, for the task that sent it."""

    __slots__ = ("_is_sent", "_why", "due", "is_over", "task", "told")

    def __init__(self) -> None:
        self.due = 0.0
        self._is_sent = True
        self.is_over = False
        self.task: trio.lowlevel.Task | None = None
        self.told: Incoming | None = None
        self._why: Exception | None = None

    def put(self, item: Incoming) -> None:
        """Hand it over; another one changes nothing."""
        if self.is_over:
            return
        self.told = item
        self.is_over = True
        if (task := self.task) is not None:
            self.task = None
            trio.lowlevel.reschedule(task)

    def end(self, error: Exception) -> None:
        """Say that it will not come."""
        if not self.is_over:
            self._why = error
            self._wake()

    def refuse(self, error: TransportError) -> None:
        """Say that the request was not sent."""
        self.is_over = True
        self._why = error
        self._is_sent = False

    def error(self, lost: type[TransportError]) -> TransportError:
        """Return why it has not come."""
        if isinstance(self._why, TransportError) and (isinstance(self._why, ClosedError) or not self._is_sent):
            return self._why
        return lost(str(self._why))

    def abort(self, _: Callable[[], None]) -> trio.lowlevel.Abort:
        """Stop waiting: the task is cancelled."""
        self.task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _wake(self) -> None:
        self.is_over = True
        task, self.task = self.task, None
        if task is not None:
            trio.lowlevel.reschedule(task)


class _Answers(Inbox["Incoming"]):
    """The answers of a request for several."""

    __slots__ = ("due",)

    def __init__(self) -> None:
        super().__init__()
        self.due = 0.0


def _ended(error: Exception) -> ClosedError:
    ended = ClosedError(str(error))
    ended.__cause__ = error
    return ended
