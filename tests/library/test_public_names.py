"""What `import osapi` gives: all that is public, each name from where type checkers see it, and nothing too soon."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import osapi


def homes() -> dict[str, str]:
    """Return where each name is imported from for type checkers."""
    tree = ast.parse(Path(osapi.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    found = {alias.name: str(node.module) for node in imports for alias in node.names}
    return {name: home for name, home in found.items() if home.startswith("osapi.")}


def test_every_public_name_is_what_type_checkers_see() -> None:
    assert sorted(homes()) == sorted(osapi.__all__) == dir(osapi)
    for name, home in homes().items():
        assert getattr(osapi, name) is getattr(import_module(home), name)


def test_what_is_not_public_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'osapi' has no attribute 'Cleint'"):
        osapi.Cleint  # type: ignore[attr-defined]  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def test_nothing_is_imported_before_it_is_used() -> None:
    program = "import sys, osapi; assert not {'trio', 'msgspec', 'osapi.client'} & set(sys.modules); osapi.Client"
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - our own program
