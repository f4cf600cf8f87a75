"""Where nats-server is looked for, and what is said if it is nowhere."""

from __future__ import annotations

import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from osapi.errors import TransportError
from osapi_nats.server import ServerNotFoundError, ServerSettings, find_server, run_server

if TYPE_CHECKING:
    from pathlib import Path

GONE = "pip install 'osapi[nats]', or set OSAPI_NATS_SERVER to its path"


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OSAPI_NATS_SERVER", raising=False)

    def scripts(name: str) -> str:
        return str(tmp_path / name)

    monkeypatch.setattr(sysconfig, "get_path", scripts)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))


def program(path: Path, *, mode: int = 0o755) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="ascii")
    path.chmod(mode)
    return path


def test_the_variable_wins_then_the_interpreters_folders_then_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in ("path", "bin", "scripts"):
        last = program(tmp_path / folder / "nats-server")
        assert find_server() == last
    named = program(tmp_path / "mine")
    monkeypatch.setenv("OSAPI_NATS_SERVER", str(named))
    assert find_server() == named


def test_a_relative_path_is_one_from_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OSAPI_NATS_SERVER", "mine")
    mine = program(tmp_path / "mine")

    assert find_server() == mine


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OSAPI_NATS_SERVER", "")
    on_the_path = program(tmp_path / "path" / "nats-server")

    assert find_server() == on_the_path


@pytest.mark.parametrize("mode", [None, 0o644])
def test_a_variable_that_names_no_program_is_not_passed_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: int | None
) -> None:
    program(tmp_path / "path" / "nats-server")
    if mode:
        program(tmp_path / "mine", mode=mode)
    monkeypatch.setenv("OSAPI_NATS_SERVER", str(tmp_path / "mine"))

    with pytest.raises(ServerNotFoundError, match="is no program that can be run; give the path of nats-server"):
        find_server()


async def test_without_it_the_error_says_how_to_get_it() -> None:
    with pytest.raises(TransportError, match=r"there is no nats-server beside '/.* or on the PATH") as caught:
        async with run_server(ServerSettings(port=0)):
            pytest.fail("it started")
    assert str(caught.value).endswith(GONE)
