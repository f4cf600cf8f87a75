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
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from osapi_cli.exits import printable, writable
from osapi_cli.human import duration

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
    where all of them repeat the row above; in a pipe every row is complete, since each may be picked by itself. The
    columns in `whole` are never wrapped, on however narrow a terminal: an id is there to be copied. Those in `times`
    hold moments (RFC 3339), of which a terminal shows the age. A terminal on which the columns would be too narrow to
    be read is not shown those in `spare`; if that does not help, it has each row as a list of names and values.
    """

    rows: Sequence[Sequence[str]]
    columns: Sequence[str] = ()
    right: frozenset[str] = frozenset()
    grouped: int = 0
    whole: frozenset[str] = frozenset()
    times: frozenset[str] = frozenset()
    spare: frozenset[str] = frozenset()


Block: TypeAlias = Heading | Paragraph | Code | Table
Document: TypeAlias = "Sequence[Block]"

_INDENT: Final = 2
_GAP: Final = 2
_LEGIBLE: Final = 8  # characters of what it holds that a column shows on a line, if that is so long
_TALLEST: Final = 6  # lines that a cell has at most, as long as a sixth of it is not more than
_WIDEST: Final = 24

# A state is coloured by what it says, in whatever column it stands.
_STATES: Final = {
    "completed": "green",
    "ok": "green",
    "Ready": "green",
    "ready": "green",
    "Draining": "yellow",
    "Cordoned": "yellow",
    "Pending": "yellow",
    "skipped": "yellow",
    "cancelled": "yellow",
    "retryable": "yellow",
    "processing": "cyan",
    "started": "cyan",
    "failed": "bold red",
    "partial_failure": "bold red",
    "expired": "bold red",
    "unreachable": "bold red",
    "NotReady": "bold red",
    "not_ready": "bold red",
    "degraded": "bold red",
    "error": "bold red",
}

_CODES: Final = {"green": "32", "yellow": "33", "cyan": "36", "bold red": "1;31"}


def show(document: Document) -> None:
    """Write a document to stdout, as fits whoever reads it there."""
    if is_terminal():
        _write(for_terminal(document, shutil.get_terminal_size().columns))
    else:
        _write(for_pipe(document))


def present(value: Any, document: Iterable[Block], *, as_json: bool) -> None:
    """Write to stdout what there is to show: a value for programs, or a document of it for people."""
    if as_json:
        show_json(value)
    else:
        show([*document])


def show_json(value: Any) -> None:
    """Write one JSON document to stdout."""
    _write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")


def show_json_line(value: Any) -> None:
    """Write one JSON document on one line to stdout, where a command goes on and on."""
    _write(msgspec.json.encode(value).decode() + "\n")


def show_line(cells: Sequence[tuple[str, int]]) -> None:
    """Write one line to stdout, each cell padded to the width beside it, where a command goes on and on."""
    styled = is_terminal() and not os.environ.get("NO_COLOR")
    _write("  ".join(_cell(printable(text), width, styled=styled) for text, width in cells).rstrip() + "\n")


def _cell(text: str, width: int, *, styled: bool) -> str:
    code = _CODES.get(_STATES.get(text, ""), "") if styled else ""
    return f"\x1b[{code}m{text}\x1b[0m{' ' * (width - len(text))}" if code else text.ljust(width)


def write_raw(text: str, error: str) -> None:
    """Write to stdout and stderr what others have written, as it is."""
    _write(text)
    if error and sys.stderr is not None:
        sys.stderr.write(error)
        sys.stderr.flush()


def is_terminal() -> bool:
    """Tell whether stdout is a terminal that knows more than plain text."""
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}


def log_to_stderr(*, debug: bool) -> None:
    """Send the library's log to stderr: warnings, or with `debug` everything."""
    import logging  # noqa: PLC0415

    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(name)s: %(message)s")


