"""Variables over the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi_cli.configuration.keys import FILES, KEYS, VARIABLES, variable
from osapi_cli.configuration.showing import plain
from tests.cli.configurations import KEY

if TYPE_CHECKING:
    from tests.cli.configurations import Files

SIGNING_KEY = "OSAPI_CONTROLLER_API_SECURITY_SIGNING_KEY"


@given(st.sampled_from(sorted(KEYS)))
def test_a_name_and_a_path_say_the_same(path: str) -> None:
    name = variable(path)

    assert VARIABLES[name].path == path
    assert name == "OSAPI_" + path.upper().replace(".", "_")


def test_no_name_means_two_things() -> None:
    assert len(VARIABLES) == len(KEYS)
    assert not VARIABLES.keys() & FILES.keys()


@pytest.mark.parametrize("path", sorted(KEYS))
def test_every_default_may_be_given_by_its_variable(files: Files, path: str) -> None:
    default: Any = plain(files.load().configuration)
    for part in path.split("."):
        default = default[part]
    if default in ("", [], {}):
        return  # an empty variable is none
    given = json.dumps(default) if isinstance(default, list) else str(default)
    loaded = files.load("", **{variable(path): given})

    assert loaded.given == {path: f"${variable(path)}"}
    assert loaded.configuration == files.load().configuration


def test_a_variable_wins_over_the_file(files: Files) -> None:
    text = "agent: {max_jobs: 1, queue_group: mine}\n"
    agent = files.load(text, OSAPI_AGENT_MAX_JOBS="2", OSAPI_AGENT_NATS_HOST="broker").configuration.agent

    assert (agent.max_jobs, agent.queue_group, agent.nats.host) == (2, "mine", "broker")


def test_an_empty_variable_is_none(files: Files) -> None:
    assert files.load("agent: {max_jobs: 1}", OSAPI_AGENT_MAX_JOBS="").configuration.agent.max_jobs == 1


def test_a_wrong_value_in_the_file_does_not_matter_under_a_variable(files: Files) -> None:
    assert files.load("agent: {max_jobs: x}", OSAPI_AGENT_MAX_JOBS="2").configuration.agent.max_jobs == 2


def test_a_variable_below_what_is_no_section_hides_nothing(files: Files) -> None:
    assert files.problems("agent: 5", OSAPI_AGENT_MAX_JOBS="2")[0].startswith(
        "osapi.yaml:1: agent: is a single value; "
    )


def test_a_variable_changes_one_place_though_an_alias_has_it_in_two(files: Files) -> None:
    text = "controller: {nats: &nats {host: a, port: 1}}\nagent: {nats: *nats}\n"
    configuration = files.load(text, OSAPI_AGENT_NATS_HOST="b").configuration

    assert (configuration.controller.nats.host, configuration.agent.nats.host) == ("a", "b")
    assert configuration.agent.nats.port == 1


@pytest.mark.parametrize(
    "value", ["{group: web.dev, rack: r1}", '{"group": "web.dev", "rack": "r1"}', "group: web.dev\nrack: r1"]
)
def test_a_map_is_yaml_or_json(files: Files, value: str) -> None:
    labels = files.load("agent: {labels: {other: x}}", OSAPI_AGENT_LABELS=value).configuration.agent.labels

    assert labels == {"group": "web.dev", "rack": "r1"}


def test_roles_are_a_map_too(files: Files) -> None:
    roles = '{"ops": {"permissions": ["node:read"]}}'
    security = files.load(OSAPI_CONTROLLER_API_SECURITY_ROLES=roles).configuration.controller.api.security

    assert security.roles["ops"].permissions == ("node:read",)


@pytest.mark.parametrize("value", ["30s,2m", "30s, 2m", "[30s, 2m]", '["30s", "2m"]'])
def test_a_list_is_yaml_or_has_commas(files: Files, value: str) -> None:
    assert files.load(OSAPI_AGENT_CONSUMER_BACK_OFF=value).configuration.agent.consumer.back_off == (30.0, 120.0)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("OSAPI_AGENT_LABELS", "group", "$OSAPI_AGENT_LABELS: agent.labels: is a single value; write `name: value`"),
        ("OSAPI_AGENT_LABELS", "{a: ", "$OSAPI_AGENT_LABELS: is not YAML: "),
        ("OSAPI_AGENT_LABELS", "\udcff", "$OSAPI_AGENT_LABELS: is not YAML: "),
        ("OSAPI_AGENT_MAX_JOBS", "x\ny", r"$OSAPI_AGENT_MAX_JOBS: agent.max_jobs: is 'x\ny'; write a whole number"),
        (
            "OSAPI_NATS_KV_TLL",
            "1h",
            "$OSAPI_NATS_KV_TLL: names no key of the configuration; did you mean $OSAPI_NATS_KV_TTL",
        ),
        ("OSAPI_AGENT_LABELS_GROUP", "web", "did you mean $OSAPI_AGENT_LABELS"),
        ("OSAPI_XYZZY", "hunter2", "$OSAPI_XYZZY: names no key of the configuration; unset it; "),
        (SIGNING_KEY, "hunter2", f"${SIGNING_KEY}: controller.api.security.signing_key: is 7 bytes long; "),
        (
            f"{SIGNING_KEY}_FILE",
            "/nope",
            f"${SIGNING_KEY}_FILE: controller.api.security.signing_key: '/nope' cannot be read",
        ),
        (f"{SIGNING_KEY}_FILE", "/a\0b", "cannot be read: embedded null byte"),
        (f"{SIGNING_KEY}_FILE", "/dev/zero", "'/dev/zero' is too large for a secret"),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(files: Files, name: str, value: str, told: str) -> None:
    problems = files.problems(**{name: value})

    assert len(problems) == 1
    assert told in problems[0]
    assert "hunter2" not in problems[0]


def test_a_secret_may_lie_in_a_file(files: Files) -> None:
    secret = files.folder / "secret"
    secret.write_text(f"{KEY}\n", encoding="ascii")
    loaded = files.load("", **{f"{SIGNING_KEY}_FILE": str(secret)})

    assert loaded.configuration.controller.api.security.signing_key == KEY
    twice = files.problems("", **{f"{SIGNING_KEY}_FILE": str(secret), SIGNING_KEY: KEY})
    assert [problem.rpartition(": ")[2] for problem in twice] == [
        "is given by the variable without _FILE too; unset one"
    ]
    secret.write_bytes(b"\xff" * 40)
    assert "is not UTF-8" in files.problems("", **{f"{SIGNING_KEY}_FILE": str(secret)})[0]


# What Kubernetes tells containers of services called osapi, osapi-nats and osapi-controller-metrics.
INJECTED = {
    "OSAPI_SERVICE_HOST": "10.0.0.1",
    "OSAPI_SERVICE_PORT": "8080",
    "OSAPI_SERVICE_PORT_HTTP": "8080",
    "OSAPI_PORT": "tcp://10.0.0.1:8080",
    "OSAPI_PORT_8080_TCP_ADDR": "10.0.0.1",
    "OSAPI_NATS_SERVICE_HOST": "10.0.0.2",
    "OSAPI_NATS_SERVICE_PORT_CLIENT": "4222",
    "OSAPI_NATS_PORT": "tcp://10.0.0.2:4222",
    "OSAPI_NATS_PORT_4222_TCP": "tcp://10.0.0.2:4222",
    "OSAPI_NATS_PORT_4222_TCP_PROTO": "tcp",
    "OSAPI_CONTROLLER_METRICS_PORT": "tcp://10.0.0.3:9090",
}


def test_what_kubernetes_injects_is_nothing_of_ours(files: Files) -> None:
    loaded = files.load("", **INJECTED, OSAPI_CONFIG="/x", OSAPI_NATS_SERVER="/usr/bin/nats-server", OSAPIX="1")

    assert (loaded.given, loaded.warnings) == ({}, [])


def test_a_key_of_the_go_system_is_told_and_left(files: Files) -> None:
    assert files.load("", OSAPI_NATS_OBJECTS_MAX_BYTES="1", OSAPI_CONTROLLER_UI_ENABLED="true").warnings == [
        "$OSAPI_CONTROLLER_UI_ENABLED is not used; unset it",
        "$OSAPI_NATS_OBJECTS_MAX_BYTES is not used; unset it",
    ]
