"""Signed jobs in the programs, as processes over a real server: pending, accepted, obeyed, refused, replaced."""

from __future__ import annotations

import json
import shutil
from signal import SIGTERM
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import trio
from msgspec.structs import replace

import osapi
from osapi_api import Security
from osapi_cli.configuration import Configuration
from osapi_cli.wiring import settings
from osapi_nats import Options, open_connection
from tests.cli.program import OSAPI, begin, finish
from tests.cli.services import KEY, Service, ask, environment

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = Security(KEY).generate("ann", roles=["admin"])


@pytest.fixture
def namespace() -> str:
    return f"t{uuid4().hex}"


@pytest.fixture
def there(tmp_path: Path, nats_server: str, namespace: str) -> dict[str, str]:
    """Return the variables of a controller and an agent with keys, each with a folder of its own for them."""
    found = {"OSAPI_CONTROLLER_API_SECURITY_SIGNING_KEY": KEY, "OSAPI_NATS_REGISTRY_TTL": "3s"}
    for program in ("CONTROLLER", "AGENT"):
        found[f"OSAPI_{program}_NATS_HOST"] = "127.0.0.1"
        found[f"OSAPI_{program}_NATS_PORT"] = nats_server.rpartition(":")[2]
        found[f"OSAPI_{program}_NATS_NAMESPACE"] = namespace
        found[f"OSAPI_{program}_PKI_ENABLED"] = "true"
        found[f"OSAPI_{program}_PKI_KEY_DIR"] = str(tmp_path / program.lower())
    return found


def give_key(tmp_path: Path) -> None:
    """Do what an operator does: copy the controllers' public keys to the agent's host."""
    (tmp_path / "agent").mkdir(mode=0o700)
    shutil.copy(tmp_path / "controller" / "controllers.pub", tmp_path / "agent")


def run_agent(tmp_path: Path, there: dict[str, str]) -> Service:
    return Service(tmp_path, "agent", "start", "--agent-hostname", "web-01", **there)


def client(tmp_path: Path, url: str, *arguments: str) -> Any:
    """Return what `osapi client` prints as JSON."""
    access = {"OSAPI_CONTROLLER_CLIENT_URL": url, "OSAPI_CONTROLLER_CLIENT_SECURITY_BEARER_TOKEN": TOKEN}
    ended = finish(begin(*OSAPI, "client", *arguments, "--json", env=environment(tmp_path, **access)))
    assert ended.status == 0, ended.err
    return json.loads(ended.out)


def test_an_agent_waits_is_accepted_and_obeys_the_controller_alone(
    tmp_path: Path, there: dict[str, str], nats_server: str, namespace: str
) -> None:
    with Service(tmp_path, "controller", "start", **there) as controller:
        url = controller.url("ready: ")
        give_key(tmp_path)
        with run_agent(tmp_path, there) as agent:
            health = agent.url("health is told at")
            words = agent.until("ready: ").split()
            fingerprint = words[words.index("key") + 1]
            reason = f"it waits until its key {fingerprint} is accepted"
            assert ask(f"{health}/health/ready") == (503, {"status": "not_ready", "error": reason})
            status, found = ask(f"{url}/api/node/web-01", TOKEN)
            assert (status, found["type"]) == (400, "urn:osapi:problem:unknown-host")

            (applicant,) = client(tmp_path, url, "agent", "pending")["agents"]
            assert (applicant["hostname"], applicant["fingerprint"]) == ("web-01", fingerprint)
            client(tmp_path, url, "agent", "accept", "--hostname", "web-01", "--fingerprint", fingerprint)
            agent.until("web-01 takes jobs: its key ")
            assert ask(f"{health}/health/ready")[0] == 200
            assert runs(url)
            (known,) = client(tmp_path, url, "agent", "list")["agents"]
            assert known["fingerprint"] == fingerprint

            answers = trio.run(submit_as, nats_server, namespace)
            assert answers["web-01"].error == "refused by web-01: the stored definition is refused: it is not signed"
            assert agent.ended(SIGTERM).status == 0

        # It is still accepted when it comes back, and remembers what it has run.
        with run_agent(tmp_path, there) as agent:
            assert agent.until("ready: ") == "ready: agent web-01 offers 17 operations"
            assert runs(url)
            assert agent.ended(SIGTERM).status == 0
        assert len((tmp_path / "agent" / "journal").read_text().splitlines()) > 2
        assert controller.ended(SIGTERM).status == 0


