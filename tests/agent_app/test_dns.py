from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import osapi
from osapi_agent.dns import Dns, DnsUpdated
from osapi_agent.resolved import parse

if TYPE_CHECKING:
    from tests.agent_app.conftest import Do
    from tests.agent_app.pretended import PretendedSystem

# Keeps one interface's settings in two files; `revert` brings back what DHCP gave.
RESOLVECTL = """
file="$FOLDER/$1.now"
case $1 in
revert) echo 192.0.2.53 > "$FOLDER/dns.now"; echo lan > "$FOLDER/domain.now"; exit;;
esac
link=$2
shift 2
if [ $# -gt 0 ]; then echo "$*" > "$file"; exit; fi
echo "Link 2 ($link): $(cat "$file")"
"""

DHCP = Dns(servers=("192.0.2.53",), search_domains=("lan",))


@pytest.fixture
def resolvectl(system: PretendedSystem) -> PretendedSystem:
    system.install("resolvectl", RESOLVECTL)
    system.folder.joinpath("dns.now").write_text("192.0.2.53\n", encoding="ascii")
    system.folder.joinpath("domain.now").write_text("lan\n", encoding="ascii")
    return system


async def test_what_an_interface_uses(do: Do, resolvectl: PretendedSystem) -> None:
    answer = await do("network.dns.get", interface_name="eth0")

    assert answer.unwrap() == DHCP
    assert not answer.changed
    assert resolvectl.calls() == ["resolvectl dns eth0", "resolvectl domain eth0"]


async def test_an_update_goes_before_what_is_there(do: Do, resolvectl: PretendedSystem) -> None:
    answer = await do(
        "network.dns.update",
        interface_name="eth0",
        servers=["2001:DB8:0::1", "198.51.100.1"],
        search_domains=["Example.com."],
    )

    assert answer.unwrap() == DnsUpdated(
        servers=("2001:db8::1", "198.51.100.1", "192.0.2.53"), search_domains=("example.com", "lan"), changed=True
    )
    assert answer.changed


async def test_an_update_in_the_place_of_what_dhcp_gave(do: Do, resolvectl: PretendedSystem) -> None:
    answer = await do("network.dns.update", interface_name="eth0", servers=["198.51.100.1"], override_dhcp=True)

    assert answer.unwrap() == DnsUpdated(servers=("198.51.100.1",), search_domains=("lan",), changed=True)


@pytest.mark.parametrize("override", [False, True])
async def test_a_second_time_nothing_changes(do: Do, resolvectl: PretendedSystem, override: bool) -> None:
    data = {
        "interface_name": "eth0",
        "servers": ["198.51.100.1"],
        "search_domains": ["b", "b"],
        "override_dhcp": override,
    }
    first = await do("network.dns.update", **data)
    calls = len(resolvectl.calls())

    second = await do("network.dns.update", **data)

    assert (first.changed, second.changed) == (True, False)
    assert (first.data.servers, first.data.search_domains) == (second.data.servers, second.data.search_domains)
    # Four questions, and nothing set.
    assert resolvectl.calls()[calls:] == ["resolvectl dns eth0", "resolvectl domain eth0"] * 2


async def test_what_is_not_given_is_left_alone(do: Do, resolvectl: PretendedSystem) -> None:
    await do("network.dns.update", interface_name="eth0", search_domains=["~."])

    asked = ["resolvectl dns eth0", "resolvectl domain eth0"]
    assert resolvectl.calls() == [*asked, "resolvectl domain eth0 ~. lan", *asked]


async def test_deleting_brings_back_what_dhcp_gave(do: Do, resolvectl: PretendedSystem) -> None:
    await do("network.dns.update", interface_name="eth0", servers=["198.51.100.1"], override_dhcp=True)

    first = await do("network.dns.delete", interface_name="eth0")
    second = await do("network.dns.delete", interface_name="eth0")

    assert (first.unwrap().servers, first.changed) == (DHCP.servers, True)
    assert (second.unwrap().servers, second.changed) == (DHCP.servers, False)


@pytest.mark.parametrize("operation", ["get", "update", "delete"])
async def test_without_resolvectl_it_is_skipped(do: Do, operation: str) -> None:
    servers = {"servers": ["192.0.2.1"]} if operation == "update" else {}

    answer = await do(f"network.dns.{operation}", interface_name="eth0", **servers)

    assert answer.status is osapi.SlotStatus.SKIPPED
    assert answer.error == "resolvectl is not installed here; DNS can only be managed by systemd-resolved"


@pytest.mark.parametrize(
    "told",
    [
        "Failed to get global data: Unit dbus-org.freedesktop.resolve1.service not found.",
        "sd_bus_open_system: No such file or directory",
        "Failed to connect to system bus: No such file or directory",
    ],
)
async def test_without_systemd_resolved_it_is_skipped(do: Do, system: PretendedSystem, told: str) -> None:
    system.install("resolvectl", f'echo "{told}" >&2; exit 1')

    answer = await do("network.dns.get", interface_name="eth0")

    assert answer.status is osapi.SlotStatus.SKIPPED
    assert answer.error == f"systemd-resolved does not run here ({told})"


