from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import osapi
from osapi_agent.ping import Pinged, parse

if TYPE_CHECKING:
    from tests.agent_app.conftest import Do
    from tests.agent_app.pretended import PretendedSystem

IPUTILS = """PING 192.0.2.1 (192.0.2.1) 56(84) bytes of data.

--- 192.0.2.1 ping statistics ---
3 packets transmitted, 2 received, 33.3333% packet loss, time 2003ms
rtt min/avg/max/mdev = 0.500/1.000/1.500/0.010 ms
"""
BUSYBOX = """PING 192.0.2.1 (192.0.2.1): 56 data bytes

--- 192.0.2.1 ping statistics ---
3 packets transmitted, 2 packets received, 33% packet loss
round-trip min/avg/max = 0.500/1.000/1.500 ms
"""
BSD = """--- 192.0.2.1 ping statistics ---
3 packets transmitted, 2 packets received, 33.3% packet loss
round-trip min/avg/max/stddev = 0.500/1.000/1.500/0.100 ms
"""
SILENCE = """--- 192.0.2.1 ping statistics ---
3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 2051ms
"""
DUPLICATES = """2 packets transmitted, 2 received, +1 duplicates, 0% packet loss, time 1001ms
rtt min/avg/max/mdev = 1.000/1.000/1.000/0.000 ms
"""

SOME = Pinged(packets_sent=3, packets_received=2, packet_loss=33.3, min_rtt=0.0005, avg_rtt=0.001, max_rtt=0.0015)
NONE = Pinged(packets_sent=3, packets_received=0, packet_loss=100.0, min_rtt=None, avg_rtt=None, max_rtt=None)
ALL = Pinged(packets_sent=2, packets_received=2, packet_loss=0.0, min_rtt=0.001, avg_rtt=0.001, max_rtt=0.001)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (IPUTILS, SOME),
        (BUSYBOX, SOME),
        (BSD, SOME),
        (SILENCE, NONE),
        (DUPLICATES, ALL),
        ("0 packets transmitted, 0 received\n", None),
        ("", None),
    ],
)
def test_the_summary_is_read_whoever_wrote_it(text: str, found: Pinged | None) -> None:
    assert parse(text) == found


async def test_an_address_is_pinged_three_times_within_five_seconds(do: Do, system: PretendedSystem) -> None:
    system.install("ping", f"cat <<'END'\n{IPUTILS}END")

    answer = await do("network.ping.run", address="192.0.2.1")

    assert answer.unwrap() == SOME
    assert not answer.changed
    assert system.calls() == ["ping -n -q -c 3 -w 5 -- 192.0.2.1"]


async def test_no_answer_is_a_result(do: Do, system: PretendedSystem) -> None:
    system.install("ping", f"cat <<'END'\n{SILENCE}END\nexit 1")

    assert (await do("network.ping.run", address="web-01.example.com")).unwrap() == NONE


async def test_what_cannot_be_sent_is_a_failure(do: Do, system: PretendedSystem) -> None:
    system.install("ping", 'echo "ping: nowhere: Name or service not known" >&2; exit 2')

    answer = await do("network.ping.run", address="nowhere")

    assert answer.status is osapi.SlotStatus.FAILED
    assert "ping 'nowhere' failed (status 2): ping: nowhere: Name or service not known" in answer.error


async def test_without_the_program_it_is_skipped(do: Do) -> None:
    answer = await do("network.ping.run", address="192.0.2.1")

    assert (answer.status, answer.error) == (
        osapi.SlotStatus.SKIPPED,
        "ping is not installed here; install iputils-ping",
    )


@pytest.mark.parametrize("told", ["ping: socket: Operation not permitted", "ping: permission denied (are you root?)"])
async def test_without_the_rights_it_is_skipped(do: Do, system: PretendedSystem, told: str) -> None:
    system.install("ping", f'echo "{told}" >&2; exit 2')

    answer = await do("network.ping.run", address="192.0.2.1")

    assert (answer.status, answer.error) == (
        osapi.SlotStatus.SKIPPED,
        f"the agent may not send pings ({told}); give it CAP_NET_RAW, or run it as root",
    )


async def test_a_ping_that_hangs_is_killed(do: Do, system: PretendedSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osapi_agent.system._PATIENCE", 0.1)
    system.install("ping", "sleep 300")

    answer = await do("network.ping.run", address="192.0.2.1")

    assert "ProgramFailedError: ping did not end within 0.1 s, and was killed" in answer.error


async def test_what_a_fact_stands_for_is_checked_on_the_host(do: Do, system: PretendedSystem) -> None:
    system.install("ping", "")

    # Two signs stand for one: on the host this is no reference any more.
    answer = await do("network.ping.run", address="@@fact.x")

    assert "InvalidAddressError: address '@fact.x': is neither an IP address nor a hostname" in answer.error
    assert system.calls() == []


@pytest.mark.parametrize("address", ["", "-f", "--help", "a b", "192.0.2", "0x7f.1", "fe80::1%a b", "a;b", 1])
async def test_bad_input_is_refused_before_it_is_sent(do: Do, system: PretendedSystem, address: object) -> None:
    system.install("ping", "")

    with pytest.raises(osapi.InvalidPayloadError):
        await do("network.ping.run", address=address)

    assert system.calls() == []
