"""What `osapi client run` does: any operation by its name, as the server's own description has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from osapi.errors import shown
from osapi.rules.names import nearest
from osapi_cli import exits, output
from osapi_cli.client.description import as_object, operations
from osapi_cli.client.given import read_data
from osapi_cli.client.http import part
from osapi_cli.client.tables import Results, Row, View, compact, pretty, status_of
from osapi_cli.client.waiting import ask_hosts, submit
from osapi_cli.output import Code, Heading, Paragraph, Table
from osapi_cli.problems import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from osapi_cli.client.description import Operation
    from osapi_cli.group import Flags
from osapi_cli.output import Block

_MAX_COLUMNS: Final = 8
_TAKEN: Final = frozenset({"HOSTNAME", "STATUS", "ERROR"})
_MAX_CELL: Final = 100  # characters of a list or object that are still read in one cell


class AnyRow(Row, frozen=True, kw_only=True):
    """What one host answered to whatever it was asked."""

    data: Any = None


def run(flags: Flags, operation: str, target: str, data: str | None, *, detach: bool) -> int:
    """Run an operation on hosts."""
    body = None if data is None else read_data(data)
    path = f"/operation/{part(target)}/{part(operation)}"
    try:
        if detach:
            return submit(flags, "POST", path, body)
        answer = ask_hosts(flags, "POST", path, body=body, of=target)
    except RefusedError as error:
        raise _unknown(flags, operation, error) from error
    results = answer.read(Results)
    output.present(answer.body, _document(results), as_json=flags.json)
    return status_of(results)


def _document(results: Results) -> Iterator[Block]:
    """Yield the answers as one table, or below it by themselves if some would make a cell that nobody reads."""
    told = [row for row in results.results if row.get("data") is not None]
    if not any(_long(value) for row in told for value in (as_object(row["data"]) or {"": row["data"]}).values()):
        yield from _view(results).document(results)
        return
    yield from View(AnyRow, ("CHANGED",), lambda row: [(_yes(row),)]).document(results)
    for row in told:
        yield Heading(f"Result of {row['hostname']}")
        yield Code(pretty(row["data"]))


def _long(value: Any) -> bool:
    return isinstance(value, list | dict) and len(compact(value)) > _MAX_CELL


def _unknown(flags: Flags, operation: str, error: RefusedError) -> RefusedError:
    """Return what to say of a refusal: what the operation takes, or which there are that are like it."""
    if error.kind.endswith(":invalid-payload"):
        told = f"{error}; `osapi client run --list {operation}` shows what that is"
        return RefusedError(told, error.status, error.kind)
    if error.status != exits.FAILED:
        return error
    known = [each.name for each in operations(flags)]
    if operation in known:
        return error
    near = nearest(operation, known)
    hint = f"did you mean {' or '.join(near)}?" if near else "`osapi client run --list` shows those that there are"
    return RefusedError(f"the server has no operation {shown(operation)}; {hint}", exits.USAGE)


def _view(results: Results) -> View[AnyRow]:
    """Return columns for the fields of the results, if they are few and plain; else one for all."""
    names = list(dict.fromkeys(name for row in results.results for name in _fields(row.get("data"))))
    objects = all(isinstance(row["data"], dict) for row in results.results if row.get("data") is not None)
    if not objects or not 0 < len(names) <= _MAX_COLUMNS:
        return View(AnyRow, ("CHANGED", "RESULT"), lambda row: [(_yes(row), compact(row.data))])
    return View(
        AnyRow,
        ("CHANGED", *map(_column, names)),
        lambda row: [(_yes(row), *(_cell(row.data, name) for name in names))],
    )


def _column(name: str) -> str:
    # Beside the host that answered may stand the hostname that it answered.
    return f"RESULT {name.upper()}" if name.upper() in _TAKEN else name.upper()


def _fields(data: Any) -> Sequence[str]:
    return [name for name in as_object(data) if name != "changed"]


def _cell(data: Any, name: str) -> str:
    value = as_object(data).get(name)
    return "" if value is None else compact(value)


def _yes(row: AnyRow) -> str:
    return "yes" if row.changed else "no"


# --- What there is -------------------------------------------------------------------------------------------


def describe(flags: Flags, name: str | None) -> int:
    """Show all operations, or what one of them takes."""
    known = operations(flags)
    if name is None:
        return _list(flags, known)
    found = next((each for each in known if each.name == name), None)
    if found is None:
        raise _unknown(flags, name, RefusedError("", exits.FAILED))
    output.present(found, _one(found), as_json=flags.json)
    return exits.OK


def _list(flags: Flags, known: Sequence[Operation]) -> int:
    rows = [(each.name, each.permission, each.summary) for each in known]
    table = Table(columns=("OPERATION", "PERMISSION", "WHAT IT DOES"), rows=rows)
    output.present({"operations": known}, [table], as_json=flags.json)
    return exits.OK


def _one(operation: Operation) -> Iterator[Block]:
    yield Heading(operation.name)
    yield Paragraph(operation.summary)
    yield Paragraph(f"Needs the permission {operation.permission}.")
    if operation.schema is None:
        yield Paragraph("Takes no data.")
    else:
        yield Heading("Data, as JSON Schema")
        yield Code(pretty(operation.schema))
