"""`osapi client` as a process: on a terminal, in a pipe, interrupted."""

from __future__ import annotations

import json
import re
import signal
import socket
import time
from signal import SIGINT, SIGTERM
from typing import Any

import httpx2
import pytest

from tests.cli.program import SIGNALS, finish, on_terminal, osapi, shell, start, with_screen, without_style
from tests.cli.serving import Service, answer, answering, stream, token_of

ID = "0199c0de-7a11-7abc-8def-0123456789ab"
SLEEP = ("client", "run", "test.sleep", "-T", "group:web", "--data")
LINE = re.compile(r"\r\x1b\[K")


def ask(service: Service, path: str) -> Any:
    headers = {"Authorization": f"Bearer {service.token}"}
    return httpx2.get(f"{service.url}/api{path}", headers=headers, timeout=20).json()


def submit(service: Service, operation: str, data: object) -> str:
    """Submit a job to two hosts without waiting for it."""
    headers = {"Authorization": f"Bearer {service.token}", "Prefer": "respond-async"}
    url = f"{service.url}/api/operation/group%3Aweb/{operation}"
    found: str = httpx2.post(url, headers=headers, json=data).json()["job_id"]
    return found


def newest_that_runs(service: Service) -> str:
    """Wait until a job runs, and return its id."""
    for _ in range(1000):
        found = ask(service, "/job?status=processing&limit=1")["items"]
        if found:
            return str(found[0]["id"])
        time.sleep(0.01)
    raise AssertionError("no job runs")


def end_all(service: Service) -> None:
    headers = {"Authorization": f"Bearer {service.token}"}
    for status in ("submitted", "processing"):
        for job in ask(service, f"/job?status={status}&limit=100")["items"]:
            httpx2.post(f"{service.url}/api/job/{job['id']}/cancel", headers=headers)
    while ask(service, "/job?status=processing&limit=1")["items"]:
        time.sleep(0.01)


# --- On a terminal -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [50, 80])
def test_no_job_id_is_wrapped_on_any_terminal(service: Service, columns: int) -> None:
    job_id = submit(service, "test.echo", 1)
    ended = on_terminal("client", "job", "list", columns=columns, **service.environment())

    assert (ended.status, ended.err) == (0, "")
    assert job_id in ended.out
    if columns >= 80:
        assert max(map(len, without_style(ended.out).splitlines())) <= columns


def test_a_terminal_has_colour_unless_it_is_not_wanted(service: Service) -> None:
    colour = "\x1b[32mok"

    assert colour in on_terminal("client", "node", "hostname", columns=80, **service.environment()).out
    assert (
        colour not in on_terminal("client", "node", "hostname", columns=80, NO_COLOR="1", **service.environment()).out
    )
    job_id = submit(service, "test.echo", 1)
    watch = ("client", "job", "watch", "--job-id", job_id)
    assert "\x1b[32mcompleted\x1b[0m" in on_terminal(*watch, columns=80, **service.environment()).out
    assert "\x1b[32m" not in on_terminal(*watch, columns=80, NO_COLOR="1", **service.environment()).out
    assert "\x1b" not in osapi(*watch, **service.environment()).out


def test_a_terminal_is_told_how_far_it_is(service: Service) -> None:
    with with_screen(*SLEEP, "600", "--json", **service.environment()) as (process, screen):
        assert "waiting for group:web, " in LINE.sub("", screen.until("waiting for group:web, "))
        screen.until("waiting for group:web: 0 of 2 hosts, ")
        job_id = newest_that_runs(service)
        assert ask(service, f"/job/{job_id}")["target"] == "group:web"
        end_all(service)
        screen.until("nothing that is ever sent")
        assert process.stdout is not None
        answer = json.loads(process.stdout.read())

    assert process.returncode == 1
    # It was one job all the time, though it was asked for twice.
    assert answer["job_id"] == job_id
    # The line was taken back, and nothing else was said.
    assert LINE.split(screen.sent)[-1] == ""


def test_what_is_quick_draws_no_line(service: Service) -> None:
    with with_screen("client", "node", "hostname", **service.environment()) as (_, screen):
        assert screen.until("nothing that is ever sent") == ""


def test_who_asks_a_server_that_is_slow_is_told_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        here = Service(f"http://127.0.0.1:{silent.getsockname()[1]}", "token")
        with with_screen("client", "agent", "list", **here.environment()) as (process, screen):
            assert screen.until(f"waiting for {here.url}, ")
            process.send_signal(SIGINT)
            sent = screen.until("nothing that is ever sent")
    assert process.returncode == 130
    assert LINE.split(sent)[-1] == "osapi: interrupted\n"


