"""Cancelling, dead letters, draining, accepting, and the audit log."""

from __future__ import annotations

import json
import re
import stat
import time
from typing import TYPE_CHECKING, Any

import httpx2
import msgspec
import pytest

from osapi_api.enrolment import KeyQuery
from osapi_cli.client.agent import accept
from tests.cli.serving import answer, answering

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Client

URL = "OSAPI_CONTROLLER_CLIENT_URL"


@pytest.fixture
def running(client: Client) -> str:
    """Return the id of a job that runs on two hosts, for longer than anybody waits."""
    headers = {"Authorization": f"Bearer {client.service.token}", "Prefer": "respond-async"}
    url = f"{client.service.url}/api/operation/group%3Aweb/test.sleep"
    found: str = httpx2.post(url, headers=headers, json=600.0).json()["job_id"]
    return found


def until(client: Client, job_id: str, status: str) -> dict[str, Any]:
    """Return a job once it has this status."""
    for _ in range(400):
        found: dict[str, Any] = client.json("job", "get", "--job-id", job_id)
        if found["status"] == status:
            return found
        time.sleep(0.05)
    raise AssertionError(f"job {job_id} did not become {status}")


def test_a_job_is_cancelled_host_by_host(client: Client, running: str) -> None:
    until(client, running, "processing")
    ended = client("job", "cancel", "--job-id", running, "--host", "web-02", "--reason", "wrong host")

    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith(f"Job {running} is told to end; it is processing.\n  HOSTNAME  STATUS")
    assert client.json("job", "cancel", "--job-id", running)["id"] == running
    found = until(client, running, "cancelled")
    assert "wrong host" in json.dumps(found["agent_states"]["web-02"])
    again = client("job", "cancel", "--job-id", running)
    assert (again.status, again.out.splitlines()[0]) == (0, f"Job {running} had ended already, and is cancelled.")


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("cancel", "--job-id", "0199c0de-7a11-7abc-8def-0123456789ab"), 1, "0199c0de-7a11-7abc-8def-0123456789ab"),
        (("cancel", "--job-id", "nope"), 2, "nope"),
        (("dlq", "show", "--sequence", "99"), 1, "99"),
        (("dlq", "replay", "--sequence", "99"), 1, "99"),
        (("dlq", "purge", "--sequence", "99"), 1, "99"),
        (("dlq", "show", "--sequence", "0"), 2, "0 is not in the range"),
        (("dlq", "purge"), 2, "say which: --sequence, or some of --operation, --target and --reason, or --all"),
        (("dlq", "purge", "--all", "--reason", "x"), 2, "say which"),
        (("list", "--since", "yesterday"), 2, "'yesterday' is no moment; write 2026-11-26T03:00:00Z, or how long ago"),
        (("list", "--since", "99999999h"), 2, "is no moment"),
        (("list", "--status", "done"), 2, "'done' is not one of"),
    ],
)
def test_what_is_wrong_is_told(client: Client, arguments: tuple[str, ...], status: int, told: str) -> None:
    ended = client("job", *arguments)

    assert (ended.status, ended.out, ended.err.count("\n")) == (status, "", 1)
    assert told in ended.err


def test_a_list_can_be_of_some_jobs(client: Client) -> None:
    for value in ("1", "2"):
        client.json("run", "test.echo", "-T", "web-02", "--data", value)
    client.json("node", "uptime", "-T", "web-02")
    some = ("job", "list", "--operation", "test.echo", "--target", "web-02")

    assert [job["operation"]["data"] for job in client.json(*some)["jobs"]] == [2, 1]
    assert len(client.json(*some, "--since", "1h")["jobs"]) == 2
    assert client.json(*some, "--until", "1h")["jobs"] == []
    assert client.json(*some, "--since", "2999-01-01T00:00:00+01:00")["jobs"] == []


# --- Dead letters --------------------------------------------------------------------------------------------


@pytest.fixture
def letter(client: Client) -> Iterator[dict[str, Any]]:
    """Return the newest dead letter, of a job that was given up."""
    assert client("run", "test.busy", "-T", "web-01").status == 1
    items: list[dict[str, Any]] = []
    for _ in range(400):
        items = client.json("job", "dlq", "list")["items"]
        if items and items[0]["job"]:
            break
        time.sleep(0.05)
    yield items[0]
    client("job", "dlq", "purge", "--all")


