"""What `nats://` and `tls://` URLs say. No error quotes any part of one: a slip may have put a password anywhere."""

from __future__ import annotations

import re
from contextlib import suppress
from difflib import get_close_matches
from ipaddress import IPv6Address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import unquote_to_bytes

from msgspec.structs import replace

from osapi.errors import InvalidSettingError
from osapi_nats.options import DRIVERS, Options

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_PORT: Final = 4222

_URL = re.compile(r"(nats|tls)://([^/?#]*)/?(?:\?([^#]*))?", re.DOTALL)
_AUTHORITY = re.compile(r"[^:/]*://[^/?#]*", re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?")
_PORT = re.compile(r"[0-9]{1,5}")
_NUMBER = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
_NAMESPACE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FORM = "write nats://user:password@host:4222,host2:4222/?namespace=prod"
_ENCODE = "write : as %3A, @ as %40, / as %2F, ? as %3F, # as %23, & as %26 and % as %25 in a password or token"


def parse_url(url: str) -> Options:
    """Return what a URL says: `nats://user:password@host:4222,host2:4222/?namespace=prod`, or `tls://...`.

    What stands before an `@` without a colon is a token. Query keys are the names of `Options`; each value, the user
    and the password may be percent-encoded.

    Raises:
        InvalidSettingError: never quotes a part of the URL that could be a secret.

    """
    scheme, authority, query = _split(url)
    options = _credentials(_servers(authority), authority)
    options = _with_query(options, query)
    check_options(options)
    if (scheme == "tls" or options.wants_tls) and not options.tls:
        if "tls" in _keys(query):
            _refuse("asks for TLS, with tls:// or a certificate, and against it with tls=false", "leave one out")
        options = replace(options, tls=True)
    return options


def check_options(options: Options) -> None:
    """Refuse options that contradict each other, name missing files, or are out of range.

    Raises:
        InvalidSettingError

    """
    given = [
        kind
        for kind, value in (
            ("user and password", options.user),
            ("token", options.token),
            ("nkey", options.nkey),
            ("creds", options.creds),
        )
        if value
    ]
    if len(given) > 1:
        _refuse(f"gives {len(given)} kinds of credentials: {', '.join(given)}", "give one of them")
    if bool(options.tls_cert) != bool(options.tls_key):
        _refuse("gives only one of tls_cert and tls_key", "give the files of both, or neither")
    for key in ("nkey", "creds", "tls_ca", "tls_cert", "tls_key"):
        path = getattr(options, key)
        if path and not _is_file(path):
            _refuse(f"{key} names no file", "give the path of a file that can be read")


def _split(url: str) -> tuple[str, str, str]:
    match = _URL.fullmatch(url)
    if match is not None and "@" not in (match[3] or ""):
        return match[1], match[2], match[3] or ""
    start = _AUTHORITY.match(url)
    if start is None or not url.startswith(("nats://", "tls://")):
        _refuse("does not begin with nats:// or tls://", _FORM)
    if "@" not in url[start.end() :]:
        _refuse("has a path or a fragment", f"{_FORM}; {_ENCODE}")
    return _refuse("has an @ after a /, a ? or a #", _ENCODE)


# --- Servers and credentials -------------------------------------------------------------------------------


def _servers(authority: str) -> Options:
    parts = authority.rpartition("@")[2].split(",")
    servers = [_server(part, f"server {number} of {len(parts)}") for number, part in enumerate(parts, 1)]
    return Options(servers=tuple(dict.fromkeys(servers)))


def _server(part: str, which: str) -> str:
    bracket, closing, rest = part.partition("]")
    if closing:
        if not bracket.startswith("[") or not _is_ipv6(bracket[1:]):
            _refuse(f"{which}: there is no IPv6 address in the brackets", "write it as [::1]:4222")
        host, colon, port = f"{bracket}]", rest[:1], rest[1:]
        if colon not in ("", ":"):
            _refuse(f"{which}: a colon and a port may follow the brackets, nothing else", "write it as [::1]:4222")
    else:
        host, colon, port = part.partition(":")
        if ":" in port:
            _refuse(f"{which}: has more than one colon", f"put an IPv6 address in brackets, as [::1]:4222; {_ENCODE}")
        if not host:
            _refuse(f"{which}: the host is missing", _FORM)
        if not _HOST.fullmatch(host):
            _refuse(f"{which}: the host is neither a name nor an address", "use letters, digits, -, _ and .")
    if colon and not (_PORT.fullmatch(port) and 1 <= int(port) <= 65535):
        _refuse(f"{which}: the port is not a number of 1 to 65535", "write it as [::1]:4222" if closing else _FORM)
    return f"{host}:{int(port) if colon else DEFAULT_PORT}"


def _is_ipv6(address: str) -> bool:
    try:
        return not IPv6Address(address).scope_id
    except ValueError:
        return False


def _credentials(options: Options, authority: str) -> Options:
    login, at, _ = authority.rpartition("@")
    if not at:
        return options
    if "@" in login:
        _refuse("has more than one @", f"give credentials once, before the first host; {_ENCODE}")
    user, colon, password = login.partition(":")
    if not user:
        _refuse("has no user before the @", _FORM)
    if ":" in password:
        _refuse("has more than one colon before the @", _ENCODE)
    if not colon:
        return replace(options, token=_decode(user, "the token"))
    return replace(options, user=_decode(user, "the user"), password=_decode(password, "the password"))


def _decode(text: str, what: str) -> str:
    if _BAD_ESCAPE.search(text):
        _refuse(f"{what} has a % without two hexadecimal digits after it", "write % as %25")
    decoded = unquote_to_bytes(text)
    with suppress(UnicodeDecodeError):  # the error holds what it could not decode
        return decoded.decode()
    return _refuse(f"{what} is not UTF-8 once decoded", _ENCODE)


# --- The query ---------------------------------------------------------------------------------------------


def _with_query(options: Options, query: str) -> Options:
    keys = _keys(query)
    for number, key in enumerate(keys, 1):
        if key not in _VALUES:
            # The key itself may be a part of a token with an & in it.
            near = get_close_matches(key, _VALUES, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            _refuse(f"key {number} of the query is unknown", f"{hint}known are {', '.join(_VALUES)}")
        if keys.index(key) != number - 1:
            _refuse(f"the query gives {key} twice", "give it once")
    pairs = [part.partition("=") for part in query.split("&") if part]
    values = {key: _VALUES[key](key, _decode(value, key)) for key, _, value in pairs}
    if values.get("token") and options.token:
        _refuse("gives two tokens, before the host and in the query", "give one")
    return replace(options, **values)


def _keys(query: str) -> list[str]:
    return [part.partition("=")[0] for part in query.split("&") if part]


def _text(key: str, value: str) -> str:
    if not value:
        _refuse(f"{key} is empty", "give a value, or leave it out")
    return value


def _flag(key: str, value: str) -> bool:
    if value not in ("true", "false"):
        _refuse(f"{key} is neither true nor false", "write tls=true or tls=false")
    return value == "true"


def _namespace(key: str, value: str) -> str:
    if not _NAMESPACE.fullmatch(value):
        _refuse(f"{key} is not a name", "use 1 to 64 letters, digits, - and _")
    return value


def _timeout(key: str, value: str) -> float:
    if not _NUMBER.fullmatch(value) or not 0.1 <= float(value) <= 300:
        _refuse(f"{key} is not a number of seconds from 0.1 to 300", "write timeout=5")
    return float(value)


def _driver(key: str, value: str) -> str:
    if value not in DRIVERS:
        _refuse(f"{key} is unknown", f"use {' or '.join(DRIVERS)}")
    return value


_VALUES: Final[dict[str, Callable[[str, str], Any]]] = {
    "namespace": _namespace,
    "token": _text,
    "nkey": _text,
    "creds": _text,
    "tls": _flag,
    "tls_ca": _text,
    "tls_cert": _text,
    "tls_key": _text,
    "name": _text,
    "timeout": _timeout,
    "driver": _driver,
}


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def _refuse(problem: str, remedy: str) -> NoReturn:
    raise InvalidSettingError("NATS URL", problem, remedy)
