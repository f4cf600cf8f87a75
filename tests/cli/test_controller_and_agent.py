"""`osapi controller start` and `osapi agent start` as processes, over a real server."""

from __future__ import annotations

import os
import threading
import time
from signal import SIGINT, SIGTERM
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from osapi_api import Security
from tests.cli.program import OSAPI, begin, finish
from tests.cli.services import KEY, Service, ask, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = Security(KEY).generate("test", roles=["admin"])
NOWHERE = "1"  # a port on which no NATS server listens


@pytest.fixture
def there(nats_server: str) -> dict[str, str]:
    """Return the variables of a controller and an agent that share a namespace of their own on the server."""
    port, namespace = nats_server.rpartition(":")[2], f"t{uuid4().hex}"
    found = {"OSAPI_CONTROLLER_API_SECURITY_SIGNING_KEY": KEY, "OSAPI_NATS_REGISTRY_TTL": "3s"}
    for program in ("CONTROLLER", "AGENT"):
        found[f"OSAPI_{program}_NATS_HOST"] = "127.0.0.1"
        found[f"OSAPI_{program}_NATS_PORT"] = port
        found[f"OSAPI_{program}_NATS_NAMESPACE"] = namespace
    return found


@pytest.fixture
def controller(tmp_path: Path, there: dict[str, str]) -> Iterator[Service]:
    with Service(tmp_path, "controller", "start", **there) as service:
        yield service


@pytest.fixture
def agent(tmp_path: Path, there: dict[str, str], controller: Service) -> Iterator[Service]:
    with Service(tmp_path, "agent", "start", "--agent-hostname", "web-01", **there) as service:
        yield service


class Asking(threading.Thread):
    """Asks while the test does something else."""

    def __init__(self, url: str, data: object) -> None:
        super().__init__()
        self._what = (url, TOKEN, data)
        self.answer: tuple[int, Any] = (0, None)
        self.start()

    def run(self) -> None:
        self.answer = ask(*self._what)


def shell(url: str, marker: Path, script: str) -> Asking:
    """Have a shell command run on the agent, and return once it does."""
    asking = Asking(f"{url}/api/node/web-01/command/shell", {"command": f"echo $$ > {marker}; {script}"})
    until = time.monotonic() + 20
    while not (marker.exists() and marker.read_text()):
        assert time.monotonic() < until, "the command did not start"
        time.sleep(0.01)
    return asking


