"""What a document looks like: boxes and colour on a terminal, aligned plain text in a pipe, JSON for programs.

A command's view is a document, a list of blocks that say what something is and not how it looks. All output leaves
through `_write`, so that there is one place where it can fail.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from osapi_cli.exits import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType


class Heading(msgspec.Struct, frozen=True):
    """What follows."""

    text: str


class Paragraph(msgspec.Struct, frozen=True):
    """A few words; on a terminal they are wrapped to its width."""

    text: str


class Code(msgspec.Struct, frozen=True):
    """Text to be copied: never wrapped, never decorated."""

    text: str


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Rows under columns, or without `columns` a list of names and what belongs to them.

    The columns in `right` are aligned to the right. On a terminal a cell of the first `grouped` columns is left empty
    where all of them repeat the row above; in a pipe every row is complete, since each may be picked by itself.
    """

    rows: Sequence[Sequence[str]]
    columns: Sequence[str] = ()
    right: frozenset[str] = frozenset()
    grouped: int = 0


Block: TypeAlias = Heading | Paragraph | Code | Table
Document: TypeAlias = "Sequence[Block]"

_INDENT: Final = 2

# A state is coloured by what it says, in whatever column it stands.
_STATES: Final = {
    "completed": "green",
    "ok": "green",
    "Ready": "green",
    "skipped": "yellow",
    "retryable": "yellow",
    "processing": "cyan",
    "started": "cyan",
    "failed": "bold red",
    "partial_failure": "bold red",
    "expired": "bold red",
    "unreachable": "bold red",
}


def show(document: Document) -> None:
    """Write a document to stdout, as fits whoever reads it there."""
    if is_terminal():
        _write(for_terminal(document, shutil.get_terminal_size().columns))
    else:
        _write(for_pipe(document))


def show_json(value: Any) -> None:
    """Write one JSON document to stdout."""
    _write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def is_terminal() -> bool:
    """Tell whether stdout is a terminal that knows more than plain text."""
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}


def log_to_stderr(*, debug: bool) -> None:
    """Send the library's log to stderr: warnings, or with `debug` everything."""
    import logging  # noqa: PLC0415

    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(name)s: %(message)s")


def _write(text: str) -> None:
    if sys.stdout is not None:
        sys.stdout.write(text)
        sys.stdout.flush()


# --- In a pipe ---------------------------------------------------------------------------------------------


def for_pipe(document: Document) -> str:
    """Return a document as plain text: no boxes, no colour, nothing cut or wrapped."""
    blocks = ["\n".join(_plain(block)) for block in document]
    return "".join(f"{gap}{block}\n" for gap, block in zip(_gaps(document), blocks, strict=True))


def _gaps(document: Document) -> Iterable[str]:
    # A blank line sets off each heading with all that belongs to it.
    return ("\n" if place and isinstance(block, Heading) else "" for place, block in enumerate(document))


def _plain(block: Block) -> list[str]:
    match block:
        case Heading(text) | Paragraph(text):
            return [printable(text)]
        case Code(text):
            return [" " * _INDENT + line if line else "" for line in text.split("\n")]
        case Table():
            return _aligned(block)


def _aligned(table: Table) -> list[str]:
    lines = [[printable(cell) for cell in row] for row in ([table.columns] if table.columns else []) + [*table.rows]]
    widths = [max(map(len, column)) for column in zip_longest(*lines, fillvalue="")]
    right = [name in table.right for name in table.columns] or [False] * len(widths)
    return [
        (" " * _INDENT + "  ".join(_pad(*cell) for cell in zip(line, widths, right, strict=True))).rstrip()
        for line in lines
    ]


def _pad(text: str, width: int, right: bool) -> str:  # noqa: FBT001 - a column of an internal table
    return text.rjust(width) if right else text.ljust(width)


# --- On a terminal -----------------------------------------------------------------------------------------


def for_terminal(document: Document, width: int) -> str:
    """Return a document for a terminal of that many columns; `NO_COLOR` is honoured."""
    from io import StringIO  # noqa: PLC0415

    from rich.console import Console  # noqa: PLC0415 - a pipe need not wait for it
    from rich.padding import Padding  # noqa: PLC0415

    text = StringIO()
    console = Console(file=text, force_terminal=True, width=width, highlight=False, emoji=False, markup=False)
    for gap, block in zip(_gaps(document), document, strict=True):
        text.write(gap)
        match block:
            case Heading(words):
                console.print(printable(words), style="bold")
            case Paragraph(words):
                console.print(printable(words), style="dim")
            case Code():
                text.write("\n".join(_plain(block)) + "\n")
            case Table():
                console.print(Padding(_rich_table(block), (0, 0, 0, _INDENT), expand=False))
    return text.getvalue()


def _rich_table(table: Table) -> RenderableType:
    from rich import box  # noqa: PLC0415
    from rich.table import Table as RichTable  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    # A line below the head and nothing else: within 80 columns, boxes around cells would cost two cells.
    if table.columns:
        shown = RichTable(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    else:
        shown = RichTable(box=None, show_header=False, padding=(0, 2, 0, 0))
        shown.add_column(style="cyan", overflow="fold")
    for name in table.columns:
        shown.add_column(name, justify="right" if name in table.right else "left", overflow="fold")
    above: Sequence[str] = ()
    for row in table.rows:
        same = table.grouped if above[: table.grouped] == row[: table.grouped] else 0
        cells = ["" if place < same else printable(cell) for place, cell in enumerate(row)]
        shown.add_row(*(Text(cell, style=_STATES.get(cell, "")) for cell in cells))
        above = row
    return shown
