"""Alerts: which conditions of a host somebody has been told of, and what is to be told next.

What is true is compared with what was told: it is told once when it turns true, again every so often if that is asked
for, and once more when it clears. So it does not matter what happened in between, who looked, or how often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from osapi.rules.records import Registration
    from osapi.rules.timeline import Timeline

# The condition of an agent that stopped answering; agents tell all others themselves.
NOT_READY: Final = "NotReady"

_SILENT: Final = "its heartbeat stopped"


class Alert(Struct, frozen=True, kw_only=True):
    """A condition that somebody was told is true: since when it is, and when that was told last."""

    type: str
    reason: str
    since: float
    told: float


class Alerts(Struct, frozen=True, kw_only=True):
    """All alerts of one host. Only the controller that has the post writes them."""

    v: int
    hostname: str
    alerts: tuple[Alert, ...] = ()


class Notice(Struct, frozen=True, kw_only=True):
    """What is to be told: that a condition is true, is `still` so, or has cleared; `at` and `since` in Unix seconds."""

    hostname: str
    condition: str
    status: bool
    reason: str
    since: float
    at: float
    still: bool = False


class Seen(NamedTuple):
    """What is true of a host, by type: why, and since when. Of what is not `certain`, nothing is known now."""

    true: Mapping[str, tuple[str, float]]
    certain: bool = True


def seen(registration: Registration | None, timeline: Timeline | None, now: float) -> Seen:
    """Return what is true of a host.

    Of one that is away, only whether it left in order. One that did is not missed, and no condition of it clears.
    """
    if registration is not None:
        conditions = () if registration.vitals is None else registration.vitals.conditions
        return Seen({each.type: (each.reason, each.since) for each in conditions if each.status})
    if timeline is not None and timeline.stopped:
        return Seen({}, certain=False)
    return Seen({NOT_READY: (_SILENT, now)}, certain=False)


def review(
    hostname: str, alerts: Sequence[Alert], now_seen: Seen, at: float, renotify: float
) -> tuple[tuple[Notice, ...], tuple[Alert, ...]]:
    """Return what is to be told of a host, and its alerts once it has been; `renotify` 0 tells nothing twice."""
    notices: list[Notice] = []
    kept: list[Alert] = []
    for alert in alerts:
        if alert.type in now_seen.true:
            reason, _ = now_seen.true[alert.type]
            due = renotify > 0 and at - alert.told >= renotify
            now = replace(alert, reason=reason, told=at) if due else alert
            if due:
                notices.append(_notice(hostname, now, at, still=True))
            kept.append(now)
        elif now_seen.certain or alert.type == NOT_READY:
            notices.append(_notice(hostname, alert, at, status=False))
        else:
            kept.append(alert)
    known = {alert.type for alert in alerts}
    for name, (reason, since) in now_seen.true.items():
        if name not in known:
            fresh = Alert(type=name, reason=reason, since=since, told=at)
            notices.append(_notice(hostname, fresh, at))
            kept.append(fresh)
    return tuple(notices), tuple(kept)


def _notice(hostname: str, alert: Alert, at: float, *, status: bool = True, still: bool = False) -> Notice:
    return Notice(
        hostname=hostname,
        condition=alert.type,
        status=status,
        reason=alert.reason,
        since=alert.since,
        at=at,
        still=still,
    )
