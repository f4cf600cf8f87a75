"""Whether there is another attempt, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osapi.errors import InvalidSettingError
from osapi.rules import lifecycle

if TYPE_CHECKING:
    from osapi.rules.records import Policy, Record

MAX_ATTEMPTS = 100
MAX_SECONDS = 30 * 86_400.0


def check_policy(policy: Policy) -> Policy:
    """Return a policy, or refuse one that could not be kept.

    Raises:
        InvalidSettingError: naming the field, its value and its bounds.

    """
    check_timeout(policy.timeout)
    _within("attempts", policy.attempts, 1, MAX_ATTEMPTS)
    _within("backoff", policy.backoff, 0.0, MAX_SECONDS)
    _within("factor", policy.factor, 1.0, 100.0)
    _within("max_backoff", policy.max_backoff, 0.0, MAX_SECONDS)
    _within("jitter", policy.jitter, 0.0, 1.0)
    _within("takeovers", policy.takeovers, 0, MAX_ATTEMPTS)
    _within("number of pauses", len(policy.pauses), 0, MAX_ATTEMPTS)
    for pause in policy.pauses:
        _within("pauses", pause, 0.0, MAX_SECONDS)
    return policy


def check_timeout(timeout: float) -> float:
    """Return the seconds that bound one attempt, or refuse them.

    Raises:
        InvalidSettingError

    """
    _within("timeout", timeout, 0.001, MAX_SECONDS)
    return timeout


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InvalidSettingError(value, f"is out of range for the policy's {name}", f"use {low} to {high}")


def delay(policy: Policy, failures: int, draw: float) -> float:
    """Return the seconds to wait after the n-th transient failure; `draw` is random in [0, 1).

    As listed, or exponential and bounded; then varied by up to `jitter` of itself in either direction, so that jobs
    that failed together do not come back together. `factor**n` is cut off before it can overflow.
    """
    if policy.pauses:
        pause = policy.pauses[min(failures, len(policy.pauses)) - 1]
    else:
        pause = min(policy.backoff * policy.factor ** min(failures - 1, 64), policy.max_backoff)
    return pause * (1.0 + policy.jitter * (2.0 * draw - 1.0))


def failures(record: Record) -> int:
    """Count the attempts that ended in a transient error."""
    return sum(attempt.outcome == "retryable" for attempt in record.earlier)


def losses(record: Record) -> int:
    """Count the attempts whose holder fell silent."""
    return sum(attempt.outcome == "lost" for attempt in record.earlier)


def give_back(record: Record, policy: Policy, *, now: float) -> Record:
    """End the running attempt because its agent stops: another may start over, unless the job may run once only."""
    if policy.takeovers:
        return lifecycle.release(record, f"{record.host} stopped", now=now)
    return lifecycle.fail(record, f"{record.host} stopped while it ran; no takeover is left", now=now)


def next_attempt(
    policy: Policy, record: Record, *, now: float, finish_by: float, draw: float, after: float
) -> float | None:
    """Return when to try again after a transient failure, None when this was the last attempt.

    `after` is the least number of seconds the handler asked for. An attempt that could only start when the
    job's time is over is not promised.
    """
    failed = failures(record) + 1
    if failed >= policy.attempts:
        return None
    at = now + max(after, delay(policy, failed, draw))
    return at if at < finish_by else None