async def test_a_refusal_is_a_failure(do: Do, system: PretendedSystem) -> None:
    system.install("resolvectl", 'echo "Failed: Device or resource busy" >&2; exit 1')

    answer = await do("network.dns.get", interface_name="eth0")

    assert answer.status is osapi.SlotStatus.FAILED
    assert "resolvectl dns eth0 failed (status 1): Failed: Device or resource busy" in answer.error


@pytest.mark.parametrize(("name", "hint"), [("eht0", "did you mean eth0"), ("zzz", "there are eth0, eth1, lo, wlan0")])
async def test_an_unknown_interface_is_a_failure_that_names_those_near(
    do: Do, resolvectl: PretendedSystem, name: str, hint: str
) -> None:
    answer = await do("network.dns.get", interface_name=name)

    assert answer.status is osapi.SlotStatus.FAILED
    assert f"interface '{name}' is not on this host; {hint}" in answer.error
    assert resolvectl.calls() == []


@pytest.mark.parametrize("data", [{"interface_name": "@@fact.x"}, {"interface_name": "eth0", "servers": ["@@fact.x"]}])
async def test_what_a_fact_stands_for_is_checked_on_the_host(
    do: Do, resolvectl: PretendedSystem, data: dict[str, Any]
) -> None:
    answer = await do("network.dns.update", **{"servers": ["192.0.2.1"], **data})

    assert "InvalidAddressError: address '@fact.x': is no" in answer.error
    assert not [call for call in resolvectl.calls() if "fact" in call]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"interface_name": "--all"}, "is no name of a network interface"),
        ({"interface_name": "eth0"}, "neither servers nor search domains"),
        ({"interface_name": "eth0", "servers": []}, "neither servers nor search domains"),
        ({"servers": ["192.0.2.1"]}, "missing required field `interface_name`"),
        ({"interface_name": "eth0", "servers": ["--help"]}, "is no IP address"),
        ({"interface_name": "eth0", "servers": ["dns.example.com"]}, "is no IP address"),
        ({"interface_name": "eth0", "servers": ["0.0.0.0"]}, "is not the address of a server"),  # noqa: S104 - refused
        ({"interface_name": "eth0", "servers": ["192.0.2.1"] * 17}, "$.servers"),
        ({"interface_name": "eth0", "servers": "192.0.2.1"}, "$.servers"),
        ({"interface_name": "eth0", "search_domains": ["-x"]}, "is no search domain"),
        ({"interface_name": "eth0", "search_domains": ["x"] * 17}, "$.search_domains"),
        ({"interface_name": "eth0", "servers": ["192.0.2.1"], "override_dhcp": "yes"}, "$.override_dhcp"),
        ({"interface_name": "eth0", "server": ["192.0.2.1"]}, "unknown field `server`"),
    ],
)
async def test_bad_input_is_refused_before_it_is_sent(do: Do, data: dict[str, Any], told: str) -> None:
    with pytest.raises(osapi.InvalidPayloadError) as refusal:
        await do("network.dns.update", **data)

    assert told in str(refusal.value)


REFUSED = "Failed to set DNS configuration: Interactive authentication required."


@pytest.mark.parametrize(
    ("operation", "verb", "data"),
    [
        ("update", "dns", {"servers": ["198.51.100.1"], "search_domains": ["b"]}),
        ("update", "domain", {"search_domains": ["b"]}),
        ("delete", "revert", {}),
    ],
)
async def test_without_the_rights_it_is_skipped(
    do: Do, resolvectl: PretendedSystem, operation: str, verb: str, data: dict[str, Any]
) -> None:
    refuse(resolvectl, verb)

    answer = await do(f"network.dns.{operation}", interface_name="eth0", **data)

    assert (answer.status, answer.error, answer.changed) == (
        osapi.SlotStatus.SKIPPED,
        f"the agent may not set the DNS of this host ({REFUSED}); run it as root, or let polkit allow it",
        False,
    )
    assert (await do("network.dns.get", interface_name="eth0")).unwrap() == DHCP


async def test_what_is_half_done_is_a_failure_and_not_skipped(do: Do, resolvectl: PretendedSystem) -> None:
    refuse(resolvectl, "domain")

    answer = await do("network.dns.update", interface_name="eth0", servers=["198.51.100.1"], search_domains=["b"])

    assert answer.status is osapi.SlotStatus.FAILED
    assert "the servers are set, the search domains are not: the agent may not set the DNS of this" in answer.error


def refuse(system: PretendedSystem, verb: str) -> None:
    """Let everybody read, and nobody change what this verb changes."""
    change = "[ $1 = revert ] || [ $# -gt 2 ]"
    system.install(
        "resolvectl", f'if [ $1 = {verb} ] && {{ {change}; }}; then echo "{REFUSED}" >&2; exit 1; fi\n{RESOLVECTL}'
    )


words = st.lists(st.from_regex(r"[0-9a-f.:]{1,30}", fullmatch=True), max_size=20)


@given(words, st.integers(1, 20))
def test_a_list_is_read_however_it_is_wrapped(servers: list[str], width: int) -> None:
    lines = [" ".join(servers[start : start + width]) for start in range(0, len(servers), width)]

    assert parse("Link 2 (eth0): " + "\n        ".join(lines) + "\n") == servers
