"""A request's path and body as the payload of an operation, and an operation's results as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from osapi import SlotStatus
from osapi.rules.lifecycle import TERMINAL
from osapi.rules.names import nearest
from osapi_api import shapes
from osapi_api.problems import ProblemError
from osapi_api.views import host_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import osapi
    from osapi.rules.records import Record

_OUTCOME: Final[Mapping[SlotStatus, shapes.Outcome]] = {SlotStatus.COMPLETED: "ok", SlotStatus.SKIPPED: "skipped"}

# What every row has; a result's own field of such a name is moved aside, `hostname` to `own_hostname`.
_ENVELOPE: Final = ("hostname", "status", "error", "changed")


def is_struct(kind: Any) -> bool:
    """Tell whether a type is an object whose fields are known."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def fields_of(kind: Any) -> dict[str, msgspec.structs.FieldInfo]:
    """Return the fields of such a type by their names in JSON."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)} if is_struct(kind) else {}


def payload(operation: osapi.Operation, given: Mapping[str, str], body: bytes | None) -> msgspec.Raw:
    """Return the payload of an operation: the fields that the path gives, and those of the body.

    Raises:
        ProblemError, InvalidPayloadError: it does not fit.

    """
    if not operation.takes_data and (given or body):
        raise ProblemError(400, f"{operation.name} takes no data; send no body")
    if not is_struct(operation.data_type):
        return operation.encode_data(msgspec.Raw(body) if body else None)
    fields = fields_of(operation.data_type)
    values = _object(body)
    _check_known(operation, values, sorted(fields.keys() - given.keys()))
    for name, text in given.items():
        values[name] = _from_path(name, text, fields[name].type)
    return operation.encode_data(values)


def _object(body: bytes | None) -> dict[str, msgspec.Raw]:
    if not body:
        return {}
    try:
        return msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProblemError(400, f"the body cannot be used: {error}; send a JSON object") from None


def _check_known(operation: osapi.Operation, values: Mapping[str, msgspec.Raw], known: list[str]) -> None:
    # An optional field that is mistyped would be ignored in silence.
    for name in values:
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(known) or 'none'}"
            raise ProblemError(400, f"{operation.name} has no field {name[:80]!r} in its body; {hint}")


def _from_path(name: str, text: str, kind: Any) -> msgspec.Raw:
    try:
        return msgspec.Raw(msgspec.json.encode(msgspec.convert(text, kind, strict=False)))
    except (msgspec.ValidationError, ValueError) as error:
        raise ProblemError(400, f"{name} in the path cannot be used: {error}") from None


def row(
    record: Record | None, host: str, waited: float, job_id: str, *, merged: bool, idle: str = ""
) -> dict[str, Any]:
    """Return what one host answered; with `merged` the result's fields are the row's own.

    `idle` says why nobody can have taken the job yet, if that is known.
    """
    if record is None or record.status not in TERMINAL:
        since = f", since {idle}" if idle and record is None else ""
        error = f"no answer within {waited:g} s{since}; it may still come: see job {job_id}"
        return {"hostname": host, "status": "failed", "changed": False, "error": error}
    found: dict[str, Any] = {
        "hostname": host_of(record),
        "status": _OUTCOME.get(record.status, "failed"),
        "changed": record.changed,
    }
    if record.error:
        found["error"] = record.error
    if record.status is not SlotStatus.COMPLETED:
        return found
    if not merged:
        return {**found, "data": record.result}
    try:
        result = msgspec.json.decode(record.result, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        # An agent of another version may answer anything.
        return {**found, "data": record.result}
    return found | {_aside(name): value for name, value in result.items() if name != "changed"}


def _aside(name: str) -> str:
    return f"own_{name}" if name in _ENVELOPE else name


def row_type(operation: osapi.Operation) -> Any:
    """Return the type of such a merged row; the fields of a result are missing from a row that is not ok."""
    name = "".join(part.title() for token in operation.name.split(".") for part in token.split("-"))
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = [
        ("hostname", str),
        ("status", shapes.Outcome),
        ("changed", bool),
        ("error", str | UnsetType, UNSET),
    ]
    renamed: dict[str, str] = {}
    for field in msgspec.structs.fields(operation.result_type):
        if field.encode_name != "changed":
            own = f"own_{field.name}" if field.encode_name in _ENVELOPE else field.name
            renamed[own] = _aside(field.encode_name)
            fields.append((own, field.type | UnsetType, UNSET))
    return msgspec.defstruct(f"{name}Row", fields, kw_only=True, rename=renamed)


def rows_type(operation: osapi.Operation) -> Any:
    """Return the type of the whole answer to an operation."""
    row = row_type(operation)
    return msgspec.defstruct(f"{row.__name__}s", [("job_id", str), ("results", list[row])], kw_only=True)  # type: ignore[valid-type]
