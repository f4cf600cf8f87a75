"""`osapi config` as a process: what is on stdout, what on stderr, and the status."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.configurations import KEY
from tests.cli.program import osapi, python

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, text: str) -> str:
    file = folder / "osapi.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_show_prints_every_key_as_it_is_used(tmp_path: Path) -> None:
    file = written(tmp_path, f"controller: {{api: {{security: {{signing_key: {KEY}}}}}}}\nnats: {{kv: {{ttl: 30m}}}}\n")
    ended = osapi("config", "show", "-f", file, OSAPI_AGENT_MAX_JOBS="3")

    assert (ended.status, ended.err) == (0, "")
    assert "signing_key: '***'" in ended.out
    assert KEY not in ended.out
    assert "    ttl: 30m\n" in ended.out
    assert "  max_jobs: 3\n" in ended.out


def test_show_prints_json_for_programs(tmp_path: Path) -> None:
    ended = osapi("-j", "-f", written(tmp_path, ""), "config", "show")

    assert (ended.status, ended.err) == (0, "")
    assert json.loads(ended.out)["nats"]["kv"]["ttl"] == "1h"


def test_the_flag_wins_over_the_variable(tmp_path: Path) -> None:
    ended = osapi("config", "show", "--json", "-f", written(tmp_path, "debug: true"), OSAPI_CONFIG="/nope")

    assert json.loads(ended.out)["debug"] is True


def test_check_says_that_it_can_be_used(tmp_path: Path) -> None:
    file = written(tmp_path, "debug: true")

    assert osapi("config", "check", OSAPI_CONFIG=file) == (0, f"{file}: can be used.\n", "")
    without = osapi("config", "check", OSAPI_CONFIG="", XDG_CONFIG_HOME=str(tmp_path / "none"))
    assert without == (0, "There is no file; the defaults, and the variables, can be used.\n", "")
    assert json.loads(osapi("config", "check", "-j", "-f", file).out) == {"file": file, "warnings": []}


def test_check_warns_on_stderr(tmp_path: Path) -> None:
    file = written(tmp_path, "controller: {ui: {enabled: true}}")
    ended = osapi("config", "check", "-f", file)

    assert ended.status == 0
    assert ended.err == f"osapi: warning: {file}:1: controller.ui is not used; it may be removed\n"


@pytest.mark.parametrize("command", [("config", "check"), ("config", "show"), ("nats", "server", "start")])
def test_every_problem_is_one_line_of_stderr_and_the_status_78(tmp_path: Path, command: tuple[str, ...]) -> None:
    file = written(tmp_path, "debug: maybe\nagent: {max_jobs: many\x7f}\nagnet: {}\n")

    ended = osapi(*command, "-f", file)

    assert (ended.status, ended.out) == (78, "")
    assert ended.err.count("\n") == ended.err.count("osapi: ") == 1
    file = written(tmp_path, 'debug: maybe\nagent: {max_jobs: "\\e[31m"}\nagnet: {}\n')
    ended = osapi(*command, "-f", file)

    assert (ended.status, ended.out) == (78, "")
    assert ended.err.splitlines() == [
        f"osapi: {file}:3: agnet: is an unknown key; did you mean agent?",
        f"osapi: {file}:1: debug: is 'maybe'; write true or false",
        f"osapi: {file}:2: agent.max_jobs: is '\\x1b[31m'; write a whole number, at least 1 and at most 10000",
    ]


def test_check_for_a_program_asks_for_what_it_requires(tmp_path: Path) -> None:
    file = written(tmp_path, "agent: {max_jobs: 3}")
    ended = osapi("config", "check", "--for", "controller", "-f", file)

    assert (ended.status, ended.out) == (78, "")
    assert ended.err.startswith(f"osapi: {file}: controller.api.security.signing_key: is required and not given; ")
    assert osapi("config", "check", "-f", file).status == 0


def test_a_group_without_a_command_is_wrong_usage() -> None:
    assert osapi("config") == (2, "", "osapi: missing command; see `osapi config --help`\n")


def test_help_does_not_wait_for_yaml() -> None:
    script = "import sys; from osapi_cli.program import run; run(['config', '--help']); print('yaml' in sys.modules)"

    assert python(script).out.splitlines()[-1] == "False"
