"""What the operations lack on a host is said before a job finds out, and the operations then do as was said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import osapi_agent
from osapi_agent.preflight import Means, lacking, look

if TYPE_CHECKING:
    from pathlib import Path

    from tests.agent_app.conftest import Do
    from tests.agent_app.pretended import PretendedSystem

ALL = sorted(osapi_agent.operations.kinds())
WELL = Means(root=True, capabilities=0, programs=frozenset({"ping", "resolvectl", "hostnamectl"}), resolved=True)
USER = WELL._replace(root=False)


def test_root_on_a_whole_host_lacks_nothing() -> None:
    assert list(lacking(ALL, WELL)) == []


DNS = "network.dns.get, network.dns.update, network.dns.delete will be skipped: "
NO_PING = "network.ping.run will be skipped: ping is not installed; install iputils-ping"
NO_RESOLVECTL = f"{DNS}resolvectl is not installed; install systemd-resolved"
NO_RESOLVED = f"{DNS}systemd-resolved does not run; start it"
POLKIT = "will be skipped unless polkit allows it: the agent is neither root nor has"
NO_DNS = f"network.dns.update, network.dns.delete {POLKIT} CAP_NET_ADMIN"
NO_NAME = f"node.hostname.update {POLKIT} CAP_SYS_ADMIN"


@pytest.mark.parametrize(
    ("means", "lines"),
    [
        (WELL._replace(programs=frozenset({"resolvectl"})), [NO_PING]),
        (WELL._replace(programs=frozenset({"ping"})), [NO_RESOLVECTL]),
        (WELL._replace(resolved=False), [NO_RESOLVED]),
        (USER, [NO_DNS, NO_NAME]),
        (USER._replace(capabilities=1 << 12), [NO_NAME]),
        (USER._replace(capabilities=1 << 12 | 1 << 21), []),
    ],
)
def test_each_thing_that_is_lacking_is_one_line(means: Means, lines: list[str]) -> None:
    assert list(lacking(ALL, means)) == lines


@given(
    st.builds(
        Means,
        st.booleans(),
        st.integers(0, 2**41),
        st.frozensets(st.sampled_from(sorted(WELL.programs))),
        st.booleans(),
    ),
    st.sets(st.sampled_from(ALL)),
)
def test_nothing_is_said_of_what_is_not_offered(means: Means, offered: set[str]) -> None:
    for line in lacking(offered, means):
        named = line.partition(" will ")[0].split(", ")
        assert named
        assert set(named) <= offered


def test_a_host_is_looked_at(system: PretendedSystem, tmp_path: Path) -> None:
    status = tmp_path / "proc/self/status"
    status.parent.mkdir(parents=True)
    status.write_text("Name:\tosapi\nCapPrm:\tffffffffffffffff\nCapEff:\t0000000000201000\n", encoding="ascii")
    found = look(system, tmp_path)
    assert (found.programs, found.resolved, found.capabilities) == (frozenset(), False, 1 << 12 | 1 << 21)
    system.install("ping", "exit 0")
    (tmp_path / "run/systemd/resolve").mkdir(parents=True)
    found = look(system, tmp_path)
    assert (found.programs, found.resolved) == (frozenset({"ping"}), True)


@pytest.mark.parametrize(
    ("operation", "data"),
    [("network.ping.run", {"address": "192.0.2.1"}), ("network.dns.get", {"interface_name": "eth0"})],
)
async def test_what_is_said_to_be_skipped_is(
    do: Do, system: PretendedSystem, operation: str, data: dict[str, Any]
) -> None:
    assert any(operation in line and "skipped" in line for line in lacking(ALL, look(system)))
    assert (await do(operation, **data)).status == "skipped"