def test_a_terminal_that_cannot_take_a_line_back_is_sent_none(service: Service) -> None:
    with with_screen(*SLEEP, "1.0", **service.environment() | {"TERM": "dumb"}) as (_, screen):
        assert screen.until("nothing that is ever sent") == ""


def test_who_may_not_see_jobs_is_told_how_long_it_takes(service: Service) -> None:
    token = token_of(permissions=["test:read"])
    with with_screen(*SLEEP, "1.2", **service.environment(token)) as (process, screen):
        sent = screen.until("nothing that is ever sent")
    assert process.returncode == 0
    assert "waiting for group:web, " in sent
    assert "hosts" not in sent


def test_a_job_that_is_watched_tells_how_far_it_is(service: Service) -> None:
    job_id = submit(service, "test.sleep", 600.0)
    with with_screen("client", "job", "watch", "--job-id", job_id, **service.environment()) as (process, screen):
        screen.until("test.sleep on group:web: 0 of 2 hosts, ")
        end_all(service)
        screen.until("nothing that is ever sent")
        assert process.stdout is not None
        out = process.stdout.read()

    assert process.returncode == 1
    assert f"Job {job_id} is cancelled" in out
    assert LINE.split(screen.sent)[-1] == ""


def test_what_is_said_of_the_stream_takes_the_place_of_the_line() -> None:
    job = answer(200, json.dumps({"id": ID, "status": "processing"}).encode())
    end = json.dumps({"job_id": ID, "status": "completed", "summary": "completed"})
    with answering(job, stream("retry: 1", ""), stream("event: end", f"data: {end}", "")) as (url, _):
        here = Service(url, "token")
        with with_screen("client", "job", "watch", "--job-id", ID, **here.environment()) as (process, screen):
            sent = screen.until("nothing that is ever sent")
    assert process.returncode == 0
    told = f"osapi: the stream of {url} broke off; it is asked for again from where it was\n"
    assert any(part.startswith(told) for part in LINE.split(sent))


# --- Interrupted ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", SIGNALS)
def test_who_interrupts_the_waiting_is_not_kept(service: Service, number: signal.Signals) -> None:
    process = start(*SLEEP, "600", **service.environment())
    newest_that_runs(service)
    process.send_signal(number)
    ended = finish(process)
    end_all(service)

    told = {SIGINT: "osapi: interrupted\n", SIGTERM: "osapi: terminated\n"}
    assert ended == (128 + number, "", told[number])


def test_who_interrupts_it_on_a_terminal_is_told_that_the_job_goes_on(service: Service) -> None:
    with with_screen(*SLEEP, "600", **service.environment()) as (process, screen):
        screen.until("0 of 2 hosts")
        job_id = newest_that_runs(service)
        process.send_signal(SIGINT)
        sent = screen.until("nothing that is ever sent")
    assert process.returncode == 130
    assert ask(service, f"/job/{job_id}")["status"] == "processing"
    end_all(service)

    *_, last = LINE.split(sent)
    assert last == (
        f"osapi: job {job_id} goes on; `osapi client job watch --job-id {job_id}` follows it, "
        f"`osapi client job cancel --job-id {job_id}` ends it\nosapi: interrupted\n"
    )


def test_watching_can_be_interrupted(service: Service) -> None:
    job_id = submit(service, "test.sleep", 600.0)
    process = start("client", "job", "watch", "--job-id", job_id, **service.environment())
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(SIGINT)
    ended = finish(process)
    end_all(service)

    assert "submitted" in first
    assert (ended.status, ended.err) == (130, "osapi: interrupted\n")


# --- A stdout that takes nothing -----------------------------------------------------------------------------


def test_a_reader_that_leaves_early_is_no_error(service: Service) -> None:
    ended = shell("osapi client run --list | head -n 1", **service.environment())

    assert (ended.status, ended.out.count("\n"), ended.err) == (0, 1, "")


def test_watching_ends_with_its_reader(service: Service) -> None:
    job_id = submit(service, "test.sleep", 600.0)
    command = f"{{ osapi client job watch --job-id {job_id}; echo $? >&2; }} | true"
    ended = shell(command, **service.environment())
    end_all(service)

    assert ended.err == "141\n"


@pytest.mark.parametrize("command", ["node hostname", "node command shell --command x -T web-01 --stdout"])
def test_a_full_disk_is_told(service: Service, command: str) -> None:
    ended = shell(f"osapi client {command} > /dev/full", **service.environment())

    assert ended == (1, "", "osapi: No space left on device\n")


def test_a_closed_stdout_is_no_error(service: Service) -> None:
    assert shell("osapi client node hostname >&-", **service.environment()) == (0, "", "")
