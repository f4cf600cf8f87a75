"""A file into the configuration: defaults, types, ranges, and every problem at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from osapi_cli.configuration import ConfigurationError, load, require
from osapi_cli.configuration.document import MAX_BYTES
from osapi_cli.configuration.keys import KEYS
from osapi_cli.configuration.loading import find
from osapi_cli.configuration.showing import as_yaml, plain
from tests.cli.configurations import KEY

if TYPE_CHECKING:
    from tests.cli.configurations import Files


def test_without_a_file_there_are_the_defaults() -> None:
    loaded = load("", {"HOME": "/nowhere"})

    assert (loaded.file, loaded.warnings, loaded.given) == (None, [], {})
    assert loaded.configuration.nats.kv.ttl == 3600
    assert loaded.configuration.nats.stream.max_age == 3600  # as long as its jobs, see `reconcile`
    assert loaded.configuration.agent.metrics.port == 9091
    assert loaded.configuration.agent.nats.client_name == "osapi-agent"


def test_a_section_keeps_the_defaults_of_what_it_does_not_say(files: Files) -> None:
    agent = files.load("agent:\n  nats:\n    host: broker\n  metrics:\n    enabled: false\n").configuration.agent

    assert (agent.nats.host, agent.nats.client_name) == ("broker", "osapi-agent")
    assert (agent.metrics.enabled, agent.metrics.port) == (False, 9091)


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "---\n", "~", "agent:\nnats: ~\n", "\ufeffagent:\n", "agent: {labels: }"]
)
def test_what_is_empty_is_the_default(files: Files, text: str) -> None:
    assert files.load(text).configuration == load("", {"HOME": "/nowhere"}).configuration


def test_values_of_every_type(files: Files) -> None:
    text = f"""
debug: "Yes"
controller:
  api:
    port: "8081"
    security:
      signing_key: {KEY}
      cors: {{allow_origins: "http://a, http://b"}}
      roles: {{ops: {{permissions: [node:read, job:read]}}}}
agent:
  conditions: {{high_load_multiplier: 1.5e0}}
  consumer: {{back_off: [1s, 1m]}}
  labels: {{group: web.dev, version: 1.10, enabled: no}}
nats:
  server:
    auth: {{type: user_pass, users: [{{username: a, password: 123}}]}}
