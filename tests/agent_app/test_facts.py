from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import psutil
import pytest

import osapi
from osapi.rules.facts import flatten, normalise_facts
from osapi_agent import facts, node

if TYPE_CHECKING:
    from pathlib import Path

ROUTES = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
wlan0	00000000	0100A8C0	0003	0	0	600	00000000	0	0	0
eth1	00000000	0100A8C0	0002	0	0	1	00000000	0	0	0
eth0	00000000	0100A8C0	0003	0	0	100	00000000	0	0	0
tun0	00000000	00000000	0001	0	0	0	00000080	0	0	0
eth0	0000A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""
ROUTES_6 = """\
fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth1
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 00000001 00000001 00000000 00200201       lo
"""  # noqa: E501


async def test_the_facts_of_this_host() -> None:
    found = normalise_facts(await facts.collect())
    assert found["arch"] == facts.architecture(platform.machine())
    assert found["kernel"] == platform.release()
    assert found["hostname"] == platform.node()
    assert found["fqdn"].startswith(platform.node().partition(".")[0])
    assert found["cpu_count"] == psutil.cpu_count()
    assert found["memory"] == {"total": psutil.virtual_memory().total}
    assert {"name": "lo"}.items() <= next(i for i in found["interfaces"] if "127.0.0.1" in i["addresses"]).items()
    assert {name.partition(".")[0] for name in facts.DESCRIPTIONS} >= found.keys()
    # A host may lack some, but none is told that nobody has heard of.
    assert flatten(found).keys() <= facts.DESCRIPTIONS.keys()


async def test_a_job_is_sent_by_them_and_gets_them() -> None:
    operations = osapi.Operations()
    operations.include(node.operations)

    @operations.query("test.echo")
    async def echo(job: osapi.Job, data: str) -> str:
        return data

    async with (
        osapi.connect("memory://") as transport,
        osapi.Agent(transport, operations, hostname="web-01", facts=facts.collect),
        osapi.Client(transport, operations) as client,
    ):
        target = f"fact.arch:{facts.architecture(platform.machine())},fact.interfaces.name:lo"
        handle = await client.submit("test.echo", "runs @fact.kernel", target=target)
        assert (await handle.result())["web-01"].unwrap() == f"runs {platform.release()}"


@pytest.mark.parametrize(
    ("machine", "arch"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("AMD64", "amd64"), ("riscv64", "riscv64")]
)
def test_architectures_have_the_names_of_packages(machine: str, arch: str) -> None:
    assert facts.architecture(machine) == arch


def test_the_primary_interface_has_the_default_route_of_the_least_metric() -> None:
    assert facts.default_interface(ROUTES.splitlines()) == "eth0"
    assert facts.default_interface(ROUTES.splitlines()[:3]) == "wlan0"
    assert facts.default_interface(ROUTES.splitlines()[:1]) == ""
    assert facts.default_interface_6(ROUTES_6.splitlines()) == "eth0"
    assert facts.default_interface_6(ROUTES_6.splitlines()[2:]) == ""


@pytest.mark.parametrize(
    ("there", "name"), [({"apt-get"}, "apt"), ({"yum", "dnf"}, "dnf"), ({"apk", "zypper"}, "zypper"), (set[str](), "")]
)
def test_the_package_manager(there: set[str], name: str) -> None:
    assert facts.package_manager(there.__contains__) == name


@pytest.mark.parametrize(
    ("place", "name"), [("run/systemd/system", "systemd"), ("run/openrc", "openrc"), ("run/runit", "runit"), ("x", "")]
)
def test_the_service_manager(tmp_path: Path, place: str, name: str) -> None:
    (tmp_path / place).mkdir(parents=True)
    assert facts.service_manager(tmp_path) == name
