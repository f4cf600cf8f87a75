"""Data that a command is given: JSON on the command line, in a file, or on stdin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click
import msgspec

_MAX_DATA: Final = 16 * 1024 * 1024  # more than any server takes


def read_data(given: str) -> msgspec.Raw:
    """Return JSON as it is; `@FILE` reads it from there, `-` from stdin.

    Raises:
        BadParameter: it is none.
        OSError: the file cannot be read.

    """
    text = _text(given)
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise click.BadParameter(f"it is not JSON: {error}", param_hint="--data") from error
    return msgspec.Raw(text)


def _text(given: str) -> bytes:
    if given == "-":
        return sys.stdin.buffer.read(_MAX_DATA)
    if given.startswith("@"):
        with Path(given[1:]).open("rb") as file:
            return file.read(_MAX_DATA)
    return given.encode(errors="surrogateescape")
