"""What names a place in a network: checked so that no program can take one for an option."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from osapi.errors import shown
from osapi_agent.errors import InvalidAddressError

_MAX_NAME: Final = 253

_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
# The last label holds a letter and is no hexadecimal number: programs read 10.1 and 0x7f.1 as addresses.
_HOST = re.compile(rf"(?:{_LABEL}\.)*(?=[A-Za-z0-9-]*[A-Za-z])(?!0[xX]){_LABEL}\.?")
# Services are found under names such as _ldap._tcp.
_DOMAIN_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_DOMAIN = re.compile(rf"~?{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*\.?")
_ZONE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,14}")


def holds_reference(text: str) -> bool:
    """Tell whether a text refers to a fact: it can be checked on the host only, where the fact's value is known."""
    return "@fact." in text


def normalise_ip(text: str) -> str:
    """Check an IP address and return it in its shortest form.

    Raises:
        InvalidAddressError

    """
    remedy = "write an IP address such as 192.0.2.1 or 2001:db8::1"
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise InvalidAddressError(text, "is no IP address", remedy) from None
    zone = getattr(address, "scope_id", None)
    if zone is not None and not _ZONE.fullmatch(zone):
        raise InvalidAddressError(text, f"has the zone {shown(zone)}, which no interface is called", remedy)
    return str(address)


def normalise_server(text: str) -> str:
    """Check the IP address of a server, which is that of one host, and return it in its shortest form.

    Raises:
        InvalidAddressError

    """
    address = normalise_ip(text)
    parsed = ipaddress.ip_address(address)
    if parsed.is_unspecified or parsed.is_multicast or address == "255.255.255.255":
        raise InvalidAddressError(text, "is not the address of a server", "write the address of one host")
    return address


def check_host(text: str) -> None:
    """Refuse what is neither an IP address nor a hostname.

    Raises:
        InvalidAddressError

    """
    if ":" in text:
        normalise_ip(text)
    elif not _is_ip(text) and (len(text) > _MAX_NAME or not _HOST.fullmatch(text)):
        raise InvalidAddressError(
            text, "is neither an IP address nor a hostname", "write one such as 192.0.2.1 or web-01.example.com"
        )


def normalise_domain(text: str) -> str:
    """Check a search domain and return it in lower case, without the dot at its end.

    `~` before a domain makes it one that only says where questions go; `~.` takes all of them.

    Raises:
        InvalidAddressError

    """
    if text == "~.":
        return text
    if len(text) > _MAX_NAME or not _DOMAIN.fullmatch(text):
        raise InvalidAddressError(text, "is no search domain", "write one such as example.com, or ~example.com")
    return text.lower().removesuffix(".")


def check_interface(text: str) -> None:
    """Refuse what no network interface can be called.

    Raises:
        InvalidAddressError

    """
    if not _ZONE.fullmatch(text):
        raise InvalidAddressError(
            text,
            "is no name of a network interface",
            "write 1 to 15 letters, digits and `_.:-` that start with a letter or digit, such as eth0",
        )


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
