"""What `osapi client node command` does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from osapi_cli import exits, output
from osapi_cli.client.http import part
from osapi_cli.client.tables import Results, Row, View, pretty, status_of, summary
from osapi_cli.client.waiting import ask_hosts, submit
from osapi_cli.output import Code, Heading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from osapi_cli.group import Flags
from osapi_cli.output import Block


class CommandRow(Row, frozen=True, kw_only=True):
    """What a command wrote on one host."""

    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0
    duration_ms: int = 0
    truncated: bool = False


def run(flags: Flags, target: str, kind: str, body: Mapping[str, Any], *, raw: bool, detach: bool) -> int:
    """Run a command on hosts and show what it wrote, for people, as JSON, or as it is."""
    given = {name: value for name, value in body.items() if value is not None}
    if detach:
        return submit(flags, "POST", f"/node/{part(target)}/command/{kind}", given)
    answer = ask_hosts(flags, "POST", f"/node/{part(target)}/command/{kind}", body=given, of=target)
    results = answer.read(Results)
    if flags.json:
        output.show_json(answer.body)
    elif raw:
        return _raw(_VIEW.rows(results))
    else:
        output.show([*_VIEW.document(results), *_outputs(_VIEW.rows(results))])
    return status_of(results)


def _line(row: CommandRow) -> Iterator[Sequence[str]]:
    yield str(row.exit_code), f"{row.duration_ms} ms"


_VIEW: Final = View(CommandRow, ("EXIT", "DURATION"), _line, right=("EXIT", "DURATION"))


def _outputs(rows: Sequence[CommandRow]) -> Iterator[Block]:
    for row in rows:
        for name, text in (("stdout", row.stdout), ("stderr", row.stderr)):
            if text:
                cut = ", its beginning" if row.truncated else ""
                yield Heading(f"{name} of {row.hostname}{cut}")
                yield Code(pretty(text))


def _raw(rows: Sequence[CommandRow]) -> int:
    """Write the outputs as they are; what else there is to say goes to stderr."""
    several = len(rows) > 1
    for row in rows:
        prefix = f"[{row.hostname}] " if several else ""
        output.write_raw(prefixed(row.stdout, prefix), prefixed(row.stderr, prefix))
        if row.status != "ok":
            exits.tell(f"{row.hostname}: {row.status}: {row.error}")
        elif row.truncated:
            exits.tell(f"{row.hostname}: its output was cut, only the beginning is shown")
    if any(row.status != "ok" for row in rows):
        exits.tell(summary([row.status for row in rows]))
    return max((_status(row) for row in rows), default=exits.OK)


def _status(row: CommandRow) -> int:
    if row.status == "ok":
        return row.exit_code
    return exits.OK if row.status == "skipped" else exits.FAILED


def prefixed(text: str, prefix: str) -> str:
    """Return text with a prefix before each line; with one, the last line is ended if it is not."""
    if not prefix:
        return text
    return "".join(f"{prefix}{line}\n" for line in _lines(text))


def _lines(text: str) -> list[str]:
    # Not `splitlines`: to a shell, a line ends with a newline and nothing else.
    lines = text.split("\n")
    return lines[:-1] if not lines[-1] else lines
