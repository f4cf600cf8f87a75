"""Each key of the configuration reaches what it is for, or is said to be idle."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from msgspec import inspect
from msgspec.structs import replace

import osapi
from osapi.settings import (
    dead_letters_config,
    facts_bucket,
    job_bucket,
    registry_bucket,
    response_bucket,
    state_bucket,
    story_bucket,
    stream_config,
)
from osapi_cli.configuration import Configuration, ProblemError, load
from osapi_cli.configuration.broker import ServerUser
from osapi_cli.configuration.idle import IDLE, is_idle, value_of
from osapi_cli.configuration.keys import KEYS, PATHS
from osapi_cli.configuration.schema import Auth, Connection, Role
from osapi_cli.local import access
from osapi_cli.nats_server import settings_of
from osapi_cli.wiring import agent_plan, broker, controller_plan, settings
from tests.cli.configurations import KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from osapi_cli.configuration import Loaded
    from tests.cli.configurations import Files

# Another value where the type does not tell one.
_OTHERS: Final[Mapping[str, Any]] = {
    "controller.api.security.signing_key": KEY[::-1],
    "controller.api.security.cors.allow_origins": ("https://console.example.com",),
    "controller.api.security.roles": {"ops": Role(permissions=("node:read",))},
    "nats.server.auth.users": (ServerUser(username="a", password="b"), ServerUser(username="c", password="d")),
    "nats.server.auth.nkeys": ("UA", "UB"),
    "nats.stream.max_age": 1800.0,
    "agent.labels": {"group": "web"},
    "agent.consumer.back_off": (1.0, 2.0),
}

# What has to be so for the key to count.
_TYPES: Final = {
    "username": "user_pass",
    "password": "user_pass",
    "users": "user_pass",
    "nkey_file": "nkey",
    "nkeys": "nkey",
    "creds_file": "creds",
    "token": "token",
}


def with_value(part: Any, path: str, value: object) -> Any:
    name, _, rest = path.partition(".")
    return replace(part, **{name: with_value(getattr(part, name), rest, value) if rest else value})


def other(path: str) -> object:
    """Return a value that the key does not have by default."""
    if path in _OTHERS:
        return _OTHERS[path]
    key = KEYS[path]
    match key.type:
        case inspect.BoolType():
            return not key.default
        case inspect.IntType() | inspect.FloatType():
            return 1 if key.default <= 0 else key.default + 1
        case inspect.StrType():
            return f"{key.default}x"
        case inspect.LiteralType(values):
            return next(value for value in values if value != key.default)
        case strange:
            pytest.fail(f"{path} is of the type {strange}: add a value for it")


def is_fixed(path: str) -> bool:
    kind = KEYS[path].type
    return path == "nats.stream.subjects" or (isinstance(kind, inspect.LiteralType) and len(kind.values) == 1)


def base(path: str) -> Configuration:
    """Return a configuration in which the key counts."""
    configuration: Configuration = with_value(Configuration(), "controller.api.security.signing_key", KEY)
    section, _, name = path.rpartition(".")
    if section == "controller.notifications" and name != "enabled":
        configuration = with_value(configuration, f"{section}.enabled", value=True)
        configuration = with_value(configuration, f"{section}.url", "https://hooks.example.com")
        if name != "notifier":
            configuration = with_value(configuration, f"{section}.notifier", "webhook")
    if section.endswith(".auth") and name in _TYPES:
        configuration = with_value(configuration, f"{section}.type", _TYPES[name])
        if section == "nats.server.auth":
            configuration = with_value(configuration, f"{section}.token", "secret")
            configuration = with_value(configuration, f"{section}.users", (ServerUser(username="a", password="b"),))
            configuration = with_value(configuration, f"{section}.nkeys", ("UA",))
    if section == "telemetry.tracing":
        configuration = with_value(configuration, f"{section}.enabled", name != "enabled")
        configuration = with_value(configuration, f"{section}.exporter", "" if name == "exporter" else "otlp")
    if section.endswith(".pki") and name != "enabled":
        configuration = with_value(configuration, f"{section}.enabled", True)
    return configuration


def wired(configuration: Configuration) -> list[Any]:
    """Return all that becomes of a configuration, so that it can be compared."""
    controller = controller_plan(configuration)
    kept = settings(configuration)
    used = [
        make(kept)
        for make in (
            stream_config,
            dead_letters_config,
            job_bucket,
            response_bucket,
            registry_bucket,
            facts_bucket,
            state_bucket,
            story_bucket,
        )
    ]
    return [
        dataclasses.replace(controller, security=None),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        vars(controller.security),
        agent_plan(configuration),
        settings_of(configuration.nats.server),
        access(loaded(configuration), {}),
        used,
        configuration.debug,
    ]


def loaded(configuration: Configuration) -> Loaded:
    found = load("", {"HOME": "/nowhere"})
    return replace(found, configuration=configuration, given={"controller.client.url": "here"})


USED = [path for path in KEYS if not is_idle(path) and not is_fixed(path)]


@pytest.mark.parametrize("path", USED)
def test_a_key_that_is_used_makes_a_difference(path: str) -> None:
    before = base(path)
    with_other_type = path.endswith("auth.type")
    value = "user_pass" if with_other_type else other(path)
    after = with_value(before, path, value)
    if with_other_type:
        after = with_value(after, path.replace(".type", ".users" if "server" in path else ".username"), _user(path))

    assert wired(after) != wired(before)


def _user(path: str) -> object:
    return (ServerUser(username="a", password="b"),) if "server" in path else "a"


@pytest.mark.parametrize("path", [path for path in KEYS if is_idle(path)])
def test_an_idle_key_makes_none(path: str) -> None:
    before = base(path)
    if not is_fixed(path):
        assert wired(with_value(before, path, other(path))) == wired(before)


def test_what_is_idle_is_a_key_or_a_section() -> None:
    assert set(IDLE) <= set(PATHS)


def test_an_idle_key_costs_one_line_where_it_is_given_and_differs(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = """
agent:
  queue_group: mine
  facts: {interval: 1m}
  conditions: {memory_pressure_threshold: 80, disk_pressure_threshold: 80}
