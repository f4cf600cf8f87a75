"""Opening a connection to one server: TCP, its INFO, TLS where it is due, our CONNECT, and its first PONG."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import trio

from osapi_nats.credentials import tls_context
from osapi_nats.native import protocol
from osapi_nats.native.credentials import login
from osapi_nats.native.protocol import Info, Parser, Pong, ProtocolError, Refused
from osapi_nats.troubles import broken, check_version, no_answer, no_tls, reason_of, refused

if TYPE_CHECKING:
    from osapi_nats.native.pool import Address
    from osapi_nats.native.protocol import Event
    from osapi_nats.options import Options

# How a stream to a host and port is opened; `trio.open_tcp_stream` is one.
Dial: TypeAlias = Callable[[str, int], Awaitable[trio.abc.Stream]]

_CHUNK = 1 << 16


class Opened(NamedTuple):
    """A connection that the server has accepted, with what it has already said besides."""

    stream: trio.abc.Stream
    parser: Parser
    address: Address
    is_secret: bool
    info: Info
    events: list[Event]


async def open_stream(options: Options, address: Address, within: float, dial: Dial = trio.open_tcp_stream) -> Opened:
    """Connect to a server in so many seconds; cancelled or failed, nothing stays open.

    Raises:
        DisconnectedError: it cannot be reached, or is no NATS server.
        AccessRefusedError: it did not take our credentials, or they cannot be read.
        TlsError: one of us does not trust the other's certificate, or it has no TLS.
        UnsupportedBrokerError: it is too old.

    """
    try:
        with trio.fail_after(within):
            return await _open(options, address, dial)
    except trio.TooSlowError:
        raise no_answer(address.server, f"no answer within {within:g} s") from None
    except OSError as error:
        raise no_answer(address.server, reason_of(error)) from error
    except UnicodeError as error:
        raise no_answer(address.server, "this cannot be the name of a host") from error
    except ProtocolError as error:
        raise no_answer(address.server, "something else answers") from error


async def _open(options: Options, address: Address, dial: Dial) -> Opened:
    stream = await dial(address.host, address.port)
    info: Info | None = None
    try:
        parser = Parser()
        first, *events = await _some(stream, parser)
        info = _greeting(options, address, first)
        return await _log_in(options, address, stream, parser, info, events)
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(stream)
        wants_certificate = info is not None and info.tls_verify
        raise broken(
            address.server, error.__cause__, greeted=info is not None, wants_certificate=wants_certificate
        ) from error
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise


async def _log_in(
    options: Options, address: Address, stream: trio.abc.Stream, parser: Parser, info: Info, events: list[Event]
) -> Opened:
    check_version(address.server, info.version)
    is_secret = options.wants_tls or info.tls_required
    if is_secret:
        if not (info.tls_required or info.tls_available):
            raise no_tls(address.server)
        if events or not parser.is_between:
            raise ProtocolError("more than INFO came before TLS: somebody else may have said it")
        stream = trio.SSLStream(stream, tls_context(options), server_hostname=address.tls_name or address.host)
        await stream.do_handshake()
    hello = {
        "verbose": False,
        "pedantic": False,
        "tls_required": is_secret,
        "lang": "python-osapi",
        "version": "1",
        "name": options.name,
        "protocol": 1,
        "headers": True,
        "no_responders": True,
        **login(options, info.nonce),
    }
    await stream.send_all(protocol.connect(hello) + protocol.PING)
    events += await _until_accepted(options, address, stream, parser)
    return Opened(stream, parser, address, is_secret, info, events)


async def _until_accepted(options: Options, address: Address, stream: trio.abc.Stream, parser: Parser) -> list[Event]:
    """Return what the server says beside the PONG that we wait for."""
    events: list[Event] = []
    while True:
        for event in await _some(stream, parser):
            if isinstance(event, Refused):
                raise refused(address.server, event.reason, options)
            events.append(event)
        for event in events:
            if isinstance(event, Pong):
                events.remove(event)
                return events


def _greeting(options: Options, address: Address, said: Event) -> Info:
    if isinstance(said, Refused):  # a server that is full says so at once
        raise refused(address.server, said.reason, options)
    if not isinstance(said, Info):
        raise ProtocolError("it does not begin with INFO")
    return said


async def _some(stream: trio.abc.Stream, parser: Parser) -> list[Event]:
    while True:
        data = await stream.receive_some(_CHUNK)
        if not data:
            raise trio.BrokenResourceError("it hung up")
        if events := parser.feed(data):
            return events