def test_dead_letters_are_listed_and_shown(client: Client, letter: dict[str, Any]) -> None:
    ended = client("job", "dlq", "list", "--operation", "test.busy", "--target", "web-01", "--reason", "busy")
    total, head, line = [re.sub(r"2\d{3}-\S+Z", "TIME", told) for told in ended.out.splitlines()]

    assert (ended.status, ended.err, total) == (0, "", "Total: 1, Showing: 1")
    assert head.split() == ["SEQUENCE", "TIME", "HOSTNAME", "OPERATION", "TARGET", "REASON"]
    assert line.split() == [str(letter["sequence"]), "TIME", "web-01", "test.busy", "web-01", "TransientError:", "busy"]
    assert client("job", "dlq", "list", "--reason", "other").out == "Total: 0, Showing: 0\n"

    shown = client("job", "dlq", "show", "--sequence", str(letter["sequence"])).out
    assert shown.startswith(f"Dead letter {letter['sequence']}\n  Given up    2")
    assert f"\nJob {letter['job_id']}\n  Status     failed\n" in shown
    assert client.json("job", "dlq", "show", "--sequence", str(letter["sequence"])) == letter


def test_a_dead_letter_is_replayed_and_gone(client: Client, letter: dict[str, Any]) -> None:
    ended = client("job", "dlq", "replay", "--sequence", str(letter["sequence"]))

    assert ended.status == 0
    assert re.fullmatch(r"Job \S+ is submitted\.\n", ended.out)
    assert client("job", "dlq", "show", "--sequence", str(letter["sequence"])).status == 1


def test_dead_letters_are_removed(client: Client, letter: dict[str, Any]) -> None:
    assert client("job", "dlq", "purge", "--reason", "other") == (0, "0 dead letters are removed.\n", "")
    assert client("job", "dlq", "purge", "--sequence", str(letter["sequence"])) == (
        0,
        "1 dead letter is removed.\n",
        "",
    )
    assert client.json("job", "dlq", "purge", "--all").keys() == {"purged"}


# --- Agents --------------------------------------------------------------------------------------------------


def test_an_agent_is_drained_and_undrained_once(client: Client) -> None:
    ended = client("agent", "drain", "--hostname", "db-01")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("db-01 takes no jobs")

    again = client("agent", "drain", "--hostname", "db-01")
    assert (again.status, again.out, again.err) == (1, "", "osapi: db-01 is told to take no jobs already\n")

    assert client.json("agent", "undrain", "--hostname", "db-01").keys() == {"message"}
    assert client("agent", "undrain", "--hostname", "db-01").status == 1


