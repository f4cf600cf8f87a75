"""The way to a connected client; whatever goes wrong on it becomes one of our errors."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import nats.errors

from osapi.errors import AccessRefusedError, DisconnectedError, TlsError, TransportError, UnsupportedBrokerError
from osapi_nats.nats_py.client import Client, NoTlsError
from osapi_nats.nats_py.credentials import kind, login, tls_context

if TYPE_CHECKING:
    from osapi_nats.nats_py.servers import Address
    from osapi_nats.options import Options

# Schedules that repeat came with 2.14. Older servers ignore what they do not know, some without a word: 2.9 creates a
# consumer without its filter_subjects, and keeps for ever a message that has a lifetime.
MINIMUM = (2, 14)

# A silent server is found out after two pings in vain: within nine seconds.
PING_INTERVAL = 3
PINGS_IN_VAIN = 2

_REFUSED = ("authorization", "authentication", "account authentication")


async def dial(address: Address, options: Options, within: float) -> Client:
    """Connect to one server, in so many seconds.

    Raises:
        DisconnectedError, AccessRefusedError, TlsError, UnsupportedBrokerError

    """
    client = Client(secure=options.wants_tls)
    try:
        async with asyncio.timeout(within):
            await client.connect(**_settings(client, address, options, within))
        if not client.is_connected:
            raise nats.errors.UnexpectedEOF  # noqa: TRY301 - for the one place that names errors
        _check_version(address, str(client.info.get("version", "")))
    except (OSError, ValueError, nats.errors.Error) as error:
        await hang_up(client)
        raise _translate(client.trouble or error, client, address, options, within) from error
    except BaseException:
        await hang_up(client)
        raise
    return client


async def dial_any(addresses: list[Address], options: Options, within: float) -> tuple[Address, Client]:
    """Connect to the first server that takes us, trying all of them in so many seconds.

    Raises:
        DisconnectedError, AccessRefusedError, TlsError, UnsupportedBrokerError: of several, one that says more than
            that nobody was there.

    """
    errors: list[TransportError] = []
    for address in addresses:
        try:
            return address, await dial(address, options, within / len(addresses))
        except TransportError as error:
            errors.append(error)
    telling = [error for error in errors if not isinstance(error, DisconnectedError)]
    if telling or len(errors) == 1:
        raise (telling or errors)[0]
    raise DisconnectedError("; ".join(map(str, errors)))


async def hang_up(client: Client) -> None:
    """Close a client at once, whatever state it is in."""
    with suppress(OSError, nats.errors.Error):
        await client.close()


def _settings(client: Client, address: Address, options: Options, within: float) -> dict[str, Any]:
    settings: dict[str, Any] = {
        # A client of nats-py lives as long as its connection: what it has not sent by then is never sent.
        "allow_reconnect": False,
        "max_reconnect_attempts": 1,  # the least that is not for ever
        "reconnect_time_wait": 0,
        "pending_size": 0,
        "servers": [f"nats://{address.server}"],
        "name": options.name,
        "error_cb": client.note,
        "connect_timeout": within,
        "ping_interval": PING_INTERVAL,
        "max_outstanding_pings": PINGS_IN_VAIN,
        **login(options),
    }
    if options.wants_tls:
        settings["tls"] = tls_context(options)
    if address.tls_name:
        settings["tls_hostname"] = address.tls_name
    return settings


def _check_version(address: Address, version: str) -> None:
    match = re.match(r"v?(\d+)\.(\d+)", version)
    if match is None or (int(match[1]), int(match[2])) < MINIMUM:
        least = ".".join(map(str, MINIMUM))
        raise UnsupportedBrokerError(
            f"the server at {address.server} is nats-server {version or 'of no version'}: use {least} or later"
        )


def _translate(error: Exception, client: Client, address: Address, options: Options, within: float) -> TransportError:
    where = address.server
    if isinstance(error, NoTlsError):
        return TlsError(f"the server at {where} has no TLS: give it a certificate, or connect with nats:// and no tls")
    if isinstance(error, nats.errors.Error) and any(word in str(error).lower() for word in _REFUSED):
        said = str(error).removeprefix("nats: ").strip("'")
        return AccessRefusedError(
            f"the server at {where} refused our {kind(options)} ({said}): correct them in the URL"
        )
    if isinstance(error, ssl.SSLCertVerificationError):
        return TlsError(f"no trusted connection to {where} ({error.verify_message}): check tls_ca and the host's name")
    if client.info.get("tls_verify") and isinstance(error, OSError) and not isinstance(error, TimeoutError):
        # It tells why only after it has let us in, and what we sent meanwhile may break the connection first.
        return TlsError(f"the server at {where} wants a certificate that it trusts: check tls_cert and tls_key")
    if isinstance(error, ssl.SSLError):
        return TlsError(f"no encrypted connection to {where} ({_ssl_reason(error)}): check what its TLS allows")
    reason = _reason(error, client, within)
    return DisconnectedError(f"no NATS server answers at {where} ({reason}): check that it runs there, and the URL")


def _ssl_reason(error: ssl.SSLError) -> str:
    return str(error.reason or error.strerror or "TLS failed").lower().replace("_", " ")


def _reason(error: Exception, client: Client, within: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {within:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, OSError):
        return error.strerror or "the connection broke"
    return "the server closed the connection" if client.info else "something else answers"