"""
    idle = "agent.conditions.memory_pressure_threshold, agent.conditions.disk_pressure_threshold"
    monkeypatch.setitem(cast("dict[str, str]", IDLE), "agent.conditions", "as if")
    assert [files.short(line) for line in files.load(text).warnings] == [
        f"osapi.yaml:3: agent.queue_group is not used: {IDLE['agent.queue_group']}",
        f"osapi.yaml:5: {idle} are not used: as if",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nats: {stream: {max_msgs: 10}}", "nats.stream.max_msgs: a full stream drops the oldest job that waits; "),
        ("nats: {registry: {storage: memory}}", "nats.registry.storage: in memory, the agents that live on are "),
    ],
)
def test_what_may_do_harm_is_used_and_said(files: Files, text: str, told: str) -> None:
    (warning,) = files.load(text).warnings
    assert told in warning


def test_the_defaults_are_those_of_the_library_but_for_retries_and_names() -> None:
    mine = settings(Configuration())
    library = osapi.Settings()

    assert replace(mine, policy=library.policy, places=library.places) == library
    assert registry_bucket(mine) == registry_bucket(library)
    assert (mine.policy.attempts, mine.policy.takeovers) == (5, 4)
    assert mine.policy.pauses == (30.0, 120.0, 300.0, 900.0, 1800.0)


def test_no_bound_may_be_written_as_0() -> None:
    none: Configuration = with_value(Configuration(), "nats.kv.max_bytes", 0)
    assert settings(with_value(none, "nats.dlq.max_msgs", 0)) == settings(
        with_value(with_value(Configuration(), "nats.kv.max_bytes", -1), "nats.dlq.max_msgs", -1)
    )
    assert settings(none).max_bytes == -1


@pytest.mark.parametrize("ttl", [1.0, 5.0, 30.0, 3600.0])
def test_a_registration_outlives_a_lost_heartbeat(ttl: float) -> None:
    mine = settings(with_value(Configuration(), "nats.registry.ttl", ttl))
    assert mine.registry_ttl == ttl
    assert 2 * mine.heartbeat < ttl
    assert mine.heartbeat <= 10


def test_a_short_life_of_jobs_bounds_how_long_they_may_take() -> None:
    mine = settings(with_value(Configuration(), "nats.kv.ttl", 60.0))
    assert (mine.job_ttl, mine.within) == (60.0, 60.0)


def test_only_the_credentials_of_the_type_are_shown_to_the_server() -> None:
    auth = Auth(username="u", password="p", token="t", nkey_file="n", creds_file="c")
    given = {
        kind: broker(Connection(auth=replace(auth, type=kind)))
        for kind in ("none", "user_pass", "nkey", "creds", "token")
    }
    shown = {kind: (o.user, o.password, o.token, o.nkey, o.creds) for kind, o in given.items()}

    assert shown == {
        "none": ("", "", "", "", ""),
        "user_pass": ("u", "p", "", "", ""),
        "nkey": ("", "", "", "n", ""),
        "creds": ("", "", "", "", "c"),
        "token": ("", "", "t", "", ""),
    }


@pytest.mark.parametrize(("host", "server"), [("localhost", "localhost:4222"), ("::1", "[::1]:4222")])
def test_an_ipv6_address_is_put_in_brackets(host: str, server: str) -> None:
    assert broker(Connection(host=host)).servers == (server,)


def test_what_the_api_refuses_is_told_as_the_key_it_is() -> None:
    wrong = with_value(base(""), "controller.api.security.cors.allow_origins", ("console.example.com",))
    with pytest.raises(ProblemError, match=r"^controller\.api\.security\.cors\.allow_origins: 'console"):
        controller_plan(wrong)
    with pytest.raises(ProblemError, match=r"^controller\.api\.security: '0 bytes' is too short for signing_key"):
        controller_plan(Configuration())


def test_what_is_signed_in_one_namespace_counts_in_no_other() -> None:
    apart = with_value(base(""), "controller.nats.namespace", "oslo")
    assert (controller_plan(apart).settings.fleet, agent_plan(apart).settings.fleet) == ("oslo", "")
    same = with_value(apart, "agent.nats.namespace", "oslo")
    assert controller_plan(same).settings == agent_plan(same).settings


def test_a_plan_shows_no_secrets() -> None:
    secrets = with_value(base(""), "controller.nats.auth", Auth(type="user_pass", username="u", password="hunter2"))
    told = repr(controller_plan(secrets)) + repr(agent_plan(secrets))
    assert KEY not in told
    assert "hunter2" not in told


def test_every_path_has_a_value() -> None:
    assert all(value_of(Configuration(), path) == key.default for path, key in KEYS.items())