"""
    configuration = files.load(text).configuration
    security = configuration.controller.api.security

    assert configuration.debug is True
    assert configuration.controller.api.port == 8081
    assert security.cors.allow_origins == ("http://a", "http://b")
    assert security.roles["ops"].permissions == ("node:read", "job:read")
    assert configuration.agent.conditions.high_load_multiplier == 1.5
    assert configuration.agent.consumer.back_off == (1.0, 60.0)
    assert configuration.agent.labels == {"group": "web.dev", "version": "1.10", "enabled": "no"}
    assert configuration.nats.server.auth.users[0].password == "123"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("debug: maybe", "debug: is 'maybe'; write true or false"),
        ("debug: [1]", "debug: is a list; write one value"),
        ("controller: {api: {port: 65536}}", "port: is '65536'; write a whole number, at least 0 and at most 65535"),
        ("controller: {nats: {port: 0}}", "port: is '0'; write a whole number, at least 1 and at most 65535"),
        ("agent: {max_jobs: 0x10}", "agent.max_jobs: is '0x10'; write a whole number, "),
        ("agent: {max_jobs: 010}", "agent.max_jobs: is '010'; write a whole number, "),
        ("agent: {max_jobs: " + "9" * 5000 + "}", "agent.max_jobs: is '99999"),
        ("agent: {conditions: {high_load_multiplier: 0}}", "is '0'; write a number, more than 0 and at most 1000"),
        ("agent: {conditions: {high_load_multiplier: nan}}", "is 'nan'; write a number, "),
        ("agent: {conditions: {high_load_multiplier: 1e999}}", "is '1e999'; write a number, "),
        ("nats: {kv: {ttl: 7d}}", "nats.kv.ttl: is '7d'; write a duration such as 30s, 1h30m or 720h, at least 1s"),
        ("nats: {kv: {ttl: 10}}", "nats.kv.ttl: is '10'; write a duration"),
        ("nats: {kv: {ttl: 0s}}", "nats.kv.ttl: is '0s'; write a duration such as 30s, 1h30m or 720h, at least 1s"),
        ("nats: {kv: {storage: disk}}", "nats.kv.storage: is 'disk'; write 'file' or 'memory'"),
        ("nats: {kv: {bucket: ''}}", "nats.kv.bucket: is ''; write at least one character"),
        ("nats: {kv: {replicas: 6}}", "nats.kv.replicas: is '6'; "),
        ("nats: {kv: 5}", "nats.kv: is a single value; write the keys bucket, response_bucket, "),
        ("nats: {kv: {tttl: 5}}", "nats.kv.tttl: is an unknown key; did you mean nats.kv.ttl?"),
        ("nats: {qwerty: 5}", "nats.qwerty: is an unknown key; known here are server, stream, kv, "),
        ("controller: {api: {nats: {}}}", "is an unknown key; did you mean controller.nats or agent.nats?"),
        ("agent: {consumer: {back_off: [1s, 2]}}", "agent.consumer.back_off[1]: is '2'; write a duration"),
        ("agent: {consumer: {back_off: {a: b}}}", "agent.consumer.back_off: is a mapping; write a list"),
        ("agent: {labels: [a]}", "agent.labels: is a list; write `name: value` for each"),
        ("agent: {labels: {a: {b: c}}}", "agent.labels.a: is a mapping; write one value"),
        ("nats: {server: {auth: {users: [{username: a}]}}}", "nats.server.auth.users[0]: has no password; give it"),
        ("- a\n- b", "osapi.yaml:1: holds no keys; "),
        ("just text", "osapi.yaml:1: holds no keys; "),
        # --- what one key demands of another
        ("controller: {api: {security: {signing_key: short}}}", "signing_key: is 5 bytes long; use at least 32"),
        ("controller: {api: {security: {roles: {a: {permissions: [x]}}}}}", "roles.a: 'x': is not a permission; "),
        ("controller: {client: {url: 'localhost:8080'}}", "controller.client.url: is 'localhost:8080'; write http"),
        (
            "controller: {notifications: {notifier: webhook}}",
            "notifications.url: is not given, and the notifier is",
        ),
        ("controller: {notifications: {url: 'ftp://secret'}}", "notifications.url: is no URL of a webhook; write http"),
        (
            "controller: {notifications: {url: 'http://secret:port'}}",
            "notifications.url: is no URL of a webhook; write http",
        ),
        ("controller: {nats: {auth: {type: user_pass, username: a}}}", "osapi.yaml:1: controller.nats.auth.password: "),
        ("controller: {nats: {auth: {type: creds}}}", "creds_file: is not given, and controller.nats.auth.type is cre"),
        ("agent: {nats: {auth: {type: nkey}}}", "agent.nats.auth.nkey_file: is not given"),
        ("agent: {nats: {namespace: a.b}}", "agent.nats.namespace: is 'a.b'; write letters, digits, - and _"),
        ("agent: {hostname: _any}", "agent.hostname: '_any': starts with `_`, which is reserved; "),
        ("agent: {labels: {group: web..dev}}", "agent.labels: 'group:web..dev': "),
        ("nats: {server: {auth: {type: nkey}}}", "nats.server.auth.nkeys: is not given"),
        (
            "nats: {server: {auth: {users: [{username: a, password: b}, {username: a, password: c}]}}}",
            "nats.server.auth.users: has 'a' twice; give each user once",
        ),
        ("nats: {stream: {subjects: 'x.>'}}", "nats.stream.subjects: is 'x.>'; write jobs.>, or leave it out"),
        ("nats: {kv: {bucket: 'a b'}}", "nats.kv.bucket: is 'a b'; write letters, digits, - and _"),
        ("nats: {kv: {bucket: agent-state}}", "nats.state.bucket: is 'agent-state' as nats.kv.bucket is; "),
    ],
)
def test_a_wrong_value_is_told_with_its_place_and_what_would_be_right(files: Files, text: str, told: str) -> None:
    problems = files.problems(text)

    assert len(problems) == 1
    assert problems[0].startswith("osapi.yaml:1: ") or "default" in problems[0]
    assert told in problems[0]
    assert "\n" not in problems[0]


def test_all_problems_are_told_at_once_each_with_its_line(files: Files) -> None:
    text = "debug: maybe\nagent:\n  max_jobs: many\n  max_job: 3\ntelemetry: {tracing: {exporter: x}}\ndebug: true\n"

    assert [problem.split(": ")[:2] for problem in files.problems(text, OSAPI_NATS_KV_TTL="x")] == [
        ["osapi.yaml:6", "debug"],
        ["osapi.yaml:1", "debug"],
        ["$OSAPI_NATS_KV_TTL", "nats.kv.ttl"],
        ["osapi.yaml:4", "agent.max_job"],
        ["osapi.yaml:3", "agent.max_jobs"],
        ["osapi.yaml:5", "telemetry.tracing.exporter"],
    ]


def test_of_very_many_problems_the_first_are_told_and_the_number_of_the_others(files: Files) -> None:
    problems = files.problems("".join(f"k{number}: 1\n" for number in range(1000)))

    assert len(problems) == 51
    assert problems[-1] == "there are 950 problems more; correct these first"


def test_no_secret_is_told_even_in_the_wrong_place(files: Files) -> None:
    text = """
