"""`osapi client job`, `agent` and `health`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Client

UNKNOWN = "0199c0de-7a11-7abc-8def-0123456789ab"


@pytest.fixture
def failed(client: Client) -> str:
    """Return the id of a job of which a part failed."""
    client("node", "uptime", "-T", "_all")
    found: str = client.json("job", "list", "--limit", "1")["jobs"][0]["id"]
    return found


def test_a_list_sums_up_and_shows_the_newest_first(client: Client, failed: str) -> None:
    ended = client("job", "list", "--status", "partial_failure", "--limit", "2")
    summary, head, first, *_ = ended.out.splitlines()

    assert ended.status == 0
    assert re.fullmatch(r"Total: \d+, Showing: \d, Submitted: 0, Completed: \d+, Failed: 0, Partial: [1-9]\d*", summary)
    assert head.split() == ["JOB", "ID", "STATUS", "CREATED", "TARGET", "OPERATION"]
    assert re.fullmatch(rf"  {failed}  partial_failure  2\S+Z  _all    node\.uptime\.get", first)


def test_a_list_is_one_object_for_programs(client: Client, failed: str) -> None:
    found = client.json("job", "list", "--status", "partial_failure", "--limit", "1")

    assert set(found) == {
        *("total_jobs", "displayed_jobs", "status_counts", "filter_applied", "limit_applied", "offset_applied", "jobs")
    }
    assert (found["displayed_jobs"], found["filter_applied"]) == (1, "partial_failure")
    assert (found["limit_applied"], found["offset_applied"]) == (1, 0)
    assert found["total_jobs"] == found["status_counts"]["partial_failure"]
    assert [job["id"] for job in found["jobs"]] == [failed]


def test_an_empty_list_has_no_table(client: Client) -> None:
    ended = client("job", "list", "--status", "expired")

    assert ended.status == 0
    assert ended.out.startswith("Total: 0, Showing: 0, ")
    assert ended.out.count("\n") == 1
    assert client.json("job", "list", "--status", "expired")["jobs"] == []


def test_one_job_shows_request_hosts_timeline_and_result(client: Client) -> None:
    run = client.json("node", "network", "ping", "-T", "group:web", "--address", "192.0.2.1")
    ended = client("job", "get", "--job-id", run["job_id"])

    assert ended.status == 0
    text = re.sub(r"\d{4}-\S+Z", "TIME", ended.out)
    text = re.sub(r"\d\.\d{3}s", "0.001s", text)
    assert text.startswith(
        f"""\
Job {run["job_id"]}
  Status     completed
  Operation  network.ping.run
  Target     group:web
  Hosts      2: web-01, web-02
  Created    TIME
  Updated    TIME
  Deadline   TIME
  Attempts   1
  Changed    no

Request
  {{
    "address": "192.0.2.1"
  }}

Hosts
  HOSTNAME  STATUS     DURATION  ERROR
  web-01    completed    0.001s
  web-02    completed    0.001s

