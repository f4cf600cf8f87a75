"""Every test that `docs/explanation/promises.md` names exists, and every promise has one on each backend."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/explanation/promises.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[a-z_/]+\.py)(?:::([a-z_0-9]+))?`")


def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


def test_every_test_that_is_named_exists() -> None:
    named = set(NAMED.findall(PAGE))
    assert len(named) > 30
    for path, name in sorted(named):
        found = functions_of(path)
        assert found, path
        assert not name or name in found, f"{path}::{name}"


def test_every_promise_has_tests_on_both_backends() -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if re.match(r"\| \d+\.", line)]
    assert [row[0].partition(".")[0] for row in rows] == [str(number) for number in range(1, 11)]
    for _, _, memory, nats in rows:
        assert any(not path.startswith("tests/nats") or "differential" in path for path, _ in NAMED.findall(memory))
        assert any(path.startswith(("tests/nats", "tests/promises")) for path, _ in NAMED.findall(nats))