def _write(text: str) -> None:
    if sys.stdout is not None:
        sys.stdout.write(writable(text, sys.stdout))
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
    document = [fitting for block in document for fitting in _fitting(block, width)]
    widest = max((_least(block) for block in document if isinstance(block, Table)), default=0)
    console = Console(
        file=text, force_terminal=True, width=max(width, widest), highlight=False, emoji=False, markup=False
    )
    for gap, block in zip(_gaps(document), document, strict=True):
        text.write(gap)
        match block:
            case Heading(words):
                console.print(printable(words), style="bold", width=width)
            case Paragraph(words):
                console.print(printable(words), style="dim", width=width)
            case Code():
                text.write("\n".join(_plain(block)) + "\n")
            case Table():
                shown = Padding(_rich_table(block), (0, 0, 0, _INDENT), expand=False)
                console.print(shown, width=max(width, _least(block)))
    return text.getvalue()


def _fitting(block: Block, width: int) -> Iterable[Block]:
    """Yield a block as it is, or a table whose columns would be too narrow with fewer, or as one list a row."""
    if not isinstance(block, Table) or not block.columns or _fits(block, width):
        yield block
        return
    if block.spare and _fits(narrower := _without_spare(block), width):
        yield narrower
        return
    for place, row in enumerate(block.rows):
        if place:
            yield Paragraph("")
        cells = [
            (name, _age(cell) if name in block.times else cell) for name, cell in zip(block.columns, row, strict=True)
        ]
        yield Table(rows=[cell for cell in cells if cell[1]], whole=block.whole)


def _fits(table: Table, width: int) -> bool:
    return _INDENT + sum(_legible(table)) - 1 <= width


def _without_spare(table: Table) -> Table:
    kept = [place for place, name in enumerate(table.columns) if name not in table.spare]
    rows = [[row[place] for place in kept] for row in table.rows]
    return msgspec.structs.replace(table, columns=[table.columns[place] for place in kept], rows=rows)


def _legible(table: Table) -> Iterable[int]:
    for name in table.columns:
        longest = _longest(table, name)
        part = longest if name in table.whole else max(min(longest, _LEGIBLE), min(longest // _TALLEST, _WIDEST))
        yield max(len(name), part) + _GAP


def _least(table: Table) -> int:
    # What must not be wrapped has its room also on a terminal narrower than that: its own wrapping does the least harm.
    if table.columns or not table.whole:
        return 0
    names = max((len(printable(row[0])) for row in table.rows), default=0)
    whole = max((len(printable(row[1])) for row in table.rows if row[0] in table.whole), default=0)
    return _INDENT + names + _GAP + whole + _GAP


def _longest(table: Table, name: str) -> int:
    place = table.columns.index(name)
    return max((len(printable(row[place])) for row in table.rows), default=0)


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
        shown.add_column(overflow="fold")
    for name in table.columns:
        least = _longest(table, name) if name in table.whole else None
        align: Literal["left", "right"] = "right" if name in table.right else "left"
        # Rich takes room from the widest column that may be wrapped: not from this one, or it would cut off the last.
        shown.add_column(name, justify=align, overflow="fold", min_width=least, no_wrap=least is not None)
    aged = {place for place, name in enumerate(table.columns) if name in table.times}
    above: Sequence[str] = ()
    for written in table.rows:
        row = [_age(cell) if place in aged else cell for place, cell in enumerate(written)]
        same = table.grouped if above[: table.grouped] == row[: table.grouped] else 0
        cells = ["" if place < same else printable(cell) for place, cell in enumerate(row)]
        shown.add_row(*(Text(cell, style=_STATES.get(cell, "")) for cell in cells))
        above = row
    return shown


def _age(moment: str) -> str:
    from datetime import UTC, datetime  # noqa: PLC0415

    try:
        then = datetime.fromisoformat(moment)
        return duration(max(0.0, (datetime.now(UTC) - then).total_seconds()))
    except (ValueError, TypeError):
        return moment
