"""The answers of hosts, as tables: HOSTNAME, STATUS, what the operation has, and why not where it is not ok."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import msgspec

from osapi_cli import exits
from osapi_cli.client.http import read
from osapi_cli.output import Paragraph, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from osapi_cli.output import Block

_OUTCOMES: Final = ("ok", "failed", "skipped")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What one host answered; what an operation gives besides is missing where the host is not `ok`."""

    hostname: str
    status: str
    changed: bool = False
    error: str = ""


R = TypeVar("R", bound=Row)


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """The answers to one job; the rows are as many kinds as there are operations."""

    job_id: str
    results: list[dict[str, Any]]


class View(Generic[R]):
    """How the answers to an operation look: its columns, and the lines of one host that is ok."""

    def __init__(
        self,
        row: type[R],
        columns: Sequence[str],
        lines: Callable[[R], Iterable[Sequence[str]]],
        *,
        right: Iterable[str] = (),
    ) -> None:
        self.row = row
        self.columns = tuple(columns)
        self.lines = lines
        self.right = frozenset(right)

    def rows(self, results: Results) -> list[R]:
        """Return the answers as what they are.

        Raises:
            RefusedError: the server's answer is nothing of the kind.

        """
        return [read(result, self.row) for result in results.results]

    def document(self, results: Results) -> Iterator[Block]:
        """Yield the table and the line that counts the hosts."""
        rows = self.rows(results)
        told = any(row.error for row in rows)
        yield Table(
            columns=("HOSTNAME", "STATUS", *self.columns, *(["ERROR"] if told else [])),
            right=self.right,
            grouped=2,
            rows=[
                (row.hostname, row.status, *line, *([row.error] if told else []))
                for row in rows
                for line in self._lines(row)
            ],
        )
        yield Paragraph(summary([row.status for row in rows]))

    def _lines(self, row: R) -> Iterable[Sequence[str]]:
        # A host that has nothing to show is there all the same.
        shown = list(self.lines(row)) if row.status == "ok" else []
        return shown or [[""] * len(self.columns)]


def summary(statuses: Sequence[str]) -> str:
    """Return the line that counts hosts: `3 hosts: 2 ok, 1 failed, 0 skipped`."""
    counts = Counter(statuses)
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in _OUTCOMES)
    return f"{len(statuses)} host{'' if len(statuses) == 1 else 's'}: {told}"


def status_of(results: Results) -> int:
    """Return the exit status for these answers."""
    well = all(result.get("status") in {"ok", "skipped"} for result in results.results)
    return exits.OK if well else exits.FAILED


def pretty(value: Any) -> str:
    """Return a JSON value as people read it: text line by line as it is, without tricks on the terminal."""
    text = value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return "\n".join(exits.printable(line.expandtabs()) for line in text.rstrip("\n").split("\n"))


def compact(value: Any) -> str:
    """Return a JSON value on one line."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
