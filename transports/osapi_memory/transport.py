"""One client's connection to an in-memory broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from osapi.errors import ClosedError, DisconnectedError
from osapi.transport import BrokerInfo
from osapi_memory.connection import Connection
from osapi_memory.key_value import MAX_PAYLOAD, MemoryKeyValue
from osapi_memory.streams import MemoryStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from osapi.transport import BucketConfig, StreamConfig
    from osapi_memory.broker import Broker
    from osapi_memory.faults import Faults

T = TypeVar("T")


class MemoryTransport:
    """Implements `osapi.transport.Transport`; `Broker.connect` makes it.

    `disconnect`, `reconnect` and `crash` are for tests of what a program does when its connection, or a whole
    process, goes away.
    """

    __slots__ = ("_broker", "_connection")

    def __init__(self, broker: Broker, faults: Faults | None) -> None:
        self._broker = broker
        self._connection = Connection(broker, faults)

    @property
    def max_payload(self) -> int:
        """Return the largest payload with its headers, in bytes: NATS's default, 1 MiB."""
        return MAX_PAYLOAD

    @property
    def broker(self) -> BrokerInfo:
        """Return `memory://` and the version of osapi, whose broker this is."""
        from importlib.metadata import version  # noqa: PLC0415 - a tenth of what `import osapi` would cost

        return BrokerInfo(url="memory://", version=version("osapi"))

    def now(self) -> float:
        """Return the time in Unix seconds; virtual under Trio's MockClock."""
        return self._broker.now()

    async def bucket(self, config: BucketConfig) -> MemoryKeyValue:
        """Open a bucket, creating it where it is missing."""
        return await self._write(lambda: MemoryKeyValue(self._connection, self._broker.bucket(config)))

    async def stream(self, config: StreamConfig) -> MemoryStream:
        """Open a stream, creating it where it is missing."""
        return await self._write(lambda: MemoryStream(self._connection, self._broker.stream(config)))

    async def delete_bucket(self, name: str) -> bool:
        """Remove a bucket with all it holds and say whether it was there; its watches end."""
        return await self._write(lambda: self._broker.delete_bucket(name))

    async def delete_stream(self, name: str) -> bool:
        """Remove a stream with its messages and consumers and say whether it was there; its pulls end."""
        return await self._write(lambda: self._broker.delete_stream(name))

    # --- The connection ------------------------------------------------------------------------------------

    def disconnect(self) -> None:
        """Lose the connection: calls raise `DisconnectedError`, answers vanish, pulls and watches wait.

        Messages on their way to a pull are lost, and so delivered again after `ack_wait`.
        """
        self._connection.disconnect()

    def reconnect(self) -> None:
        """Get the connection back: pulls ask again for what did not arrive, watches resume (K8).

        Raises:
            DisconnectedError, ClosedError: it crashed, or its block has ended.

        """
        self._connection.reconnect()

    def crash(self) -> None:
        """Cut the connection for good, as when a process is killed: nothing reaches the broker any more.

        Calls raise `DisconnectedError`, `receive` raises `ClosedError`, answers vanish.
        """
        self._connection.end(lambda: DisconnectedError("this connection has crashed"))

    def close(self) -> None:
        """End the connection with its pulls and watches; every later call raises `ClosedError`."""
        self._connection.end(lambda: ClosedError("the transport's block has ended"))

    async def _write(self, call: Callable[[], T]) -> T:
        connection = self._connection
        await connection.turn()
        return call() if connection.trouble is None else await connection.trouble.write(call)