controller: {api: {security: {signing_key: hunter2}}, nats: {auth: {password: hunter2}}}
agent: {nats: {auth: hunter2}}
nats: {server: {auth: {users: [hunter2], token: [hunter2]}}}
"""
    assert not any("hunter2" in problem for problem in files.problems(text))


# --- The file -------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there(files: Files) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(str(files.folder / "none.yaml"), {})
    assert files.short(str(caught.value.exceptions[0])) == (
        "none.yaml: cannot be read: No such file or directory; name a readable YAML file"
    )


def test_a_folder_is_no_file(files: Files) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(str(files.folder), {})
    assert "cannot be read: Is a directory" in str(caught.value.exceptions[0])


def test_a_file_that_is_too_large(files: Files) -> None:
    assert files.problems(b"#" * (MAX_BYTES + 1)) == ["osapi.yaml: is too large; write at most 1048576 bytes"]
    assert files.load(b"#" * MAX_BYTES).warnings == []


def test_a_file_that_is_not_text(files: Files) -> None:
    assert files.problems(b"a: \xff") == ["osapi.yaml: cannot be read: it is not UTF-8; name a readable YAML file"]


def test_aliases_that_stand_for_very_much_are_refused_at_once(files: Files) -> None:
    permissions = ", ".join(["node:read"] * 10_000)
    roles = ", ".join(f"r{number}: *r" for number in range(10_000))
    text = f"controller: {{api: {{security: {{roles: {{r: &r {{permissions: [{permissions}]}}, {roles}}}}}}}}}"

    assert "is more than 20000 values; write less" in files.problems(text)[0]


def test_the_file_is_the_one_that_is_named_else_the_users_else_none(tmp_path: Path) -> None:
    mine = tmp_path / "osapi" / "osapi.yaml"
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "HOME": "/nowhere"}
    assert find("", environ) is None
    mine.parent.mkdir()
    mine.touch()
    assert find("", environ) == mine
    assert find("", {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "relative"}) is None
    assert find("", environ | {"OSAPI_CONFIG": "/b"}) == Path("/b")
    assert find("/a", environ | {"OSAPI_CONFIG": "/b"}) == Path("/a")
    (tmp_path / ".config").mkdir()
    mine.parent.rename(tmp_path / ".config" / "osapi")
    assert find("", {"HOME": str(tmp_path)}) == tmp_path / ".config" / "osapi" / "osapi.yaml"


# --- What is accepted, and said -------------------------------------------------------------------------------

GO = """
controller: {ui: {enabled: true}, api: {security: {signing_key: KEY}}, notifications: {renotify_interval: ''}}
nats:
  server: {store_dir: .nats/jetstream/, metrics: {enabled: true, host: 0.0.0.0, port: 9092}}
  stream: {name: JOBS, subjects: jobs.>, max_age: 24h}
  kv: {ttl: 1h}
  registry: {bucket: agent-registry, ttl: 30s, storage: file, replicas: 1}
  objects: {bucket: file-objects, max_bytes: 10737418240, more: [1, {a: b}]}
  file_state: {bucket: file-state}
  enrollment: {bucket: enrollment}
