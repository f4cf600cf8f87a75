"""Opening a connection to one server: TCP, its INFO, TLS where it is due, our CONNECT, and its first PONG."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

import trio

from osapi.errors import AccessRefusedError, DisconnectedError, TransportError, UnsupportedBrokerError
from osapi_nats.connection import ServerInfo
from osapi_nats.native.credentials import credentials
from osapi_nats.native.protocol import PING, Info, Parser, Pong, ProtocolError, Refused, connect

if TYPE_CHECKING:
    from osapi_nats.native.protocol import Event
    from osapi_nats.options import Options

# Scheduled publishes need 2.12; an older server ignores what it does not know, in silence.
MIN_VERSION = (2, 12, 0)

_CHUNK = 1 << 16


class Opened(NamedTuple):
    """A connection that the server has accepted, with what it has already sent besides."""

    stream: trio.abc.Stream
    parser: Parser
    server: ServerInfo
    info: dict[str, Any]
    events: list[Event]


async def open_stream(options: Options, server: str) -> Opened:
    """Connect to `host:port`; cancelled or failed, nothing stays open. How long it may take is the caller's.

    Raises:
        DisconnectedError: it cannot be reached, or is no NATS server.
        AccessRefusedError: it did not take our credentials, or our certificate; or we did not take its.
        UnsupportedBrokerError: it is too old.

    """
    host, _, port = server.rpartition(":")
    host = host.strip("[]")
    try:
        stream: trio.abc.Stream = await trio.open_tcp_stream(host, int(port))
    except OSError as error:
        raise DisconnectedError(f"{server} cannot be reached: {error}") from error
    try:
        return await _greet(options, server, host, stream)
    except BaseException as error:
        with trio.CancelScope(shield=True, deadline=trio.current_time()):
            await trio.aclose_forcefully(stream)
        raise _translated(server, error) from error


def _translated(server: str, error: BaseException) -> BaseException:
    if isinstance(error, trio.BrokenResourceError) and isinstance(error.__cause__, ssl.SSLError):
        return AccessRefusedError(f"{server}: TLS failed: {error.__cause__}; see tls_ca, tls_cert and tls_key")
    if isinstance(error, (trio.BrokenResourceError, trio.ClosedResourceError, ProtocolError, EOFError)):
        return DisconnectedError(f"{server} ended the connection, or is no NATS server: {error}")
    return error


async def _greet(options: Options, server: str, host: str, stream: trio.abc.Stream) -> Opened:
    parser = Parser()
    info = await _first_info(stream, parser)
    _check_version(server, str(info.get("version", "")))
    if options.tls or info.get("tls_required"):
        stream = trio.SSLStream(stream, _tls(options), server_hostname=host)
        await stream.do_handshake()
        parser = Parser()
    fields: dict[str, Any] = {
        "verbose": False,
        "pedantic": False,
        "tls_required": isinstance(stream, trio.SSLStream),
        "lang": "python-osapi",
        "version": "1",
        "name": options.name,
        "protocol": 1,
        "headers": True,
        "no_responders": True,
        **credentials(options, str(info.get("nonce", ""))),
    }
    await stream.send_all(connect(fields) + PING)
    found = ServerInfo(
        name=str(info.get("server_name", "")),
        version=str(info.get("version", "")),
        max_payload=int(info.get("max_payload", 1 << 20)),
        url=f"nats://{server}",
    )
    return Opened(stream, parser, found, info, await _accepted(server, stream, parser))


async def _first_info(stream: trio.abc.Stream, parser: Parser) -> dict[str, Any]:
    events = await _some(stream, parser)
    if not isinstance(events[0], Info):
        raise ProtocolError("it does not begin with INFO")
    return events[0].fields


async def _accepted(server: str, stream: trio.abc.Stream, parser: Parser) -> list[Event]:
    events: list[Event] = []
    while Pong() not in events:
        try:
            events += await _some(stream, parser)
        except (EOFError, trio.BrokenResourceError):
            # A server says why before it hangs up; one that wants a certificate just hangs up.
            raise DisconnectedError(f"{server} hung up during the handshake") from None
        for event in events:
            if isinstance(event, Refused):
                raise _refusal(server, event.reason)
    return [event for event in events if not isinstance(event, Pong)]


def _refusal(server: str, reason: str) -> TransportError:
    if "authori" in reason.lower() or "authentication" in reason.lower():
        return AccessRefusedError(f"{server} refused us: {reason}; check user, password, token, nkey or creds")
    return DisconnectedError(f"{server} refused us: {reason}")


async def _some(stream: trio.abc.Stream, parser: Parser) -> list[Event]:
    events: list[Event] = []
    while not events:
        data = await stream.receive_some(_CHUNK)
        if not data:
            raise EOFError("it hung up")
        events = parser.feed(data)
    return events


def _check_version(server: str, version: str) -> None:
    numbers = tuple(int(part) for part in version.split("-", maxsplit=1)[0].split(".") if part.isdecimal())
    if numbers < MIN_VERSION:
        needed = ".".join(map(str, MIN_VERSION))
        raise UnsupportedBrokerError(f"{server} is nats-server {version}: osapi needs {needed} or newer")


def _tls(options: Options) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.tls_ca or None)
        if options.tls_cert:
            context.load_cert_chain(options.tls_cert, options.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise AccessRefusedError(f"the certificates cannot be read: {error}") from None
    return context
