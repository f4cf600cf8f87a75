"""Requests: what a caller asks for, before it is a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Raw, Struct

from osapi.errors import InvalidSettingError
from osapi.rules.idempotency import check_key
from osapi.rules.records import Kind, Policy
from osapi.rules.retry import check_policy, check_timeout

if TYPE_CHECKING:
    from osapi.rules.records import Definition


class Request(Struct, frozen=True, kw_only=True):
    """What a caller asks for, its operation known and its data encoded; durations in seconds.

    With `hosts` it is frozen already, as a batch of a `rollout` is.
    """

    operation: str
    kind: Kind
    data: Raw
    target: str
    within: float | None = None
    start_within: float | None = None
    delay: float | None = None
    timeout: float | None = None
    policy: Policy | None = None
    key: str | None = None
    retry_of: str | None = None
    rollout: str | None = None
    hosts: tuple[str, ...] | None = None


def check_request(request: Request, *, usual: float, kept: float) -> float:
    """Return how long a job may take, or refuse what could not be submitted, whoever is there.

    That is `usual` if the request does not say; a job is `kept` so many seconds.

    Raises:
        InvalidSettingError

    """
    within = usual if request.within is None else _check_seconds("within", request.within, kept)
    if request.start_within is not None:
        _check_seconds("start_within", request.start_within, within)
    if request.delay is not None:
        _check_delay(request.delay, within, kept)
    if request.policy is not None:
        check_policy(request.policy)
    if request.timeout is not None:
        check_timeout(request.timeout)
    if request.key is not None:
        check_key(request.key)
    return within


def _check_seconds(name: str, seconds: float, most: float) -> float:
    if not 0.0 < seconds <= most:
        raise InvalidSettingError(
            seconds, f"is no time that a job can take ({name})", f"use more than 0, at most {most:g}"
        )
    return seconds


def _check_delay(seconds: float, within: float, kept: float) -> None:
    if not 0.0 <= seconds <= kept - within:
        raise InvalidSettingError(
            seconds,
            f"is no delay of a job that may take {within:g} s (within) and is kept for {kept:g} s (job_ttl)",
            f"use 0 to {kept - within:g}, or a schedule, which may lie further ahead",
        )


def again(old: Definition, target: str | None, kept: float, key: str | None) -> Request:
    """Return the request for another job like this one, for its own target unless another is given.

    A batch of a rollout goes to its own hosts again, and not to all that the target matches.
    """
    is_part = old.rollout is not None and target is None
    begun = old.created if old.due is None else old.due
    within = min(old.finish_by - begun, kept)
    return Request(
        operation=old.operation,
        kind=old.kind,
        data=old.data,
        target=target or old.target,
        within=within,
        start_within=None if old.start_by is None else min(old.start_by - begun, within),
        timeout=old.timeout,
        policy=old.policy,
        key=key,
        retry_of=old.id,
        rollout=old.rollout if is_part else None,
        hosts=old.expected if is_part else None,
    )
