"""`osapi client job watch`: what happens, as it happens, through broken connections."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import httpx2
import pytest
import trio

from osapi_cli.client.follow import follow
from osapi_cli.client.server import Server
from osapi_cli.problems import UnavailableError
from tests.cli.serving import PROBLEM, answer, answering, stream

if TYPE_CHECKING:
    from tests.cli.conftest import Client

URL = "OSAPI_CONTROLLER_CLIENT_URL"
ID = "0199c0de-7a11-7abc-8def-0123456789ab"
WATCH = ("job", "watch", "--job-id", ID)

JOB = answer(200, json.dumps({"id": ID, "status": "processing", "expected": ["web-01", "web-02"]}).encode())
STARTED = {"job_id": ID, "timestamp": "T1", "event": "started", "hostname": "web-01", "message": "go", "error": ""}
HALF = {**STARTED, "timestamp": "T2", "event": "progress", "message": "copying", "progress": 0.5}
FAILED = {**STARTED, "timestamp": "T3", "event": "failed", "message": "", "error": "no disk"}
END = {"job_id": ID, "status": "partial_failure", "summary": "1 completed, 1 failed"}


def told(number: int, data: object, event: str = "x") -> tuple[str, ...]:
    return (f"id: {number}", f"event: {event}", f"data: {json.dumps(data)}", "")


def submit(client: Client, target: str, operation: str, data: object) -> str:
    """Submit a job without waiting for it."""
    headers = {"Authorization": f"Bearer {client.service.token}", "Prefer": "respond-async"}
    found: str = httpx2.post(
        f"{client.service.url}/api/operation/{target}/{operation}", headers=headers, json=data
    ).json()["job_id"]
    return found


def test_a_job_is_followed_to_its_end(client: Client) -> None:
    job_id = submit(client, "web-01", "test.sleep", 0.2)
    ended = client("job", "watch", "--job-id", job_id)

    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert all(re.match(r"2\S{22}Z  (submitted|acknowledged|started|completed)\b", line) for line in lines[:-1])
    assert [line.split()[1] for line in lines[:-1]][-1] == "completed"
    assert lines[-1] == f"Job {job_id} is completed"


def test_for_programs_it_is_a_document_a_line(client: Client) -> None:
    job_id = submit(client, "_all", "node.uptime.get", None)
    ended = client("job", "watch", "--job-id", job_id, "--json")
    *events, end = [json.loads(line) for line in ended.out.splitlines()]

    assert (ended.status, ended.err) == (1, "")
    assert {event["job_id"] for event in events} == {job_id}
    assert {"submitted", "completed", "failed"} <= {event["event"] for event in events}
    assert (end["job_id"], end["status"]) == (job_id, "partial_failure")


def test_a_stream_that_breaks_off_goes_on_from_where_it_was(client: Client) -> None:
    first = stream("retry: 10", "", *told(1, STARTED), *told(2, HALF), "data: cut o")
    rest = stream(*told(3, FAILED), *told(4, END, "end"))
    with answering(JOB, first, stream(), b"", rest) as (url, asked):
        client.environment.setenv(URL, url)
        ended = client(*WATCH)

    assert ended.status == 1
    assert ended.out == (
        "T1                        started       web-01            go\n"
        "T2                        progress      web-01            50% copying\n"
        "T3                        failed        web-01            no disk\n"
        f"Job {ID} is partial_failure: 1 completed, 1 failed\n"
    )
    broke_off, away = ended.err.splitlines()
    assert broke_off == f"osapi: the stream of {url} broke off; it is asked for again from where it was"
    assert away == f"osapi: the server at {url} broke the connection, or speaks no HTTP; it is asked again for 120 s"
    events = f"GET /api/job/{ID}/events HTTP/1.1"
    assert asked == [f"GET /api/job/{ID} HTTP/1.1", events, *[f"{events} after 2"] * 3]


def test_a_server_that_stays_away_is_told(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("osapi_cli.client.follow._GIVE_UP", 1.0)
    with answering(JOB, stream("retry: 20", "", *told(1, STARTED)), b"") as (url, _):
        client.environment.setenv(URL, url)
        ended = client(*WATCH)

    assert ended.status == 69
    assert ended.out.startswith("T1 ")
    broke_off, away, over = ended.err.splitlines()
    assert broke_off == f"osapi: the stream of {url} broke off; it is asked for again from where it was"
    assert over.startswith(f"osapi: the server at {url} broke the connection")
    assert away.startswith(f"{over}; it is asked again for ")


async def test_each_outage_has_its_own_two_minutes(monkeypatch: pytest.MonkeyPatch, autojump_clock: object) -> None:
    """A quiet stream that lasted for an hour was there, though no event came."""
    outages = iter([(3600.0, False), (1.0, True), (3600.0, False), *[(60.0, True)] * 9])

    async def read(*_: object) -> bool:
        seconds, is_away = next(outages)
        await trio.sleep(seconds)
        if is_away:
            raise UnavailableError("away")
        return False

    monkeypatch.setattr("osapi_cli.client.follow._read", read)
    told: list[str] = []
    server = Server(url="x", token="", url_from="", token_from="")
    async with httpx2.AsyncClient() as http:
        with pytest.raises(UnavailableError):
            await follow(http, server, "/", lambda _: False, tell=told.append)
    away = "away; it is asked again for 120 s"
    broke_off = "the stream of x broke off; it is asked for again from where it was"
    assert told == [broke_off, away, broke_off, away]
    assert len(list(outages)) == 7


@pytest.mark.parametrize(
    ("answers", "status", "words"),
    [
        ((JOB, b""), 69, "broke the connection"),
        ((JOB, answer(200, b"{}")), 69, "is not the osapi API"),
        ((JOB, answer(404, b'{"error": "there is nothing at this path"}', PROBLEM)), 1, "it may be older"),
        ((JOB, stream("retry: 1", ""), answer(401, b'{"error": "the token has expired"}', PROBLEM)), 77, "expired"),
        ((JOB, stream("retry: 1", "", *told(1, STARTED)), answer(404, b'{"error": "gone"}', PROBLEM)), 1, "gone"),
        ((JOB, stream("event: end", "data: {", "")), 1, "cannot be understood"),
        ((JOB, stream("data: " + "x" * 2000)), 1, "cannot be understood"),
    ],
)
def test_what_goes_wrong_is_told(
    client: Client, answers: tuple[bytes, ...], status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osapi_cli.client.sse.MAX_EVENT", 1000)
    with answering(*answers) as (url, _):
        client.environment.setenv(URL, url)
        ended = client(*WATCH)

    assert ended.status == status
    assert words in ended.err.splitlines()[-1]


@pytest.mark.parametrize(("job_id", "status"), [(ID, 1), ("nope", 2), ("a/b", 2)])
def test_a_job_that_is_not_there(client: Client, job_id: str, status: int) -> None:
    ended = client("job", "watch", "--job-id", job_id)

    assert (ended.status, ended.out, ended.err.count("\n")) == (status, "", 1)


# --- Output --------------------------------------------------------------------------------------------------


def piece(number: int, host: str, text: str, name: str = "stdout", dropped: int = 0) -> tuple[str, ...]:
    data = {"job_id": ID, "hostname": host, "attempt": 1, "stream": name, "text": text, "dropped": dropped}
    return told(number, data, "output")


def test_what_several_hosts_write_is_shown_line_by_line(client: Client) -> None:
    output = stream(
        *piece(1, "web-01", "one\ntw"),
        *piece(2, "web-02", "uno\n"),
        *piece(3, "web-01", "o\nthree"),
        *piece(4, "web-02", "ay\n", "stderr"),
        *piece(5, "web-02", "", dropped=17),
        *told(6, {**END, "status": "completed"}, "end"),
    )
    with answering(JOB, output) as (url, asked):
        client.environment.setenv(URL, url)
        ended = client(*WATCH, "--output")

    assert ended == (
        0,
        "[web-01] one\n[web-02] uno\n[web-01] two\n[web-01] three\n",
        "[web-02] ay\nosapi: web-02: 17 bytes of its stdout were dropped\n",
    )
    assert asked[1] == f"GET /api/job/{ID}/output HTTP/1.1"


def test_what_one_host_writes_is_as_it_is(client: Client) -> None:
    job_id = submit(client, "web-01", "test.write", ["on", "e\n\x1b[1mtwo"])
    assert client("job", "watch", "--job-id", job_id, "--output") == (0, "one\n\x1b[1mtwo", "")

    ended = client("job", "watch", "--job-id", job_id, "--output", "--json")
    *pieces, end = [json.loads(line) for line in ended.out.splitlines()]
    assert "".join(found["text"] for found in pieces) == "one\n\x1b[1mtwo"
    assert end["status"] == "completed"


def test_output_of_a_job_that_failed_says_so(client: Client) -> None:
    with answering(JOB, stream(*piece(1, "web-01", "one"), *told(2, END, "end"))) as (url, _):
        client.environment.setenv(URL, url)
        ended = client(*WATCH, "--output")

    assert ended == (1, "[web-01] one\n", f"osapi: Job {ID} is partial_failure: 1 completed, 1 failed\n")
