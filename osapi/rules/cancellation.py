"""Orders to cancel: whom they are for, and what a new one adds to those that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from osapi.errors import InvalidSettingError, UnknownHostError, shown
from osapi.rules.names import nearest, normalise_hostname

if TYPE_CHECKING:
    from collections.abc import Sequence

    from osapi.rules.records import Definition, Order

MAX_TEXT = 500


def check_text(name: str, text: str) -> str:
    """Return who orders, or why, or refuse it.

    Raises:
        InvalidSettingError

    """
    if len(text) > MAX_TEXT or not text.isprintable():
        raise InvalidSettingError(text, f"cannot be told ({name})", f"use one line of at most {MAX_TEXT} characters")
    return text


def check_hosts(definition: Definition, hosts: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the hosts that an order is for, in order; None for the whole job.

    Raises:
        InvalidNameError, UnknownHostError: a name that is none, or of a host that the job is not for.
        InvalidSettingError: no host at all, or some for a job that is for any one.

    """
    if hosts is None:
        return None
    if definition.expected is None:
        problem = f"cannot be picked out of a job for {definition.target}"
        raise InvalidSettingError(list(hosts), problem, "cancel it as a whole")
    if not hosts:
        raise InvalidSettingError([], "names no host to cancel", "name some, or none for the whole job")
    wanted = sorted({normalise_hostname(host) for host in hosts})
    for host in wanted:
        if host not in definition.expected:
            near = nearest(host, definition.expected)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise UnknownHostError(f"job {definition.id} is not for {shown(host)}{hint}")
    return tuple(wanted)


def order_for(orders: Sequence[Order], slot: str) -> Order | None:
    """Return the first order that cancels a slot."""
    return next((order for order in orders if order.hosts is None or slot in order.hosts), None)


def added(orders: Sequence[Order], order: Order) -> tuple[Order, ...] | None:
    """Return the orders with another one, None if it adds nothing: what is ordered stays ordered, by whom it was."""
    if order.hosts is None:
        return None if any(earlier.hosts is None for earlier in orders) else (*orders, order)
    new = tuple(host for host in order.hosts if order_for(orders, host) is None)
    return (*orders, replace(order, hosts=new)) if new else None


def covered(definition_slots: Sequence[str], order: Order) -> list[str]:
    """Return the slots of a job that an order is for."""
    return [slot for slot in definition_slots if order.hosts is None or slot in order.hosts]
