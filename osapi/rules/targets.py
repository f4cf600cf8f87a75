"""Targets: whom a job is for.

    target   = "_any" | "_all" | host | label

`_any` gives the job to exactly one agent, `_all` to every one, a host to that one, and a label to all that match
it. Names that start with `_` are reserved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from osapi.errors import InvalidLabelError, InvalidNameError, InvalidTargetError
from osapi.rules.labels import Label, parse_label
from osapi.rules.names import normalise_hostname, require_text

if TYPE_CHECKING:
    from osapi.rules.label_index import LabelIndex

Route = Literal["any", "all", "host", "label"]

_FORM = "write `_any`, `_all`, a hostname or `key:value`"


class Target(msgspec.Struct, frozen=True):
    """Say whom a job is for; made by `parse_target`, printed in its normal form by `str`."""

    route: Route
    host: str = ""
    label: Label | None = None

    @property
    def address(self) -> str:
        """The label's text or the host; empty for `_any` and `_all`."""
        return self.label.text if self.label else self.host

    def __str__(self) -> str:
        return self.address or f"_{self.route}"


ANY = Target("any")
ALL = Target("all")
_RESERVED = {"_any": ANY, "_all": ALL}


def parse_target(text: str) -> Target:
    """Read a target; a hostname is put in lower case.

    Raises:
        InvalidTargetError: for anything else whatsoever, whatever its type

    """
    name = require_text(text, InvalidTargetError, _FORM)
    if name in _RESERVED:
        return _RESERVED[name]
    if problem := _problem(name):
        raise InvalidTargetError(name, problem, _FORM)
    try:
        return Target("label", label=parse_label(name)) if ":" in name else Target("host", normalise_hostname(name))
    except (InvalidLabelError, InvalidNameError) as error:
        raise InvalidTargetError(name, error.problem, f"{error.remedy}; or {_FORM}") from None


def _problem(name: str) -> str:
    if name.startswith("_any@"):
        return "one agent of a group cannot be asked for in this version"
    if name.startswith("_"):
        return "names that start with `_` are reserved, and this is none of them"
    if "," in name or "!" in name:
        return "selectors, with `,` and `!`, cannot be used in this version"
    return ""


def resolve(target: Target, index: LabelIndex) -> tuple[str, ...] | None:
    """Freeze the hosts that a job is for, sorted; None for `_any`, whose host is not known before it is claimed.

    A host is returned whether or not the index holds it: the caller decides what an unknown one means. Costs a sort
    of the answer.
    """
    if target.label:
        return tuple(sorted(index.match(target.label)))
    if target.host:
        return (target.host,)
    return tuple(sorted(index.hosts)) if target.route == "all" else None
