"""The page on the command line tells what the program tells."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

_DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_what_the_help_says() -> None:
    script = runpy.run_path(str(_DOCS / "cli_reference.py"))
    render = cast("Callable[[], str]", script["render"])
    told = (_DOCS / "reference" / "cli.md").read_text(encoding="utf-8").partition(str(script["MARK"]))[2]

    assert told == render(), "the page is out of date: python docs/cli_reference.py"
