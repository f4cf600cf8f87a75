"""What we show a server, whichever client does: read anew for each connection, since files are rotated."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import nkeys  # pyright: ignore[reportMissingTypeStubs]

from osapi.errors import AccessRefusedError, TlsError

if TYPE_CHECKING:
    from osapi_nats.options import Options

_CREDS = re.compile(
    r"-+BEGIN NATS USER JWT-+\s+(\S+)\s+-+END NATS USER JWT-+.*-+BEGIN USER NKEY SEED-+\s+(\S+)\s+-+END", re.DOTALL
)


class Creds(NamedTuple):
    """A creds file: the whole of it, and the two things in it."""

    text: str
    jwt: str
    seed: str


def kind(options: Options) -> str:
    """Name the credentials for an error."""
    if options.user:
        return "user and password"
    return next((kind for kind in ("token", "nkey", "creds") if getattr(options, kind)), "lack of credentials")


def read_seed(path: str) -> str:
    """Return the seed in an nkey file.

    Raises:
        AccessRefusedError: the file cannot be read, or holds something else.

    """
    return _checked(_read(path).strip(), path)


def read_creds(path: str) -> Creds:
    """Return what a creds file holds.

    Raises:
        AccessRefusedError: the file cannot be read, or holds something else.

    """
    text = _read(path)
    match = _CREDS.search(text)
    if match is None:
        raise AccessRefusedError(f"file {path!r}: is no creds file, with a JWT and a seed between their marks")
    return Creds(text, match[1], _checked(match[2], path))


def tls_context(options: Options) -> ssl.SSLContext:
    """Return how to talk TLS: the given authority or the system's, and our certificate if there is one.

    Raises:
        TlsError: a file cannot be read, or holds something else.

    """
    try:
        context = ssl.create_default_context(cafile=options.tls_ca or None)
    except (OSError, ssl.SSLError) as error:
        raise TlsError(f"tls_ca {options.tls_ca!r}: holds no certificates that can be read ({_why(error)})") from error
    if options.tls_cert:
        try:
            context.load_cert_chain(options.tls_cert, options.tls_key, _no_password)
        except (OSError, ssl.SSLError) as error:
            raise TlsError(
                f"tls_cert {options.tls_cert!r} and tls_key {options.tls_key!r}: are no certificate with its "
                f"unencrypted key ({_why(error)})"
            ) from error
    return context


def _no_password() -> str:
    return ""  # without this, OpenSSL would ask for one on the terminal


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii")
    except OSError as error:
        raise AccessRefusedError(f"file {path!r}: cannot be read ({error.strerror}); give one that can") from error
    except ValueError:
        raise AccessRefusedError(f"file {path!r}: is not text; give an nkey seed or a creds file") from None


def _checked(seed: str, path: str) -> str:
    try:
        nkeys.from_seed(bytearray(seed.encode())).wipe()  # pyright: ignore[reportUnknownMemberType]
    except Exception:  # noqa: BLE001 - it raises what its decoders raise, with the seed in it
        raise AccessRefusedError(f"file {path!r}: holds no nkey seed, which would begin with SU") from None
    return seed


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__
