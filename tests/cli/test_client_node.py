"""`osapi client node`: what hosts answer, as tables and as JSON."""
# ruff: noqa: E501 - the tables are as wide as they are

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Client

TABLES: dict[tuple[str, ...], tuple[int, str]] = {
    ("status", "-T", "_all"): (
        1,
        """\
  HOSTNAME  STATUS  UPTIME     LOAD  MEMORY           DISK          SYSTEM               ERROR
  db-01     failed                                                                       RuntimeError: the disk is on fire
  web-01    ok      1 h 2 min  0.25  25 % of 8.0 GiB  90 % of /srv  Debian GNU/Linux 12
  web-02    ok      1 h 2 min  0.25  25 % of 8.0 GiB  90 % of /srv  Debian GNU/Linux 12
3 hosts: 2 ok, 1 failed, 0 skipped
""",
    ),
    ("disk", "-T", "web-01"): (
        0,
        """\
  HOSTNAME  STATUS  MOUNT                             SIZE      USED      FREE   USE
  web-01    ok      /                            100.0 GiB  25.0 GiB  75.0 GiB  25 %
  web-01    ok      /srv                         100.0 GiB  90.0 GiB  10.0 GiB  90 %
  web-01    ok      /mnt/nas: it did not answer
1 host: 1 ok, 0 failed, 0 skipped
""",
    ),
    ("memory", "-T", "web-01"): (
        0,
        """\
  HOSTNAME  STATUS    TOTAL     USED     FREE   USE
  web-01    ok      8.0 GiB  2.0 GiB  1.0 GiB  25 %
1 host: 1 ok, 0 failed, 0 skipped
""",
    ),
    ("load", "-T", "_all"): (
        0,
        """\
  HOSTNAME  STATUS   1 MIN  5 MIN  15 MIN  ERROR
  db-01     skipped                        there is no load here
  web-01    ok        0.25   1.50   10.00
  web-02    ok        0.25   1.50   10.00
3 hosts: 2 ok, 0 failed, 1 skipped
""",
    ),
    ("os", "-T", "web-01"): (
        0,
        """\
  HOSTNAME  STATUS  DISTRIBUTION      VERSION
  web-01    ok      Debian GNU/Linux  12
1 host: 1 ok, 0 failed, 0 skipped
""",
    ),
    ("uptime", "-T", "web-01"): (
        0,
        """\
  HOSTNAME  STATUS  UPTIME
  web-01    ok      1 d 2 h
1 host: 1 ok, 0 failed, 0 skipped
""",
    ),
    ("hostname", "-T", "group:web"): (
        0,
        """\
  HOSTNAME  STATUS  NAME
  web-01    ok      web-01.example.com
  web-02    ok      web-02.example.com
2 hosts: 2 ok, 0 failed, 0 skipped
""",
    ),
    ("hostname", "update", "-T", "web-01", "--name", "web-09"): (
        0,
        """\
  HOSTNAME  STATUS  CHANGED  NAME
  web-01    ok      yes      web-09
1 host: 1 ok, 0 failed, 0 skipped
""",
    ),
    ("network", "dns", "get", "-T", "web-01", "--interface-name", "eth0"): (
        0,
        """\
  HOSTNAME  STATUS  SERVERS                 SEARCH DOMAINS
  web-01    ok      192.0.2.53, 192.0.2.54  eth0.example
1 host: 1 ok, 0 failed, 0 skipped
""",
    ),
    (
        *("network", "dns", "update", "-T", "web-01", "--interface-name", "eth0"),
        *("--servers", "192.0.2.1, 192.0.2.2", "--search-domains", "a.example", "--override-dhcp"),
    ): (
        0,
        """\
  HOSTNAME  STATUS  CHANGED  SERVERS               SEARCH DOMAINS
  web-01    ok      yes      192.0.2.1, 192.0.2.2  a.example
1 host: 1 ok, 0 failed, 0 skipped
""",
    ),
    ("network", "dns", "delete", "-T", "web-01", "--interface-name", "eth0"): (
        0,
        """\
  HOSTNAME  STATUS  CHANGED  SERVERS  SEARCH DOMAINS
  web-01    ok      yes
1 host: 1 ok, 0 failed, 0 skipped
""",
    ),
    ("network", "ping", "-T", "web-01", "--address", "192.0.2.1"): (
        0,
        """\
  HOSTNAME  STATUS  SENT  RECEIVED  LOSS       MIN       AVG        MAX
  web-01    ok         3         3   0 %  0.500 ms  1.000 ms  12.300 ms
1 host: 1 ok, 0 failed, 0 skipped
""",
    ),
    ("network", "ping", "-T", "web-01", "--address", "192.0.2.9"): (
        0,
        """\
  HOSTNAME  STATUS  SENT  RECEIVED   LOSS  MIN  AVG  MAX
  web-01    ok         3         0  100 %
1 host: 1 ok, 0 failed, 0 skipped
""",
    ),
    ("process", "list", "-T", "web-01"): (
        0,
        """\
  HOSTNAME  STATUS  PID  USER  STATE     CPU %    MEMORY  COMMAND
  web-01    ok        1  root  sleeping    0.1  12.0 MiB  /sbin/init splash
  web-01    ok        2  root  sleeping    0.0       0 B  [kthreadd]
  web-01    ok                                            and 3 more, which use less memory
1 host: 1 ok, 0 failed, 0 skipped
""",
    ),
    ("process", "get", "-T", "web-01", "--pid", "1"): (
        0,
        """\
  HOSTNAME  STATUS  PID  USER  STATE     CPU %    MEMORY  STARTED               COMMAND
  web-01    ok        1  root  sleeping    0.1  12.0 MiB  2023-11-14T22:13:20Z  /sbin/init splash
1 host: 1 ok, 0 failed, 0 skipped
""",
    ),
    ("process", "signal", "-T", "web-01", "--pid", "7", "--signal", "HUP"): (
        0,
        """\
  HOSTNAME  STATUS  CHANGED  PID  SIGNAL
  web-01    ok      yes        7  HUP
1 host: 1 ok, 0 failed, 0 skipped
""",
    ),
    ("command", "exec", "-T", "group:web", "--command", "say", "--args", "a,b", "--arg", "c,d"): (
        0,
        """\
  HOSTNAME  STATUS  EXIT  DURATION
  web-01    ok         0     12 ms
  web-02    ok         3     12 ms
2 hosts: 2 ok, 0 failed, 0 skipped

stdout of web-01
  say
  a
  b
  c,d

stderr of web-01
  I am web-01

stdout of web-02
  say
  a
  b
  c,d

stderr of web-02
  I am web-02
""",
    ),
    ("command", "shell", "-T", "web-01", "--command", "so long"): (
        0,
        """\
  HOSTNAME  STATUS  EXIT  DURATION
  web-01    ok         0     12 ms
1 host: 1 ok, 0 failed, 0 skipped

stdout of web-01, its beginning
  so
  long

stderr of web-01, its beginning
  I am web-01
""",
    ),
    ("command", "exec", "-T", "web-01", "--command", "fail"): (
        1,
        """\
  HOSTNAME  STATUS  EXIT  DURATION  ERROR
  web-01    failed                  RuntimeError: no such program
1 host: 0 ok, 1 failed, 0 skipped
""",
    ),
}


