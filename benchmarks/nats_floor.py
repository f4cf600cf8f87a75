"""The least that a job through JetStream could cost: the same messages as osapi's, and nothing else.

Definition to a bucket, notification on a stream, one shared pull, a direct read of the definition, the answer to a
bucket, one watch. No claim, no lease, no validation, no error handling, no task for a job: callbacks only.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import trio

from osapi_nats.native import open_connection
from osapi_nats.options import Options

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from osapi_nats.connection import Connection, Incoming

DEFINITION = b'{"operation":"bench.noop","target":"_any","created":1767225600.0,"finish_by":1767225900.0}'
_BATCH = 512

_encode = msgspec.json.Encoder().encode


class Wire:
    """Requests by callback over one connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._waiting: dict[str, Callable[[Incoming], None]] = {}
        self._numbers = count()
        self._inbox = f"_INBOX.{id(self):x}."
        connection.subscribe(f"{self._inbox}*", lambda told: self._waiting.pop(told.subject)(told))

    def ask(self, subject: str, payload: bytes, done: Callable[[Incoming], None]) -> None:
        """Send a request whose answer goes to `done`."""
        reply = f"{self._inbox}{next(self._numbers)}"
        self._waiting[reply] = done
        self.connection.publish(subject, payload, reply)

    async def call(self, subject: str, request: object) -> Any:
        """Call the JetStream API."""
        answered = trio.Event()
        answers: list[Incoming] = []

        def done(told: Incoming) -> None:
            answers.append(told)
            answered.set()

        self.ask(subject, _encode(request), done)
        await answered.wait()
        answer = msgspec.json.decode(answers[0].payload)
        assert "error" not in answer, answer
        return answer


class Client:
    """Submits jobs and waits for their answers."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._numbers = count()
        self._answers: dict[str, tuple[trio.Event, list[bytes]]] = {}

    def arrive(self, told: Incoming) -> None:
        """Take an answer from the watch, or a control message of it."""
        if told.status:
            if told.reply:
                self._wire.connection.publish(told.reply, b"")
            return
        event, answers = self._answers.pop(told.subject.rpartition(".")[2])
        answers.append(told.payload)
        event.set()

    async def run(self) -> bytes:
        """Submit one job and wait for its answer."""
        job = str(next(self._numbers))
        event, answers = self._answers[job] = trio.Event(), []
        self._wire.ask(f"$KV.queue.jobs.{job}", DEFINITION, lambda _: self._notify(job))
        await event.wait()
        return answers[0]

    def _notify(self, job: str) -> None:
        self._wire.ask(f"jobs.query.any._.{job}", b"", lambda _: None)


@asynccontextmanager
async def wire(url: str) -> AsyncGenerator[Wire]:
    async with open_connection(Options(servers=(url.removeprefix("nats://"),))) as connection:
        yield Wire(connection)


@asynccontextmanager
async def client(url: str, storage: str) -> AsyncGenerator[Client]:
    async with wire(url) as found:
        for name, subjects in (("KV_queue", ["$KV.queue.>"]), ("KV_answers", ["$KV.answers.>"]), ("JOBS", ["jobs.>"])):
            document = {"name": name, "subjects": subjects, "storage": storage, "allow_direct": True}
            await found.call(f"$JS.API.STREAM.CREATE.{name}", document)
        it = Client(found)
        found.connection.subscribe("_INBOX.answers", it.arrive)
        config = {"name": "watch", "deliver_subject": "_INBOX.answers", "ack_policy": "none", "flow_control": True}
        config |= {"idle_heartbeat": 5_000_000_000, "mem_storage": True, "deliver_policy": "new"}
        request = {"stream_name": "KV_answers", "config": config}
        await found.call("$JS.API.CONSUMER.CREATE.KV_answers.watch", request)
        yield it


async def serve(url: str, storage: str) -> None:
    """Take jobs and answer them, for ever."""
    async with wire(url) as found:
        config = {"name": "any", "durable_name": "any", "ack_policy": "explicit", "max_ack_pending": 1000}
        await found.call("$JS.API.CONSUMER.CREATE.JOBS.any", {"stream_name": "JOBS", "config": config})
        connection = found.connection
        pull = _encode({"batch": _BATCH, "expires": 60_000_000_000})
        taken = 0

        def request() -> None:
            connection.publish("$JS.API.CONSUMER.MSG.NEXT.JOBS.any", pull, "_INBOX.pull")

        def arrive(told: Incoming) -> None:
            nonlocal taken
            if told.status:
                return
            taken += 1
            if taken % _BATCH == _BATCH // 2:
                request()
            job = told.subject.rpartition(".")[2]

            def answer(definition: Incoming) -> None:
                assert definition.payload == DEFINITION
                found.ask(f"$KV.answers.{job}", b'{"hostname":"x"}', lambda _: connection.publish(told.reply, b"+ACK"))

            found.ask(f"$JS.API.DIRECT.GET.KV_queue.$KV.queue.jobs.{job}", b"", answer)

        connection.subscribe("_INBOX.pull", arrive)
        request()
        await connection.flush()
        print("ready", flush=True)
        await trio.sleep_forever()
