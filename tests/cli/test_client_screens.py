"""The screens of the documentation are what the program shows, but for ids, times and durations."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from osapi_cli import output
from tests.cli.program import without_style

if TYPE_CHECKING:
    from tests.cli.conftest import Client

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "use-the-command-line.md"

_BLOCK = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"\b\d+ (s|min|h)( \d+ (s|min))?\b"), "AGE"),
    (re.compile(r"\b\d+\.\d{3}s"), "SECONDS"),
    (re.compile(r"[ ─]+"), " "),
)


def sessions() -> list[tuple[str, str]]:
    """Return the commands of the page, each with what it is said to show."""
    text = "".join(_BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def same(shown: str) -> list[str]:
    """Return what is the same in every run."""
    for varying, name in ((_ID, "ID"), *_VARYING):
        shown = varying.sub(name, shown)
    lines = [line.strip() for line in shown.strip().splitlines()]
    # Hosts work at the same time, so that a timeline may have their events in another order.
    return sorted(lines) if "Timeline" in lines else lines


def typed(client: Client, line: str) -> str:
    """Return what a terminal of 100 columns shows when this is typed."""
    command, _, filtered = line.partition(" | ")
    with client.environment.context() as patch:
        patch.setattr(output, "is_terminal", lambda: not filtered)
        ended = client(*shlex.split(command)[2:])
    if filtered == "awk '$2 == \"ok\" {print $1}'":
        rows = [row.split() for row in ended.out.splitlines()]
        return "".join(f"{row[0]}\n" for row in rows if row[1] == "ok")
    assert not filtered
    return without_style(ended.out) + ended.err


def prepare(client: Client) -> str:
    """Let there be a dead letter, and return the id of a job on which a host has failed."""
    client("run", "test.busy", "-T", "web-01")
    while not client.json("job", "dlq", "list")["items"]:
        time.sleep(0.02)
    client("node", "uptime", "-T", "_all")
    found: str = client.json("job", "list", "--limit", "1")["jobs"][0]["id"]
    return found


def play(client: Client) -> list[tuple[str, str, str]]:
    """Return the commands of the page, what it says and what they show."""
    client.environment.setenv("COLUMNS", "100")
    job_id = prepare(client)
    played: list[tuple[str, str, str]] = []
    for line, told in sessions():
        played.append((line, told, typed(client, _ID.sub(job_id, line))))
        if "drain" in line:
            state = "Ready" if "undrain" in line else "Cordoned"
            while client.json("agent", "get", "--hostname", "db-01")["state"] != state:
                time.sleep(0.02)
    return played


def test_the_screens_are_what_is_shown(client: Client) -> None:
    played = play(client)

    assert len(played) >= 15
    for line, told, shown in played:
        assert same(shown) == same(told), line