@pytest.mark.parametrize("arguments", TABLES, ids=" ".join)
def test_a_command_prints_a_table_and_counts_the_hosts(client: Client, arguments: tuple[str, ...]) -> None:
    status, table = TABLES[arguments]

    assert client("node", *arguments) == (status, table, "")


@pytest.mark.parametrize("arguments", [key for key, (status, _) in TABLES.items() if status == 0], ids=" ".join)
def test_a_command_prints_one_object_for_programs(client: Client, arguments: tuple[str, ...]) -> None:
    found = client.json("node", *arguments)

    assert set(found) == {"job_id", "results"}
    assert all(row["status"] in {"ok", "skipped"} for row in found["results"])


def test_the_object_is_what_the_server_answered(client: Client) -> None:
    ended = client("node", "uptime", "-T", "group:db", "--json")

    assert ended.status == 1
    assert '"error": "RuntimeError: the disk is on fire"' in ended.out


def test_any_one_host_is_asked_if_nobody_is_named(client: Client) -> None:
    found = client.json("node", "hostname", "get")

    assert len(found["results"]) == 1
    assert client.json("job", "get", "--job-id", found["job_id"])["target"] == "_any"


@pytest.mark.parametrize(
    "arguments",
    [
        ("node", "-T", "web-02", "hostname", "get"),
        ("node", "hostname", "-T", "web-02", "get"),
        ("node", "hostname", "get", "--target", "WEB-02"),
        ("node", "-T", "web-01", "hostname", "-T", "db-01", "get", "-T", "web-02"),
    ],
)
def test_the_target_nearest_to_the_command_counts(client: Client, arguments: tuple[str, ...]) -> None:
    assert [row["hostname"] for row in client.json(*arguments)["results"]] == ["web-02"]


