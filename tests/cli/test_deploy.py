"""The files that a deployment begins with: their commands exist, their settings can be used, their units are tight."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.cli.program import osapi

if TYPE_CHECKING:
    from tests.cli.configurations import Files

_DEPLOY = Path(__file__).parents[2] / "deploy"
_UNITS = sorted(_DEPLOY.glob("*.service"))


def settings(unit: Path) -> dict[str, str]:
    lines = (line.partition("=") for line in unit.read_text(encoding="utf-8").splitlines() if "=" in line)
    return {name: value for name, _, value in lines if not name.startswith("#")}


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: unit.name)
def test_what_a_unit_starts_exists(unit: Path) -> None:
    program, *arguments = settings(unit)["ExecStart"].split()
    assert program == "/opt/osapi/bin/osapi"
    assert osapi(*arguments, "--help").status == 0


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_known_to_systemd_and_tight(unit: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("needs systemd-analyze; install systemd")
    # The threshold counts in tenths.
    rated = subprocess.run(  # noqa: S603 - found above
        [analyze, "security", "--offline=yes", "--no-pager", "--threshold=20", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    if "offline" in rated.stderr:
        pytest.skip("needs systemd 250 or newer")
    assert rated.returncode == 0, rated.stdout[-200:] + rated.stderr
    assert "Unknown" not in rated.stderr


def test_the_agents_signal_is_for_the_agent_alone() -> None:
    agent = settings(_DEPLOY / "osapi-agent.service")
    assert (agent["KillMode"], agent["Type"], agent["NotifyAccess"]) == ("mixed", "notify", "main")


def test_the_clusters_documents_hold_a_configuration_that_can_be_used(files: Files) -> None:
    documents: list[dict[str, Any]] = list(
        yaml.safe_load_all((_DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))
    )
    configured, deployment = documents
    loaded = files.load(configured["data"]["osapi.yaml"])
    assert loaded.warnings == []
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    controller = loaded.configuration.controller
    assert ports == {"api": controller.api.port, "metrics": controller.metrics.port}
    assert osapi(*container["args"], "--help").status == 0


def test_the_image_starts_a_command_that_there_is() -> None:
    text = (_DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    found = re.search(r"^CMD \[(.*)\]$", text, re.MULTILINE)
    assert found is not None
    assert osapi(*re.findall(r'"(\w+)"', found[1]), "--help").status == 0
    assert "USER 65534" in text