agent: {hostname: "", labels: {group: web.dev.us-east}}
"""


def test_a_file_of_the_go_system_is_taken_with_one_line_for_each_key_that_is_not_used(files: Files) -> None:
    warnings = [files.short(warning) for warning in files.load(GO.replace("KEY", KEY)).warnings]

    assert sorted(warnings) == [
        "osapi.yaml:10: nats.enrollment is not used; it may be removed",
        "osapi.yaml:2: controller.ui is not used; it may be removed",
        "osapi.yaml:4: nats.server.metrics is not used; it may be removed",
        "osapi.yaml:5: nats.stream.max_age is 24h, but nats.kv.ttl ends a job after 1h; 1h is used",
        "osapi.yaml:8: nats.objects is not used; it may be removed",
        "osapi.yaml:9: nats.file_state is not used; it may be removed",
    ]


@pytest.mark.parametrize(
    ("text", "used", "warned"),
    [
        ("stream: {max_age: 1h}, kv: {ttl: 1h}", 3600, []),
        ("kv: {ttl: 30m}", 1800, []),
        ("kv: {ttl: 48h}", 86400, ["nats.kv.ttl is 48h, but nats.stream.max_age ends a job after 24h; 24h is used"]),
        ("stream: {max_age: 30m}", 1800, []),
        ("stream: {max_age: 2h}", 3600, ["nats.stream.max_age is 2h, but nats.kv.ttl ends a job after 1h; 1h is used"]),
    ],
)
def test_notifications_and_jobs_have_one_lifetime_the_shorter(
    files: Files, text: str, used: float, warned: list[str]
) -> None:
    loaded = files.load(f"nats: {{{text}}}")

    assert loaded.configuration.nats.stream.max_age == loaded.configuration.nats.kv.ttl == used
    assert [warning.partition(": ")[2] for warning in loaded.warnings] == warned


def test_what_has_no_default_is_required_only_by_who_needs_it(files: Files) -> None:
    require(files.load(GO.replace("KEY", KEY)), "controller.api.security.signing_key")
    with pytest.raises(ConfigurationError) as caught:
        require(files.load("debug: true"), "controller.api.security.signing_key")
    assert files.short(str(caught.value.exceptions[0])) == (
        "osapi.yaml: controller.api.security.signing_key: is required and not given; set it there, or "
        "$OSAPI_CONTROLLER_API_SECURITY_SIGNING_KEY, or $OSAPI_CONTROLLER_API_SECURITY_SIGNING_KEY_FILE"
    )


# --- What is shown ----------------------------------------------------------------------------------------------


def test_what_is_shown_can_be_loaded_again(files: Files) -> None:
    shown = plain(files.load(GO.replace("KEY", KEY)).configuration, secrets=True)
    again = files.load(as_yaml(shown))

    assert again.warnings == []
    assert plain(again.configuration, secrets=True) == shown
    assert set(again.given) == set(KEYS)


def test_secrets_are_shown_as_stars(files: Files) -> None:
    users = "nats: {server: {auth: {users: [{username: alice, password: hunter2}]}}}"
    shown = as_yaml(
        plain(files.load(GO.replace("KEY", KEY).replace("nats:", "x:").split("x:")[0] + users).configuration)
    )

    assert KEY not in shown
    assert "hunter2" not in shown
    assert "alice" in shown
    assert "signing_key: '***'" in shown
    assert "bearer_token: ''" in shown