@pytest.mark.parametrize(
    "target", ["_any@group:web", "group:web,!host:web-0[3]*", "fact.arch:nowhere", "..", "a%2Fb", "?x"]
)
def test_every_target_reaches_the_server_as_it_is(client: Client, target: str) -> None:
    ended = client("node", "hostname", "-T", target, "--json")

    assert ended.status in {0, 1, 2}
    if ended.status == 0:
        assert '"status": "ok"' in ended.out
    else:
        assert target in ended.err or "fact" in ended.err


# --- Raw output ----------------------------------------------------------------------------------------------


def test_raw_output_of_one_host_is_as_it_was(client: Client) -> None:
    assert client("node", "command", "exec", "-T", "web-02", "--command", "a b", "--stdout") == (
        3,
        "a b\n",
        "I am web-02\n",
    )


def test_raw_output_of_several_hosts_tells_whose_it_is(client: Client) -> None:
    assert client("node", "command", "shell", "-T", "_all", "--command", "a b", "--stdout") == (
        3,
        "[db-01] a\n[db-01] b\n[web-01] a\n[web-01] b\n[web-02] a\n[web-02] b\n",
        "[db-01] I am db-01\n[web-01] I am web-01\n[web-02] I am web-02\n",
    )


def test_raw_output_of_a_host_that_failed_is_why(client: Client) -> None:
    assert client("node", "command", "exec", "-T", "web-01", "--command", "fail", "--stdout") == (
        1,
        "",
        "osapi: web-01: failed: RuntimeError: no such program\nosapi: 1 host: 0 ok, 1 failed, 0 skipped\n",
    )


def test_raw_output_that_was_cut_says_so(client: Client) -> None:
    ended = client("node", "command", "shell", "-T", "web-01", "--command", "long", "--stdout")

    assert (ended.status, ended.out) == (0, "long\n")
    assert ended.err.endswith("osapi: web-01: its output was cut, only the beginning is shown\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("hostname", "-T", ""), "invalid value for '-T' / '--target': it is empty"),
        (("hostname", "-T", "a/b"), "'a/b' holds '/', which no target, name or id has"),
        (("hostname", "-T", "group:"), "target 'group:': "),
        (("hostname", "update"), "missing option '--name'"),
        (("network", "dns", "update", "--interface-name", "eth0"), "give --servers or --search-domains, or both"),
        (("network", "dns", "update", "--interface-name", "eth0", "--servers", "a,,b"), "'a,,b' has an empty part"),
        (("network", "png"), "there is no command 'png'; did you mean ping?"),
        (("command", "exec", "--command", "ls", "--timeout", "301"), "301 is not in the range 1<=x<=300"),
        (("command", "exec", "--command", "ls", "--cwd", "tmp"), "is no directory to run it in"),
        (("process", "get", "--pid", "0"), "0 is not in the range"),
        (("hostnam",), "there is no command 'hostnam'; did you mean hostname?"),
    ],
)
def test_what_is_wrong_is_told_on_one_line_with_status_2(client: Client, arguments: tuple[str, ...], told: str) -> None:
    ended = client("node", *arguments)

    assert (ended.status, ended.out, ended.err.count("\n")) == (2, "", 1)
    assert told in ended.err


def test_a_process_that_no_host_has_is_not_there(client: Client) -> None:
    assert client("node", "process", "get", "--pid", "9") == (1, "", "osapi: process 9 is not on this host\n")
