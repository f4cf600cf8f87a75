from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi_agent.addresses import check_host, check_interface, normalise_domain, normalise_ip, normalise_server
from osapi_agent.errors import InvalidAddressError

if TYPE_CHECKING:
    import ipaddress

# What a program could take for an option, or for more than one word.
HOSTILE = ["", "-f", "--help", "a b", "a\n", "a;b", "$(a)", "a\0", "a/b", "'a'", "\N{FULLWIDTH DIGIT ONE}.1.1.1"]


@given(st.ip_addresses())
def test_every_address_is_taken_and_shortened(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert normalise_ip(address.exploded) == str(address)
    check_host(address.exploded)


@pytest.mark.parametrize("text", [*HOSTILE, "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.1.1.1", "::g", "fe80::1%a b", "1/8"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddressError):
        normalise_ip(text)


def test_an_address_of_a_link_names_the_link() -> None:
    assert normalise_ip("fe80::1%eth0") == "fe80::1%eth0"


@pytest.mark.parametrize("text", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"])  # noqa: S104 - refused
def test_a_server_is_one_host(text: str) -> None:
    with pytest.raises(InvalidAddressError, match="is not the address of a server"):
        normalise_server(text)


@pytest.mark.parametrize("text", ["localhost", "web-01.Example.com", "a.b.", "1a", "10.0.0.x", "x" * 63])
def test_hostnames_are_hosts(text: str) -> None:
    check_host(text)


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "1.2.3",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "a..b",
        "a-.b",
        "-a.b",
        "x" * 64,
        "a." * 127 + "a",
        "a_b",
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddressError):
        check_host(text)


@given(st.text())
def test_no_text_that_is_a_host_looks_like_an_option(text: str) -> None:
    try:
        check_host(text)
    except InvalidAddressError:
        return
    assert text[0] not in "-%"
    assert not set(text) & set(" \t\n\0/;$'\"")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Example.COM.", "example.com"),
        ("_msdcs.corp", "_msdcs.corp"),
        ("~corp.example", "~corp.example"),
        ("~.", "~."),
    ],
)
def test_domains_are_compared_in_one_form(text: str, normal: str) -> None:
    assert normalise_domain(text) == normal


@pytest.mark.parametrize("text", [*HOSTILE, ".", "~", "a..b", "~~a", "x" * 64, "a." * 127 + "a"])
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddressError):
        normalise_domain(text)


@pytest.mark.parametrize("text", ["eth0", "wlp3s0", "br-lan", "eth0.100", "veth_1", "x" * 15])
def test_interfaces(text: str) -> None:
    check_interface(text)


@pytest.mark.parametrize("text", [*HOSTILE[:-1], "x" * 16, ".eth", "eth\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_what_is_no_interface_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddressError):
        check_interface(text)
