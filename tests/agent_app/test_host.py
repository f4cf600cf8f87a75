from __future__ import annotations

import platform
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi_agent import host
from osapi_agent.results import OsInfo

if TYPE_CHECKING:
    from pathlib import Path

names = st.from_regex(r"[A-Z][A-Z0-9_]*", fullmatch=True)
# What an assignment of the format can hold: one line, whatever stands in it.
values = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"])).filter(
    lambda text: "\0" not in text
)


def quoted(value: str) -> str:
    escaped = "".join(f"\\{c}" if c in "\\$\"'`" else c for c in value)
    return f'"{escaped}"'


@given(st.dictionaries(names, values))
def test_what_was_assigned_is_read(fields: dict[str, str]) -> None:
    text = "".join(f"{name}={quoted(value)}\n" for name, value in fields.items())

    assert host.parse_os_release(text) == fields


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    assert all(isinstance(value, str) for value in host.parse_os_release(text).values())


def test_comments_blank_lines_and_nonsense_are_passed_over() -> None:
    text = "# a comment\n\n  NAME=Void\nVERSION_ID = 1\nnonsense\nID='void'\r\nEMPTY=\n"

    assert host.parse_os_release(text) == {"NAME": "Void", "ID": "void", "EMPTY": ""}


def test_the_standard_library_reads_the_same_of_this_host() -> None:
    text = next(path.read_text(encoding="utf-8") for path in host.OS_RELEASE if path.exists())

    assert host.parse_os_release(text).items() <= platform.freedesktop_os_release().items()


@pytest.mark.parametrize(
    ("text", "info"),
    [
        ('NAME="Debian GNU/Linux"\nVERSION_ID="12"\n', OsInfo(distribution="Debian GNU/Linux", version="12")),
        ('NAME="Arch Linux"\nBUILD_ID=rolling\n', OsInfo(distribution="Arch Linux", version="rolling")),
        ("ID=void\n", OsInfo(distribution="void", version="")),
        ("", OsInfo(distribution="Linux", version="")),
    ],
)
def test_distributions(tmp_path: Path, text: str, info: OsInfo) -> None:
    path = tmp_path / "os-release"
    path.write_text(text, encoding="utf-8")

    assert host.os_info([tmp_path / "missing", path, tmp_path]) == info


def test_an_upgrade_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "os-release"
    path.write_text("NAME=Debian\nVERSION_ID=12\n", encoding="utf-8")
    before = host.os_info([path])
    path.write_text("NAME=Debian\nVERSION_ID=13\n", encoding="utf-8")

    assert (before.version, host.os_info([path]).version) == ("12", "13")


def test_without_a_file_the_kernel_is_named(tmp_path: Path) -> None:
    # A directory cannot be read either.
    found = host.os_info([tmp_path, tmp_path / "missing"])

    assert found == OsInfo(distribution=platform.system(), version=platform.release())


def test_a_file_in_another_encoding_is_read_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "os-release"
    path.write_bytes(b"NAME=Caf\xe9\nVERSION_ID=1\n")

    assert host.os_info([path]) == OsInfo(distribution="Caf\N{REPLACEMENT CHARACTER}", version="1")


def test_a_clock_set_back_makes_no_negative_uptime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "boot_time", lambda: 1e12)

    assert host.uptime() == 0.0
