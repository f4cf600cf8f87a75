"""The screens of the documentation are what the program shows, but for ids, times and durations."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

from osapi_cli import output
from tests.cli.program import without_style
from tests.cli.screens import ID, same, sessions

if TYPE_CHECKING:
    from tests.cli.conftest import Client

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "use-the-command-line.md"


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
    for line, told in sessions(PAGE):
        played.append((line, told, typed(client, ID.sub(job_id, line))))
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