@pytest.mark.parametrize("verb", ["drain", "undrain"])
def test_an_agent_that_is_not_there_cannot_be_told(client: Client, verb: str) -> None:
    ended = client("agent", verb, "--hostname", "db-09")

    assert (ended.status, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert "db-09" in ended.err


def test_where_nobody_waits_nobody_is_accepted(client: Client) -> None:
    assert client("agent", "pending") == (0, "0 agents to be accepted or rejected\n", "")
    for verb in ("accept", "reject"):
        ended = client("agent", verb, "--hostname", "new")
        assert ended.status in {1, 2}
        assert (ended.out, ended.err.count("\n")) == ("", 1)


def test_who_waits_to_be_accepted_is_listed(client: Client) -> None:
    body = {
        "agents": [{"machine_id": "m1", "hostname": "new", "fingerprint": "SHA256:a+/b", "requested_at": "2026"}],
        "total": 1,
    }
    with answering(answer(200, json.dumps(body).encode())) as (url, asked):
        client.environment.setenv(URL, url)
        assert client("agent", "pending") == (
            0,
            (
                "  HOSTNAME  FINGERPRINT  MACHINE ID  REQUESTED\n"
                "  new       SHA256:a+/b  m1          2026\n"
                "1 agent to be accepted or rejected\n"
            ),
            "",
        )
        assert client.json("agent", "pending") == body
    assert asked == ["GET /api/agent/pending HTTP/1.1"] * 2


def test_who_waits_is_accepted_or_rejected(client: Client) -> None:
    with answering(answer(200, b'{"message": "done"}')) as (url, asked):
        client.environment.setenv(URL, url)
        assert client("agent", "accept", "--hostname", "new", "--fingerprint", "SHA256:a+/b") == (0, "done\n", "")
        assert client.json("agent", "accept", "--hostname", "new") == {"message": "done"}
        assert client("agent", "reject", "--hostname", "new") == (0, "done\n", "")
        assert client("agent", "reject", "--hostname", "new", "--fingerprint", "x").status == 0
    assert asked == [
        "POST /api/agent/new/accept?fingerprint=SHA256%3Aa%2B%2Fb HTTP/1.1",
        "POST /api/agent/new/accept HTTP/1.1",
        "POST /api/agent/new/reject HTTP/1.1",
        "POST /api/agent/new/reject?fingerprint=x HTTP/1.1",
    ]


def test_the_fingerprint_of_the_example_is_one_that_can_be() -> None:
    (told,) = re.findall(r"--fingerprint (\S+)", accept.epilog or "")

    assert msgspec.convert({"fingerprint": told}, KeyQuery).fingerprint == told


# --- The audit log -------------------------------------------------------------------------------------------

ENTRY_ID = "0199c0de-7a11-7abc-8def-0123456789ab"
ENTRY = {
    "id": ENTRY_ID,
    "timestamp": "2026-11-26T03:00:00.000Z",
    "user": "ann",
    "roles": ["admin", "write"],
    "method": "POST",
    "path": "/api/node/_all/command/exec",
    "operation_id": "post_command_exec_run",
    "source_ip": "192.0.2.7",
    "response_code": 202,
    "duration_ms": 12.5,
    "trace_id": "",
}


def test_the_audit_log_is_listed(client: Client) -> None:
    body = {"total_items": 7, "items": [ENTRY]}
    with answering(answer(200, json.dumps(body).encode())) as (url, asked):
        client.environment.setenv(URL, url)
        ended = client("audit", "list", "--limit", "1", "--offset", "2")
        assert client.json("audit", "list") == body

    assert (ended.status, ended.err) == (0, "")
    assert ended.out == (
        "Total: 7, Showing: 1\n"
        "  ID                                    TIME                      USER  STATUS  REQUEST                  "
        "         FROM\n"
        f"  {ENTRY_ID}  2026-11-26T03:00:00.000Z  ann   202     POST /api/node/_all/command/exec  192.0.2.7\n"
    )
    assert asked == ["GET /api/audit?limit=1&offset=2 HTTP/1.1", "GET /api/audit?limit=20&offset=0 HTTP/1.1"]


def test_one_audit_entry_is_shown(client: Client) -> None:
    with answering(answer(200, json.dumps({"entry": ENTRY}).encode())) as (url, asked):
        client.environment.setenv(URL, url)
        ended = client("audit", "get", "--audit-id", ENTRY_ID)

    assert ended.out == (
        f"Audit entry {ENTRY_ID}\n"
        "  Time       2026-11-26T03:00:00.000Z\n"
        "  User       ann\n"
        "  Roles      admin, write\n"
        "  Request    POST /api/node/_all/command/exec\n"
        "  Operation  post_command_exec_run\n"
        "  From       192.0.2.7\n"
        "  Status     202\n"
        "  Duration   12.5 ms\n"
    )
    assert asked == [f"GET /api/audit/{ENTRY_ID} HTTP/1.1"]


LINES = f"{json.dumps(ENTRY, separators=(',', ':'))}\n".encode()


@pytest.mark.parametrize("told", [json.dumps({"total_items": 2, "items": [ENTRY, ENTRY]}).encode(), LINES * 2])
def test_the_audit_log_is_exported_a_line_an_entry(client: Client, told: bytes, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_text("yesterday's", encoding="utf-8")
    with answering(answer(200, told)) as (url, _):
        client.environment.setenv(URL, url)
        ended = client("audit", "export")
        assert [json.loads(line) for line in ended.out.splitlines()] == [ENTRY, ENTRY]
        assert client("audit", "export", "--output", str(file)) == (0, f"2 entries are written to {file}.\n", "")

    assert [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] == [ENTRY, ENTRY]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.glob(".audit*")) == []


def test_an_export_that_fails_leaves_what_is_there(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_text("yesterday's", encoding="utf-8")
    with answering(answer(200, b"{]\n")) as (url, _):
        client.environment.setenv(URL, url)
        ended = client("audit", "export", "--output", str(file))

    assert (ended.status, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert file.read_text(encoding="utf-8") == "yesterday's"


def test_an_export_that_cannot_be_written_names_its_file(client: Client) -> None:
    with answering(answer(200, LINES)) as (url, _):
        client.environment.setenv(URL, url)
        ended = client("audit", "export", "--output", "/nowhere/audit")

    assert ended == (1, "", "osapi: /nowhere/audit: No such file or directory\n")
