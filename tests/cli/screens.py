"""The screens of a page of the documentation: what is typed there, and what it is said to show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")
_VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"\b\d+(\.\d)? (s|min|h)( \d+ (s|min))?\b"), "AGE"),
    (re.compile(r"\b\d+\.\d{3}s"), "SECONDS"),
    (re.compile(r"[ ─]+"), " "),
)


def sessions(page: Path) -> list[tuple[str, str]]:
    """Return the commands of a page, each with what it is said to show."""
    text = "".join(_BLOCK.findall(page.read_text(encoding="utf-8")))
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def same(shown: str) -> list[str]:
    """Return what is the same in every run."""
    for varying, name in ((ID, "ID"), *_VARYING):
        shown = varying.sub(name, shown)
    lines = [line.strip() for line in shown.strip().splitlines()]
    # Hosts work at the same time, so that a timeline may have their events in another order.
    return sorted(lines) if "Timeline" in lines else lines
