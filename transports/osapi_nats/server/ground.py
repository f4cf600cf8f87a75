"""What a server needs before it starts: a free address, and a store that is its own."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from osapi.errors import TransportError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

_HELD: Final = frozenset({errno.EADDRINUSE, errno.EWOULDBLOCK})
_PATIENCE: Final = 3.0
_POLL: Final = 0.02


class ServerFailedError(TransportError):
    """The server did not start, or ended: the message quotes what it said last."""


async def check_address(host: str, port: int) -> None:
    """Refuse an address that nobody can listen on now; the server itself would open its store first.

    Raises:
        ServerFailedError

    """
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # Of a name such as localhost the server takes the address of IPv4, if there is one.
        family, kind, protocol, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        with socket.socket(family, kind, protocol) as probe:
            # Without it, connections that were closed a moment ago would count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            await _patiently(partial(probe.bind, address))
    except OSError as error:
        raise ServerFailedError(
            f"nats-server cannot listen on {host}:{port}: {error.strerror}; "
            "stop what uses that port, or give another address"
        ) from error


@asynccontextmanager
async def own_store(folder: Path) -> AsyncGenerator[int]:
    """Create the folder of a store (mode 0700) and lock it for the block; returns the lock, a file descriptor.

    A process that inherits the descriptor keeps the lock as long as it runs: a server whose parent was killed does not
    share its store with the next one.

    Raises:
        ServerFailedError: it cannot be written to, or another server has it.

    """
    lock = _lock_file(folder)
    try:
        try:
            await _patiently(partial(fcntl.flock, lock, fcntl.LOCK_EX | fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise ServerFailedError(
                f"another nats-server uses the store {folder}; stop it, or give another folder"
            ) from error
        yield lock
    finally:
        os.close(lock)


def _lock_file(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "osapi.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServerFailedError(
            f"nats-server cannot write to its store {folder}: {error.strerror}; give a folder that this user may write"
        ) from error
    try:
        # Those of one digit are for the shell that starts the server.
        return fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, 10)
    finally:
        os.close(lock)


async def _patiently(take: Callable[[], None]) -> None:
    """Take what another server holds, which may be about to end: who ran it was killed a moment ago."""
    with trio.move_on_after(_PATIENCE):
        while True:
            try:
                return take()
            except OSError as error:
                if error.errno not in _HELD:
                    raise
            await trio.sleep(_POLL)
    return take()
