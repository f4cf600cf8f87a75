"""The first hour of the documentation is one that can be had: its screens are played on a real `osapi start`."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import socket
import time
from functools import partial
from pathlib import Path
from signal import SIGINT
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from osapi_cli import output
from tests.cli.program import without_style
from tests.cli.screens import ID, same, sessions
from tests.cli.services import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.program import Ended

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "first-hour.md"

# Beats follow each other fast, and no load of this host makes a condition of an agent.
SETTINGS = {
    "OSAPI_NATS_REGISTRY_TTL": "5s",
    "OSAPI_AGENT_CONDITIONS_HIGH_LOAD_MULTIPLIER": "1000",
    "OSAPI_AGENT_CONDITIONS_DISK_PRESSURE_THRESHOLD": "100",
    "OSAPI_AGENT_CONDITIONS_MEMORY_PRESSURE_THRESHOLD": "100",
}

_OF_THIS_HOST = (
    (re.compile(r"/\S+/osapi\b"), "STATE"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"^Total: \d+, Showing: 3$"), "Total: many, Showing: 3"),
    (re.compile(r"[\d.]+ (s|min|h|days?)( \d+ (s|min|h))?\b"), "AGE"),
    (re.compile(r"[\d.]+ (%|ms|(Ki|Mi|Gi)?B)"), "AMOUNT"),
    (re.compile(r"\b\d+\.\d+\b(?!\.)"), "NUMBER"),
    (re.compile(r"(AMOUNT of /).*"), r"\1 SYSTEM"),
    (re.compile(rf"\b({re.escape(socket.gethostname())}|laptop)$"), "NAME"),
    (re.compile(rf"\b({re.escape(pwd.getpwuid(os.geteuid()).pw_name)}|ann)\b"), "USER"),
)


def like(shown: str) -> list[str]:
    """Return what is the same on every host."""
    lines = same(shown)
    for varying, name in _OF_THIS_HOST:
        lines = [varying.sub(name, line) for line in lines]
    return lines


_STATES = {"drain": "Cordoned", "undrain": "Ready"}


class Fresh:
    """A user who has just installed osapi."""

    def __init__(self, invoke: Callable[..., Ended], environment: pytest.MonkeyPatch) -> None:
        self._invoke = invoke
        self._environment = environment
        self._ids: dict[str, str] = {}

    def types(self, line: str, told: str) -> str:
        """Return what a terminal of 100 columns shows; ids of the page stand for those seen in their place."""
        arguments = shlex.split(ID.sub(lambda found: self._ids[found[0]], line))[1:]
        with self._environment.context() as patch:
            patch.setattr(output, "is_terminal", lambda: True)
            ended = self._invoke(*arguments)
        shown = without_style(ended.out) + ended.err
        self._ids |= zip(ID.findall(told), ID.findall(shown), strict=True)
        self._settle(arguments, shown)
        return shown

    def _settle(self, arguments: list[str], shown: str) -> None:
        # A reader needs longer than that for the next line.
        if "--detach" in arguments or "retry" in arguments:
            job = ID.findall(shown)[0]
            self._until(lambda: self._json("job", "get", "--job-id", job)["status"] == "processing")
        for state in (_STATES[word] for word in arguments if word in _STATES):
            self._until(partial(self._is, state))

    def _is(self, state: str) -> bool:
        return bool(self._json("agent", "get", "--hostname", "web-01")["state"] == state)

    def _json(self, *arguments: str) -> Any:
        return msgspec.json.decode(self._invoke("client", *arguments, "--json").out)

    def _until(self, happened: Callable[[], bool]) -> None:
        for _ in range(400):
            if happened():
                return
            time.sleep(0.05)
        raise AssertionError


@pytest.fixture
def fresh(here: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fresh:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")
    return Fresh(here, monkeypatch)


def variables(start: str) -> Iterator[tuple[str, str]]:
    """Yield what stands before the command that starts it all."""
    for word in shlex.split(start):
        name, equals, value = word.partition("=")
        if equals:
            yield name, value


def play(fresh: Fresh, home: Path) -> list[tuple[str, str, str]]:
    """Return the commands of the page, what it says and what they show."""
    (start, announced), *others = sessions(PAGE)
    with Service(home, "start", **dict(variables(start)), **SETTINGS) as service:
        service.until("ready: ")
        played = [(line, told, fresh.types(line, told)) for line, told in others]
        ended = service.ended(SIGINT)
    assert ended.status == 130
    return [(start, announced, ended.out), *played]


def test_the_first_hour_is_as_it_is_told(fresh: Fresh, tmp_path: Path) -> None:
    played = play(fresh, tmp_path)

    assert len(played) >= 20
    for line, told, shown in played:
        assert like(shown) == like(told), line
