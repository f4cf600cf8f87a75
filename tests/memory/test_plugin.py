"""The pytest plugin where pytest-trio is missing or broken; tests/plugin has its fixtures at work."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from osapi_memory import pytest_plugin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MISSING = """
raise ModuleNotFoundError("No module named 'pytest_trio'", name="pytest_trio")
"""

TESTS = """
def test_operations(osapi_operations):
    assert list(osapi_operations) == []

def test_broker(osapi_broker):
    pass
"""


def test_without_pytest_trio_only_the_fixtures_that_need_it_fail_and_say_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "pytest_trio.py").write_text(MISSING)  # python -m looks here first
    (tmp_path / "test_mine.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:trio", "-p", "no:cacheprovider", "test_mine.py"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert "osapi_broker needs pytest-trio: pip install pytest-trio" in ran.stdout
    assert "1 passed, 1 error" in ran.stdout


def test_an_import_that_fails_inside_of_pytest_trio_is_not_taken_for_its_absence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(name: str) -> None:
        raise ModuleNotFoundError("No module named 'outcome'", name="outcome")

    async def fixture() -> AsyncIterator[None]:
        yield

    monkeypatch.setattr(pytest_plugin, "import_module", fail)
    with pytest.raises(ModuleNotFoundError, match="outcome"):
        pytest_plugin._trio_fixture(fixture)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]
