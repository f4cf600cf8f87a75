"""`osapi client run`: any operation of the server's registry."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Client


ONE = "1 host: 1 ok, 0 failed, 0 skipped\n"


def test_an_operation_of_ones_own_is_run(client: Client) -> None:
    assert client("run", "test.echo", "-T", "web-01", "--data", "[1, 2]") == (
        0,
        "  HOSTNAME  STATUS  CHANGED  RESULT\n  web-01    ok      no       [1,2]\n" + ONE,
        "",
    )


def test_the_fields_of_a_result_are_columns(client: Client) -> None:
    assert client(
        "run", "test.echo", "-T", "web-01", "--data", '{"size": 3, "who": "me", "list": [1], "no": null}'
    ) == (
        0,
        "  HOSTNAME  STATUS  CHANGED  SIZE  WHO  LIST  NO\n  web-01    ok      no       3     me   [1]\n" + ONE,
        "",
    )


def test_a_field_of_a_result_is_no_second_column_of_that_name(client: Client) -> None:
    assert client("run", "test.echo", "-T", "web-01", "--data", '{"hostname": "me", "status": 7, "name": "x"}') == (
        0,
        "  HOSTNAME  STATUS  CHANGED  RESULT HOSTNAME  RESULT STATUS  NAME\n"
        "  web-01    ok      no       me               7              x\n" + ONE,
        "",
    )


def test_what_is_too_long_for_a_cell_is_below_the_table(client: Client) -> None:
    data = {"size": 3, "list": [{"name": f"entry {number}"} for number in range(20)]}
    ended = client("run", "test.echo", "-T", "web-01", "--data", json.dumps(data))

    table, _, below = ended.out.partition("\nResult of web-01\n")
    assert table == "  HOSTNAME  STATUS  CHANGED\n  web-01    ok      no\n" + ONE
    assert json.loads(below) == data
    plain = client("run", "test.echo", "-T", "web-01", "--data", json.dumps([1] * 100))
    assert plain.out.count("\n    1") == 100


def test_without_data_there_is_none(client: Client) -> None:
    assert client.json("run", "node.uptime.get", "-T", "web-01")["results"][0]["data"] == {"uptime": 93784.0}


def test_a_host_that_fails_is_the_status_1(client: Client) -> None:
    ended = client("run", "node.uptime.get", "-T", "_all")

    assert (ended.status, ended.err) == (1, "")
    assert "db-01     failed" in ended.out


def test_data_comes_from_a_file_or_stdin(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "data.json"
    file.write_text('"from a file"', encoding="utf-8")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'"from stdin"')))

    assert client.json("run", "test.echo", "--data", f"@{file}")["results"][0]["data"] == "from a file"
    assert client.json("run", "test.echo", "--data", "-")["results"][0]["data"] == "from stdin"


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("test.ecko",), 2, "the server has no operation 'test.ecko'; did you mean test.echo or"),
        (("--list", "test.ecko"), 2, "the server has no operation 'test.ecko'; did you mean test.echo or"),
        (("zzz",), 2, "the server has no operation 'zzz'; `osapi client run --list` shows those that there are"),
        ((), 2, "missing OPERATION; `osapi client run --list` shows those that there are"),
        (("test.echo", "--data", "{"), 2, "it is not JSON"),
        (("test.echo", "--data", "@/nope"), 1, "/nope: No such file or directory"),
        (("node.uptime.get", "--data", "1"), 2, "node.uptime.get takes no data"),
        (("network.ping.run", "--data", '{"adress": "x"}'), 2, "did you mean address?"),
        (("network.ping.run",), 2, "`osapi client run --list network.ping.run` shows what that is"),
        (("test.echo", "-T", "web-09", "--data", "1"), 1, "no agent is registered as 'web-09'; did you mean"),
        (("test.echo", "-T", "group:nobody", "--data", "1"), 1, "group:nobody"),
    ],
)
def test_what_is_wrong_is_told(client: Client, arguments: tuple[str, ...], status: int, told: str) -> None:
    ended = client("run", *arguments)

    assert (ended.status, ended.out, ended.err.count("\n")) == (status, "", 1)
    assert told in ended.err


def test_the_operations_are_those_of_the_server(client: Client) -> None:
    ended = client("run", "--list")

    assert (ended.status, ended.err) == (0, "")
    assert "  test.echo             test:read        Return what it is given\n" in ended.out
    assert "test.echo" in [each["name"] for each in client.json("run", "--list")["operations"]]


def test_what_an_operation_takes_is_shown(client: Client) -> None:
    ended = client("run", "--list", "network.dns.update")
    _, _, schema = ended.out.partition("Data, as JSON Schema\n")

    assert ended.out.startswith("network.dns.update\nnetwork.dns.update\nNeeds the permission network:write.\n")
    assert set(json.loads(schema)["properties"]) == {"interface_name", "servers", "search_domains", "override_dhcp"}
    assert client.json("run", "--list", "node.uptime.get")["schema"] is None
    assert client("run", "--list", "node.uptime.get").out.endswith("Takes no data.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "test.sleep", "-T", "_all", "--data", "0"),
        ("node", "command", "exec", "-T", "_all", "--command", "x"),
        ("node", "command", "shell", "-T", "_all", "--command", "x"),
    ],
)
def test_who_does_not_wait_gets_the_job(client: Client, arguments: tuple[str, ...]) -> None:
    ended = client(*arguments, "--detach")
    found = re.fullmatch(r"Job (\S+) is submitted\.\n", ended.out)

    assert (ended.status, ended.err) == (0, "")
    assert found is not None
    assert client("job", "watch", "--job-id", found[1]).status == 0
    assert client.json(*arguments, "--detach").keys() == {"job_id"}


def test_who_does_not_wait_is_told_what_is_wrong_all_the_same(client: Client) -> None:
    assert client("run", "test.ecko", "--detach").err.startswith("osapi: the server has no operation 'test.ecko'; did")
    assert client("run", "test.echo", "-T", "web-09", "--data", "1", "--detach").status == 1