def test_they_work_and_drain_in_order(controller: Service, agent: Service, tmp_path: Path) -> None:
    health = controller.url("health is told at")
    url = controller.url("ready: ")
    agents_health = agent.url("health is told at")
    assert agent.until("ready: ") == "ready: agent web-01 offers 17 operations"
    for probe in (f"{health}/health/ready", f"{agents_health}/health/ready", f"{url}/health/ready"):
        assert ask(probe) == (200, {"status": "ready"})
    assert "GET /health/ready" in controller.until("request ")
    asked = controller.said[-1]
    assert (asked["path"], asked["status"], asked["subject"]) == ("/health/ready", 200, "")
    assert asked["request_id"]
    assert ask(f"{agents_health}/health") == (200, {"status": "ok"})
    assert ask(f"{agents_health}/else")[0] == 404
    assert ask(f"{agents_health}/health", data={})[0] == 405

    # What runs when the agent is told to stop may finish, and meanwhile it is not ready.
    asking = shell(url, tmp_path / "runs", f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo done")
    agent.process.send_signal(SIGTERM)
    agent.until("terminated: stopping; a second signal cancels what runs")
    status, told = ask(f"{agents_health}/health/ready")
    assert (status, told) == (503, {"status": "not_ready", "error": "the program is stopping"})
    assert ask(f"{agents_health}/health")[0] == 200
    (tmp_path / "go").touch()
    assert agent.ended().status == 0
    asking.join()
    assert asking.answer[1]["results"][0]["stdout"] == "done\n"

    assert controller.ended(SIGTERM).status == 0
    assert [said for said in controller.said if said["level"] in {"error", "critical"}] == []


def test_a_second_signal_cancels_what_runs(tmp_path: Path, there: dict[str, str]) -> None:
    with (
        Service(tmp_path, "controller", "start", **there, OSAPI_CONTROLLER_API_JOB_TIMEOUT="1s") as controller,
        Service(tmp_path, "agent", "start", "--agent-hostname", "web-01", **there) as agent,
    ):
        second_signal(controller, agent, tmp_path)


def second_signal(controller: Service, agent: Service, tmp_path: Path) -> None:
    url = controller.url("ready: ")
    agent.until("ready: ")
    asking = shell(url, tmp_path / "runs", "sleep 300")
    pid = int((tmp_path / "runs").read_text())
    agent.process.send_signal(SIGTERM)
    agent.until("stopping; a second signal cancels")
    agent.process.send_signal(SIGTERM)  # as `timeout` does: to the process, and then to its group
    time.sleep(0.6)
    os.kill(pid, 0)
    assert agent.ended(SIGTERM).status == 143
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert agent.said[-1]["message"] == "terminated"
    asking.join()
    assert controller.ended(SIGINT).status == 130


def test_two_agents_may_not_have_one_name(
    tmp_path: Path, there: dict[str, str], controller: Service, agent: Service
) -> None:
    controller.until("ready: ")
    agent.until("ready: ")
    with Service(tmp_path, "agent", "start", "--agent-hostname", "WEB-01", **there) as second:
        ended = second.ended()
    assert ended.status == 1
    assert second.said[-1]["message"].startswith("hostname 'web-01': another agent answers to it; ")
    assert second.said[-1]["level"] == "error"


def test_other_settings_than_those_on_the_server_are_a_wrong_configuration(
    tmp_path: Path, there: dict[str, str], controller: Service
) -> None:
    controller.until("ready: ")
    with Service(tmp_path, "agent", "start", **there, OSAPI_NATS_KV_TTL="30m") as other:
        ended = other.ended()
    assert ended.status == 78
    assert "bucket job-queue exists with other settings: max_age is 3600 s, not 1800 s" in other.said[-1]["message"]


# --- Without a broker -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["controller", "agent"])
def test_a_broker_that_is_not_there_is_told(tmp_path: Path, program: str) -> None:
    there = {f"OSAPI_{program.upper()}_NATS_PORT": NOWHERE, "OSAPI_CONTROLLER_API_SECURITY_SIGNING_KEY": KEY}
    with Service(tmp_path, program, "start", "--wait", "0", **there) as service:
        ended = service.ended()
    assert ended.status == 69
    assert service.said[-1]["message"].startswith("no NATS server answers at localhost:1 (connection refused)")


@pytest.mark.parametrize("number", [SIGTERM, SIGINT])
def test_while_it_waits_for_the_broker_it_lives_and_is_not_ready(tmp_path: Path, number: int) -> None:
    with Service(tmp_path, "agent", "start", OSAPI_AGENT_NATS_PORT=NOWHERE) as service:
        health = service.url("health is told at")
        assert service.until("the broker is not there: ").endswith("; it is tried again in 0.5 s")
        assert ask(f"{health}/health") == (200, {"status": "ok"})
        assert ask(f"{health}/health/ready") == (503, {"status": "not_ready", "error": "the program is starting"})
        assert service.ended(number).status == (0 if number == SIGTERM else 130)


# --- Refusals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "status", "told"),
    [
        ("controller start", 78, "controller.api.security.signing_key: is required and not given"),
        ("controller start -p http", 2, "--port: controller.api.port: is 'http'; write a whole number"),
        ("agent start --agent-max-jobs 0", 2, "--agent-max-jobs: agent.max_jobs: is '0'; write a whole number"),
        ("agent start --agent-hostname _any", 2, "--agent-hostname: agent.hostname: '_any': starts with `_`"),
        ("agent start --consumer-ack-wait 5", 2, "--consumer-ack-wait: agent.consumer.ack_wait: is '5'; write a dur"),
        ("agent start --consumer-back-off 1s,x", 2, "agent.consumer.back_off[1]: is 'x'; write a duration"),
        ("agent start --wait 2", 2, "'2' is no duration of at most 1h, such as 30s or 2m"),
        ("agent stat", 2, "there is no command 'stat'; did you mean start?"),
    ],
)
def test_what_is_wrong_is_told_before_anything_starts(tmp_path: Path, command: str, status: int, told: str) -> None:
    ended = finish(begin(*OSAPI, *command.split(), env=environment(tmp_path)))
    assert (ended.status, ended.out) == (status, "")
    assert told in ended.err
    assert ended.err.count("\n") == 1


def test_a_flag_wins_over_a_variable(tmp_path: Path, there: dict[str, str], controller: Service) -> None:
    controller.until("ready: ")
    with Service(tmp_path, "agent", "start", "--agent-hostname", "b", **there, OSAPI_AGENT_HOSTNAME="a") as service:
        assert "agent b offers" in service.until("ready: ")
        assert service.ended(SIGTERM).status == 0


def test_a_flag_that_is_not_used_says_so(tmp_path: Path) -> None:
    there = {"OSAPI_AGENT_NATS_PORT": NOWHERE}
    ended = finish(
        begin(
            *OSAPI,
            *["agent", "start", "--wait", "0", "--agent-queue-group", "mine"],
            env=environment(tmp_path, **there),
        )
    )
    assert ended.status == 69
    assert "warning: --agent-queue-group: agent.queue_group is not used: " in ended.err
