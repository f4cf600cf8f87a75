"""Targets: whom a job is for.

    target = "_any" | "_all" | host | label | "_any@" label | selector

`_any` gives the job to exactly one agent, `_all` to every one, a host to that one, and a label to all that match
it. `_any@` and a label give it to exactly one of those that match; a selector (see `selectors`) to all that meet its
requirements. Names that start with `_` are reserved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from osapi.errors import InvalidLabelError, InvalidNameError, InvalidTargetError
from osapi.rules.labels import Label, parse_label
from osapi.rules.names import normalise_hostname, require_text
from osapi.rules.selectors import Selector, is_selector, parse_selector

if TYPE_CHECKING:
    from osapi.rules.fleet_index import FleetIndex

# The ways by which notifications travel, as their subjects name them.
Route = Literal["any", "all", "host", "label", "any-label"]

_FORM = "write `_any`, `_all`, a hostname or `key:value`, or `_any@key:value`, or a selector such as a:b,!host:db-*"
_ONE_OF = "_any@"


class Target(msgspec.Struct, frozen=True):
    """Say whom a job is for; made by `parse_target`, printed in its normal form by `str`.

    A selector has no route of its own: who meets it is told host by host, or all are.
    """

    route: Route | Literal["selector"]
    host: str = ""
    label: Label | None = None
    selector: Selector | None = None

    @property
    def address(self) -> str:
        """The label's text or the host; empty for `_any`, `_all` and selectors."""
        return self.label.text if self.label else self.host

    @property
    def one(self) -> bool:
        """Tell whether exactly one agent gets the job, whichever claims it."""
        return self.route in ("any", "any-label")

    def __str__(self) -> str:
        if self.selector:
            return str(self.selector)
        if self.route == "any-label":
            return f"{_ONE_OF}{self.label}"
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
    if name.startswith("_") and not name.startswith(_ONE_OF):
        raise InvalidTargetError(name, "names that start with `_` are reserved, and this is none of them", _FORM)
    try:
        return _parsed(name)
    except (InvalidLabelError, InvalidNameError) as error:
        raise InvalidTargetError(name, error.problem, f"{error.remedy}; or {_FORM}") from None


def _parsed(name: str) -> Target:
    if name.startswith(_ONE_OF):
        wanted = name.removeprefix(_ONE_OF)
        if is_selector(wanted):
            raise InvalidTargetError(name, "asks for one of those that meet a selector", "write _any@ and one label")
        return Target("any-label", label=parse_label(wanted))
    if is_selector(name):
        return Target("selector", selector=parse_selector(name))
    if ":" in name:
        return Target("label", label=parse_label(name))
    return Target("host", normalise_hostname(name))


def routes(
    target: Target, expected: tuple[str, ...] | None, agents: int, *, is_part: bool = False
) -> list[tuple[Route, str]]:
    """Return by which routes and addresses a job is told, `expected` being whom it was frozen for.

    The hosts of a selector, and those that are only a part of whom the target matches, are told one by one, unless they
    are most of the `agents`: then all are told, and who is not expected drops it. A needless telling costs an agent
    three messages (the notification, a look at the definition, the answer), a telling of its own costs the client two
    (the publish, its receipt).
    """
    if target.route != "selector" and not is_part:
        return [(target.route, target.address)]
    hosts = expected or ()
    if 5 * len(hosts) > 3 * agents:
        return [("all", "")]
    return [("host", host) for host in hosts]


def asked_of(target: str) -> str:
    """Return the label that an agent needs to take a job for one of N, empty where any agent may.

    Takes the text of such a target as a definition holds it, in its normal form.
    """
    return target[len(_ONE_OF) :] if target.startswith(_ONE_OF) else ""


def resolve(target: Target, fleet: FleetIndex) -> tuple[str, ...] | None:
    """Freeze the hosts that a job is for, sorted; None for one of N, whose host is not known before it is claimed.

    A host is returned whether or not the index holds it: the caller decides what an unknown one means. Costs a sort
    of the answer.
    """
    if target.one:
        return None
    if target.label:
        return tuple(sorted(fleet.labels.match(target.label)))
    if target.selector:
        return tuple(sorted(fleet.match(target.selector)))
    return (target.host,) if target.host else tuple(sorted(fleet.labels.hosts))