Timeline
"""
    )
    for event in ("submitted", "started", "completed"):
        assert event in text
    assert '\nResult of web-01\n  {\n    "packets_sent": 3,\n' in text
    assert "\nResult of web-02\n" in text


def test_one_job_is_the_servers_answer_for_programs(client: Client, failed: str) -> None:
    found = client.json("job", "get", "--job-id", failed)

    assert (found["id"], found["status"]) == (failed, "partial_failure")
    assert found["responses"]["db-01"]["error"] == "RuntimeError: the disk is on fire"


def test_text_in_a_result_is_shown_as_text_and_acts_upon_nothing(client: Client) -> None:
    run = client.json("run", "test.echo", "--data", '"one\\n\\u001b[31mtwo"')
    ended = client("job", "get", "--job-id", run["job_id"])

    assert "\n  one\n  \\x1b[31mtwo\n" in ended.out


def test_a_job_can_be_retried_elsewhere(client: Client, failed: str) -> None:
    ended = client("job", "retry", "--job-id", failed, "--target-hostname", "web-01")
    found = re.fullmatch(r"Job (\S+) is submitted\.\n", ended.out)

    assert (ended.status, ended.err) == (0, "")
    assert found is not None
    again = client("job", "get", "--job-id", found[1]).out
    assert f"  Retry of   {failed}\n" in again
    assert "  Target     web-01\n" in again
    assert f"  Retried as  {found[1]}\n" in client("job", "get", "--job-id", failed).out
    assert set(client.json("job", "retry", "--job-id", failed)) == {"job_id", "status", "revision", "timestamp"}


def test_a_job_can_be_deleted_once(client: Client, failed: str) -> None:
    assert client("job", "delete", "--job-id", failed) == (0, f"Job {failed} is deleted.\n", "")
    ended = client("job", "delete", "--job-id", failed)

    assert (ended.status, ended.out, ended.err.count("\n")) == (1, "", 1)
    assert failed in ended.err


@pytest.mark.parametrize("command", ["get", "delete", "retry"])
@pytest.mark.parametrize(("job_id", "status"), [(UNKNOWN, 1), ("nope", 2), ("..", 2), ("a/../b", 2), (" ", 2)])
def test_a_job_that_is_not_there_is_told_on_one_line(client: Client, command: str, job_id: str, status: int) -> None:
    ended = client("job", command, "--job-id", job_id)

    assert (ended.status, ended.out, ended.err.count("\n")) == (status, "", 1)


# --- Agents and health ---------------------------------------------------------------------------------------


def test_agents_are_listed(client: Client) -> None:
    ended = client("agent", "list")
    lines = [re.sub(r"2\d{3}-\S+Z", "TIME", line) for line in ended.out.splitlines()]
    # A heartbeat may have counted a job of the test before this one.
    lines = [re.sub(r" \d/10 ", " N/10 ", line) for line in lines]

    assert (ended.status, ended.err) == (0, "")
    assert lines == [
        "  HOSTNAME  STATUS  STATE  LABELS          JOBS  STARTED",
        "  db-01     Ready   Ready  group:db        N/10  TIME",
        "  web-01    Ready   Ready  group:web.dev   N/10  TIME",
        "  web-02    Ready   Ready  group:web.prod  N/10  TIME",
        "3 agents: 3 ready",
    ]
    assert client.json("agent", "list")["total"] == 3


def test_one_agent_is_shown(client: Client) -> None:
    ended = client("agent", "get", "--hostname", "WEB-01")

    assert ended.status == 0
    assert ended.out.startswith("Agent web-01\n  Status          Ready\n")
    assert "\nOperations\n  command.exec.run\n" in ended.out
    assert client.json("agent", "get", "--hostname", "web-01")["labels"] == {"group": "web.dev"}


def test_an_agent_that_is_not_there_is_told_with_those_near(client: Client) -> None:
    ended = client("agent", "get", "--hostname", "web-03")

    assert (ended.status, ended.out) == (1, "")
    assert re.fullmatch(r"osapi: no agent is registered as 'web-03'; did you mean .*web-0.*\n", ended.err)


@pytest.mark.parametrize(("probe", "word"), [("liveness", "ok"), ("ready", "ready")])
def test_a_probe_prints_a_word_and_needs_no_token(client: Client, probe: str, word: str) -> None:
    client.environment.delenv("OSAPI_CONTROLLER_CLIENT_SECURITY_BEARER_TOKEN")

    assert client("health", probe) == (0, f"{word}\n", "")
    assert client.json("health", probe) == {"status": word}


def test_the_status_shows_all_there_is(client: Client) -> None:
    ended = client("health", "status")

    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("Server\n  Status   ok\n  Version  ")
    assert "\n  Broker   memory://, version " in ended.out
    for heading in ("Components", "Jobs", "Agents", "Streams", "Buckets", "Consumers"):
        assert f"\n\n{heading}\n" in ended.out
    assert "\n3 of 3 ready\n" in ended.out
    assert client.json("health", "status")["status"] == "ok"
