"""Routes, as the kernel's tables have them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from osapi_agent import routes

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="the samples are those of a little-endian host")

_TABLE = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	010200C0	0003	0	0	100	00000000	0	0	0
eth0	000200C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth1	0000000A	00000000	0000	0	0	0	000000FF	0	0	0
"""
_ZERO = "0" * 32
_TABLE_6 = f"""\
fd000000000000000000000000000000 40 {_ZERO} 00 {_ZERO} 00000100 00000001 00000000 00000001     eth0
{_ZERO} 00 {_ZERO} 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
fd000000000000000000000000000002 80 {_ZERO} 00 {_ZERO} 00000000 00000002 00000000 80200001     eth0
ff000000000000000000000000000000 08 {_ZERO} 00 {_ZERO} 00000100 00000004 00000000 00000001     eth0
{_ZERO} 00 {_ZERO} 00 {_ZERO} ffffffff 00000001 00000000 00200200       lo
"""


def test_those_that_are_up_are_told() -> None:
    assert routes.routes(_TABLE.splitlines()) == [
        {"destination": "0.0.0.0/0", "gateway": "192.0.2.1", "interface": "eth0", "metric": 100},
        {"destination": "192.0.2.0/24", "gateway": "", "interface": "eth0", "metric": 0},
    ]


def test_what_leads_to_the_host_itself_or_to_groups_is_not() -> None:
    assert routes.routes_6(_TABLE_6.splitlines()) == [
        {"destination": "fd00::/64", "gateway": "", "interface": "eth0", "metric": 256},
        {"destination": "::/0", "gateway": "fd00::1", "interface": "eth0", "metric": 1024},
    ]


def test_a_table_that_is_not_there_has_none() -> None:
    assert routes.routes([]) == routes.routes_6([]) == []


def test_a_router_tells_a_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    line = _TABLE.splitlines()[1]

    def lines(path: Path) -> list[str]:
        return [line] * 5000 if path == routes.ROUTES else []

    monkeypatch.setattr(routes, "lines", lines)
    assert len(routes.collect()) == routes.MAX_ROUTES