def test_keys_are_followed_by_others_and_nobody_has_to_be_accepted_anew(
    tmp_path: Path, there: dict[str, str], nats_server: str, namespace: str
) -> None:
    there["OSAPI_CONTROLLER_PKI_ROTATION_GRACE_PERIOD"] = "0s"
    with Service(tmp_path, "controller", "start", **there) as controller:
        url = controller.url("ready: ")
        give_key(tmp_path)
        with run_agent(tmp_path, there) as agent:
            agent.until("waits to be accepted")
            client(tmp_path, url, "agent", "accept", "--hostname", "web-01")
            agent.until("web-01 takes jobs: its key ")
            assert runs(url)
            assert controller.ended(SIGTERM).status == 0
            stolen = move(tmp_path / "controller" / "controller.pem")

            # The agent runs on. It learns which key follows from the one that it was given.
            with Service(tmp_path, "controller", "start", **there) as another:
                assert f"{stolen.fingerprint}, the one before, counts for 0 s more" in another.until("in use from now")
                url = another.url("ready: ")
                assert not (tmp_path / "controller" / "controller.previous.pem").exists()
                assert runs(url)
                answers = trio.run(submit_as, nats_server, namespace, stolen)
                assert "whose time ended when another took its place" in str(answers["web-01"].error)

                assert agent.ended(SIGTERM).status == 0
                move(tmp_path / "agent" / "agent.pem")
                with run_agent(tmp_path, there) as agent_again:
                    agent_again.until("in use from now")
                    assert agent_again.until("ready: ") == "ready: agent web-01 offers 17 operations"
                    assert runs(url)
                    assert agent_again.ended(SIGTERM).status == 0
                assert not (tmp_path / "agent" / "agent.previous.pem").exists()
                with run_agent(tmp_path, there) as agent_again:
                    assert agent_again.until("ready: ") == "ready: agent web-01 offers 17 operations"
                    assert runs(url)
                    assert client(tmp_path, url, "agent", "pending")["agents"] == []
                    assert agent_again.ended(SIGTERM).status == 0
                assert another.ended(SIGTERM).status == 0


def move(key: Path) -> osapi.Signer:
    """Do what an operator does who wants another key, and return the one before."""
    return osapi.Signer.read(key.rename(key.with_suffix(".previous.pem")))


def runs(url: str) -> bool:
    """Tell whether a job gets a trusted answer from the agent."""
    status, found = ask(f"{url}/api/node/web-01/command/exec", TOKEN, {"command": "echo", "args": ["hello"]})
    return (status, found["results"][0].get("stdout")) == (202, "hello\n")


async def submit_as(nats_server: str, namespace: str, signer: osapi.Signer | None = None) -> Any:
    """Submit a job straight to the broker, as somebody would who has its credentials, and a stolen key or none."""
    same = replace(settings(Configuration()), fleet=namespace, registry_ttl=3.0, heartbeat=1.0)
    options = Options(servers=(nats_server.removeprefix("nats://"),), namespace=namespace)
    with trio.fail_after(20):
        async with (
            open_connection(options) as transport,
            osapi.Client(transport, settings=same, signer=signer) as stranger,
        ):
            return await (await stranger.submit("node.uptime.get", target="web-01")).result()


def test_in_one_process_every_agent_is_believed_if_that_is_asked_for(tmp_path: Path) -> None:
    there = {f"OSAPI_{program}_PKI_ENABLED": "true" for program in ("CONTROLLER", "AGENT")}
    there |= {f"OSAPI_{program}_PKI_KEY_DIR": str(tmp_path / "pki") for program in ("CONTROLLER", "AGENT")}
    with Service(
        tmp_path,
        "start",
        **there,
        OSAPI_CONTROLLER_PKI_AUTO_ACCEPT="true",
        OSAPI_AGENT_HOSTNAME="web-01",
        OSAPI_NATS_REGISTRY_TTL="3s",
    ) as service:
        url = service.url("ready: ")
        if not any("web-01 takes jobs: its key " in said["message"] for said in service.said):
            service.until("web-01 takes jobs: its key ")
        token = (tmp_path / "state" / "osapi" / "token").read_text().strip()
        assert ask(f"{url}/api/node/web-01/uptime", token)[0] == 200
        assert service.ended(SIGTERM).status == 0
    assert any("unseen: controller.pki.auto_accept" in said["message"] for said in service.said)


# --- Refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "variables", "told"),
    [
        ("agent start", {"AGENT_PKI_KEY_DIR": "{}/none"}, "none/controllers.pub: agent.pki: lists no controller "),
        ("agent start", {}, "agent.pki.key_dir: is not given, and agent.pki.enabled is true"),
        ("controller start", {"CONTROLLER_PKI_KEY_DIR": "{}/file"}, "file: is no folder; name one that "),
        ("controller start", {"CONTROLLER_PKI_KEY_DIR": "/proc/1/x"}, "/proc/1/x"),
        ("start", {"CONTROLLER_PKI_KEY_DIR": "{}/pki"}, "agent.pki.enabled: is false, and controller.pki.enabled is "),
    ],
)
def test_without_the_keys_that_it_shall_have_a_program_does_not_start(
    tmp_path: Path, command: str, variables: dict[str, str], told: str
) -> None:
    (tmp_path / "file").touch()
    program = "AGENT" if command.startswith("agent") else "CONTROLLER"
    given = {
        f"OSAPI_{program}_PKI_ENABLED": "true",
        "OSAPI_CONTROLLER_API_SECURITY_SIGNING_KEY": KEY,
        **{f"OSAPI_{name}": value.format(tmp_path) for name, value in variables.items()},
    }
    ended = finish(begin(*OSAPI, *command.split(), env=environment(tmp_path, **given)))
    assert (ended.status, ended.out) == (78, "")
    assert told in ended.err
    assert ended.err.count("\n") == 1
