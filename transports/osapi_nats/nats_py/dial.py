"""The way to a connected client; whatever goes wrong on it becomes one of our errors."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import nats.errors

from osapi.errors import AccessRefusedError, DisconnectedError, TransportError
from osapi_nats.credentials import tls_context
from osapi_nats.nats_py.client import Client, NoTlsError
from osapi_nats.nats_py.credentials import login
from osapi_nats.troubles import broken, check_version, no_answer, no_tls, reason_of, refused

if TYPE_CHECKING:
    from osapi_nats.nats_py.servers import Address
    from osapi_nats.options import Options

# A silent server is found out after two pings in vain: within nine seconds.
PING_INTERVAL = 3
PINGS_IN_VAIN = 2


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
        check_version(address.server, str(client.info.get("version", "")))
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


def _translate(error: Exception, client: Client, address: Address, options: Options, within: float) -> TransportError:
    server = address.server
    if isinstance(error, NoTlsError):
        return no_tls(server)
    if isinstance(error, TimeoutError):
        return no_answer(server, f"no answer within {within:g} s")
    said = str(error).removeprefix("nats: ").strip("'")
    if isinstance(error, nats.errors.Error) and isinstance(
        refusal := refused(server, said, options), AccessRefusedError
    ):
        return refusal
    wants_certificate = isinstance(error, OSError) and bool(client.info.get("tls_verify"))
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and not wants_certificate:
        return no_answer(server, reason_of(error))
    return broken(server, error, greeted=bool(client.info), wants_certificate=wants_certificate)
