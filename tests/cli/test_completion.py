"""What a shell offers of a server: names of agents and operations, soon or not at all."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.cli.program import python
from tests.cli.serving import answer, answering

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Client

URL = "OSAPI_CONTROLLER_CLIENT_URL"
HOSTNAME = "osapi client agent get --hostname "


def offered(client: Client, typed: str, *, patience: float = 60.0) -> list[str]:
    """Return what bash is told of a line whose last word is begun; nothing else may be said."""
    variables = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_OSAPI_COMPLETE": "bash_complete"}
    with client.environment.context() as patch:
        patch.setattr("osapi_cli.client.names._PATIENCE", patience)
        for name, value in variables.items():
            patch.setenv(name, value)
        ended = client.invoke()
    assert (ended.status, ended.err) == (0, "")
    return [line.partition(",")[2] for line in ended.out.splitlines() if line]


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("osapi client agent get --hostname w", ["web-01", "web-02"]),
        ("osapi client job cancel --job-id 7 --host d", ["db-01"]),
        ("osapi client node status -T ", ["_all", "_any", "db-01", "web-01", "web-02"]),
        ("osapi client job retry --target-hostname _", ["_all", "_any"]),
        ("osapi client run node.u", ["node.uptime.get"]),
        ("osapi client rollout start node.u", ["node.uptime.get"]),
        ("osapi client schedule set --operation node.u", ["node.uptime.get"]),
    ],
)
def test_names_of_the_server_are_offered(client: Client, typed: str, names: list[str]) -> None:
    assert offered(client, typed) == names


def test_who_may_not_know_the_agents_is_offered_none(client: Client) -> None:
    client.use_token("nobody")
    assert offered(client, HOSTNAME) == []


def test_a_server_that_is_none_or_says_nothing_offers_nothing(client: Client, tmp_path: Path) -> None:
    with answering(answer(200, b'{"agents": 5}')) as (url, _):
        client.environment.setenv(URL, url)
        assert offered(client, HOSTNAME) == []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client.environment.setenv(URL, f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert offered(client, HOSTNAME, patience=0.1) == []
    assert offered(client, HOSTNAME) == []
    client.environment.setenv("OSAPI_CONFIG", str(tmp_path / "nowhere.yaml"))
    assert offered(client, HOSTNAME) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:port", "http://[::1", f"http://{'a' * 70}.test"])
def test_a_url_that_names_no_server_offers_nothing(client: Client, url: str) -> None:
    client.environment.setenv(URL, url)
    assert offered(client, HOSTNAME) == []


def test_no_name_waits_for_what_is_heavy() -> None:
    script = "import sys; from osapi_cli.client import names; print(sys.modules.keys() & {'trio', 'httpx2', 'rich'})"

    assert python(script).out == "set()\n"
