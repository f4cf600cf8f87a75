"""The asyncio loop, and what runs in it from the beginning of a connection's block to its end."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, Protocol

from osapi.errors import DisconnectedError, TransportError
from osapi_nats.nats_py.client import log
from osapi_nats.nats_py.dial import dial_any
from osapi_nats.nats_py.servers import Servers, pause
from osapi_nats.nats_py.session import Session

if TYPE_CHECKING:
    from osapi_nats.connection import Incoming
    from osapi_nats.nats_py.client import Client
    from osapi_nats.nats_py.crossing import ToTrio
    from osapi_nats.nats_py.servers import Address
    from osapi_nats.options import Options

# How long the end may take, in seconds: to send what was posted, and to unwind (two rounds); together below two.
_FAREWELL = 1.0
_UNWINDING = 0.3
_NAMES = 0.2


class Listener(Protocol):
    """What is told, on Trio's thread, of connections and messages."""

    def came_up(self, session: Session) -> None:
        """Note that there is a connection, as yet without subscriptions."""
        ...

    def went_down(self, session: Session) -> None:
        """Note that it broke."""
        ...

    def received(self, number: int, message: Incoming) -> None:
        """Hand on a message to the subscription of that number."""
        ...


class AsyncioThread:
    """Connects, and connects again, until it is stopped. `run` belongs on a thread of its own, all else on Trio's."""

    def __init__(self, options: Options, to_trio: ToTrio, listener: Listener) -> None:
        self._options = options
        self._to_trio = to_trio
        self._listener = listener
        self._servers = Servers(options.servers)
        self._session: Session | None = None
        self._loop = asyncio.SelectorEventLoop()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Have `run` return, within two seconds."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    def close(self) -> None:
        """Close the loop, once `run` has returned."""
        self._loop.close()

    def run(self) -> None:
        """Keep up a connection until stopped.

        Raises:
            DisconnectedError, AccessRefusedError, TlsError, UnsupportedBrokerError: there was no first connection.

        """
        # For looking up names; asyncio's own would be waited for without a limit.
        names = ThreadPoolExecutor(1, "osapi-nats-names")
        self._loop.set_default_executor(names)
        self._loop.set_exception_handler(_note)
        try:
            self._loop.run_until_complete(self._main())
        finally:
            # A look-up cannot be interrupted: one that hangs is left to end by itself.
            is_idle = bool(wait([names.submit(int)], timeout=_NAMES).done)
            names.shutdown(wait=is_idle, cancel_futures=True)

    async def _main(self) -> None:
        work = asyncio.create_task(self._keep_up())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if self._session is not None and not work.done():
            await self._session.finish(_FAREWELL)
        await _unwind()
        if work.done() and not work.cancelled():
            work.result()

    async def _keep_up(self) -> None:
        options = self._options
        addresses = self._servers.in_random_order()
        session = self._begin(*await dial_any(addresses, options, options.timeout))
        while True:
            self._to_trio.post(self._listener.came_up, session)
            try:
                await session.run()
            finally:
                self._session = None
                self._to_trio.post(self._listener.went_down, session)
            log.info("the connection to %s broke: %s", session.server.url, session.trouble)
            self._servers.learn(session.address, session.told)
            session = await self._connect_again()

    async def _connect_again(self) -> Session:
        has_warned = False
        rounds = 0
        while True:
            await asyncio.sleep(pause(rounds))
            addresses = self._servers.in_random_order()
            try:
                return self._begin(*await dial_any(addresses, self._options, self._options.timeout * len(addresses)))
            except DisconnectedError:
                pass
            except TransportError as error:
                if not has_warned:
                    log.warning("cannot connect again: %s; trying on", error)
                has_warned = True
            rounds += 1

    def _begin(self, address: Address, client: Client) -> Session:
        session = self._session = Session(client, address, self._receive)
        return session

    def _receive(self, number: int, message: Incoming) -> None:
        self._to_trio.post(self._listener.received, number, message)


async def _unwind() -> None:
    """End all other tasks; some are nats-py's, which cancels them without waiting, and may swallow a cancellation."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for _ in range(2):
        for task in others:
            task.cancel()
        if others:
            _, others = await asyncio.wait(others, timeout=_UNWINDING)
    await asyncio.sleep(0)  # transports that were cut say so in the loop's next turn


def _note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    log.debug("asyncio: %s", context.get("message"), exc_info=context.get("exception"))
