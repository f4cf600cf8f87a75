"""The page on the configuration says what the schema holds, and its examples can be used."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from osapi_cli.configuration import Configuration
from osapi_cli.configuration.keys import KEYS
from osapi_cli.configuration.schema import UNUSED
from osapi_cli.configuration.showing import plain

if TYPE_CHECKING:
    from tests.cli.configurations import Files

_DOCS = Path(__file__).parents[2] / "docs"
_PAGE = (_DOCS / "reference" / "configuration.md").read_text(encoding="utf-8")
_HOWTO = (_DOCS / "howto" / "run-a-nats-server.md").read_text(encoding="utf-8")
_EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", _PAGE + _HOWTO, re.MULTILINE | re.DOTALL)


def told(value: Any) -> str:
    return value if value and isinstance(value, str) else json.dumps(value)


def test_the_table_is_complete_and_tells_the_defaults() -> None:
    defaults = plain(Configuration())

    def default(path: str) -> str:
        value = defaults
        for name in path.split("."):
            value = value[name]
        return told(value)

    rows = re.findall(r"^\| `([a-z_.]+)` \| `(.*?)` \| .+ \|$", _PAGE, re.MULTILINE)
    assert rows == [(path, default(path)) for path in KEYS]


def test_what_is_a_secret_is_called_one() -> None:
    secret = set(re.findall(r"^\| `([a-z_.]+)` \| .* A secret \|$", _PAGE, re.MULTILINE))

    assert secret == {path for path, key in KEYS.items() if key.secret}


def test_what_is_not_used_is_named() -> None:
    assert all(f"`{path}`" in _PAGE for path in UNUSED)


@pytest.mark.parametrize("example", _EXAMPLES)
def test_an_example_can_be_used(files: Files, example: str) -> None:
    passwords = {"OSAPI_CONTROLLER_NATS_AUTH_PASSWORD": "hunter2"}

    assert files.load(example, **passwords).warnings == []
