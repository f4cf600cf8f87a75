"""What goes wrong on the way to a server, as one of our errors: pure."""

from __future__ import annotations

import re
import socket
import ssl
from typing import TYPE_CHECKING, Final, cast

from osapi.errors import AccessRefusedError, DisconnectedError, TlsError, UnsupportedBrokerError
from osapi_nats.credentials import kind

if TYPE_CHECKING:
    from osapi.errors import TransportError
    from osapi_nats.options import Options

# Schedules that repeat came with 2.14. Older servers ignore what they do not know, some without a word: 2.9 creates a
# consumer without its filter_subjects, and keeps for ever a message that has a lifetime.
MINIMUM: Final = (2, 14)

_REFUSALS = ("authorization", "authentication")


def check_version(server: str, version: str) -> None:
    """Refuse a server that is too old.

    Raises:
        UnsupportedBrokerError

    """
    match = re.match(r"v?(\d{1,9})\.(\d{1,9})", version)
    if match is None or (int(match[1]), int(match[2])) < MINIMUM:
        least = ".".join(map(str, MINIMUM))
        raise UnsupportedBrokerError(
            f"the server at {server} is nats-server {version or 'of no version'}: use {least} or later"
        )


def no_answer(server: str, reason: str) -> DisconnectedError:
    """Return the error for a server that does not talk to us, for a reason of a few words."""
    return DisconnectedError(f"no NATS server answers at {server} ({reason}): check that it runs there, and the URL")


def no_tls(server: str) -> TlsError:
    """Return the error for a server that cannot be talked to in secret."""
    return TlsError(f"the server at {server} has no TLS: give it a certificate, or connect with nats:// and no tls")


def broken(server: str, cause: BaseException | None, *, greeted: bool, wants_certificate: bool) -> TransportError:
    """Return the error for a connection that broke during the handshake; `greeted` if its INFO had come."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return TlsError(f"no trusted connection to {server} ({cause.verify_message}): check tls_ca and the host's name")
    if wants_certificate:
        # It tells why only after it has let us in, and what we sent meanwhile may break the connection first.
        return TlsError(f"the server at {server} wants a certificate that it trusts: check tls_cert and tls_key")
    if isinstance(cause, ssl.SSLError):
        reason = str(cause.reason or cause.strerror or "TLS failed").lower().replace("_", " ")
        return TlsError(f"no encrypted connection to {server} ({reason}): check what its TLS allows")
    return no_answer(server, "the server closed the connection" if greeted else "something else answers")


def refused(server: str, said: str, options: Options) -> TransportError:
    """Return the error for a server that said no."""
    if any(word in said.lower() for word in _REFUSALS):
        return AccessRefusedError(
            f"the server at {server} refused our {kind(options)} ({said}): correct them in the URL"
        )
    return no_answer(server, said)


def reason_of(error: OSError) -> str:
    """Return in a few words why a connection could not be made."""
    first = _first(error)
    if isinstance(first, ConnectionRefusedError):
        return "connection refused"
    if isinstance(first, socket.gaierror):
        return "its name cannot be resolved"
    return first.strerror or "the connection broke"


def _first(error: OSError) -> OSError:
    # Trio's own error names all addresses of a host; what befell each is its cause.
    cause: object = error.__cause__
    if isinstance(cause, BaseExceptionGroup):
        cause = cast("BaseExceptionGroup[BaseException]", cause).exceptions[0]
    return cause if isinstance(cause, OSError) else error
