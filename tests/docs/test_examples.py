"""Every example of the documentation runs, and its diagram and tables show what the code holds."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

import osapi
from osapi.rules.lifecycle import MOVES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _pages() -> list[Path]:
    pages = sorted((_ROOT / "docs").rglob("*.md"))
    return [_ROOT / "README.md", *(page for page in pages if "_build" not in page.parts)]


def _examples() -> Iterator[tuple[str, str]]:
    for page in _pages():
        for number, block in enumerate(_BLOCK.findall(page.read_text(encoding="utf-8")), 1):
            yield f"{page.relative_to(_ROOT)}:{number}", str(block)


_EXAMPLES = dict(_examples())


@pytest.mark.parametrize("name", _EXAMPLES)
def test_an_example_runs(name: str) -> None:
    source = _EXAMPLES[name]
    code = compile(source, name, "exec", dont_inherit=True)
    if not source.startswith("# not executed\n"):
        exec(code, {"__name__": "example"})  # noqa: S102 - our own documentation


def test_there_are_examples() -> None:
    assert len(_EXAMPLES) >= 5


def test_the_example_program_goes_through_the_life_of_jobs(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(_ROOT / "docs" / "examples" / "fleet.py"), run_name="__main__")
    told = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert told == {
        "retried": "retryable (1/3), then completed in attempt 2",
        "cancelled": told["cancelled"],
        "expired": "expired: its time was over while it ran",
        "once": "one job",
        "waited for": "completed",
        "told": "50%: unpacking; 2.1 unpacked on web-01",
        "dead": "TransientError: the mail server does not answer; replayed as a job of its own",
        "scheduled": "3 jobs in half an hour",
        "selected": "web-01, web-02",
        "rolled out": "halted by web-02, resumed, and completed on web-01, web-02, web-03",
    }
    assert re.fullmatch(r"cancelled by alice after [34]\.\d s of attempt 1: seen enough", told["cancelled"])


def test_the_diagram_shows_every_move_and_no_other() -> None:
    draw = cast("Callable[[], str]", runpy.run_path(str(_ROOT / "docs" / "lifecycle_diagram.py"))["draw"])
    shown = re.findall(r"<g><title>(.*?)</title>", draw())
    assert sorted(shown) == sorted(f"{before}: {move}: {after}" for (before, move), after in MOVES.items())


def test_the_table_of_settings_is_complete() -> None:
    page = (_ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)` \| `(.*?)` \|", page, re.MULTILINE)
    settings = osapi.Settings()
    assert told == [(name, repr(getattr(settings, name))) for name in settings.__struct_fields__]
