"""Schedules: which jobs one has to make when, and what becomes of each due time.

All functions are pure: they take the record and the time, and return the record to be written.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from math import floor, isfinite
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from osapi.errors import InvalidNameError, InvalidSettingError, PayloadTooLargeError
from osapi.rules.cron import next_time, parse_cron
from osapi.rules.schedule_records import Fired, Pending, Schedule, Timing

if TYPE_CHECKING:
    from datetime import tzinfo

    from osapi.rules.schedule_records import Outcome

MAX_NAME: Final = 100
MAX_DATA: Final = 256 * 1024
MIN_EVERY: Final = 1.0
MAX_SECONDS: Final = 366 * 86_400.0
# An hour: who is away for a while, as for an upgrade, catches up with what was due at night.
CATCH_UP: Final = 3600.0
MAX_CATCH_UP: Final = 7 * 86_400.0

# The year 9000: beyond, the clock on the wall has no date any more in some zone.
MAX_AT: Final = 221_845_392_000.0

MAX_REASON: Final = 500

# What is told of the past: the newest of what became of due times.
KEPT: Final = 20
# Due times that are counted one by one: half a second of work, a week of minutes.
_COUNTED: Final = 10_000

_NAME = re.compile(rf"[A-Za-z0-9](?:[A-Za-z0-9._-]{{0,{MAX_NAME - 2}}}[A-Za-z0-9])?")


# --- What is refused ---------------------------------------------------------------------------------------


def check_name(name: str) -> str:
    """Return the name of a schedule, or refuse what is none.

    Raises:
        InvalidNameError

    """
    if not _NAME.fullmatch(name):
        remedy = f"write 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`, first and last a letter or digit"
        raise InvalidNameError(name, "is not the name of a schedule", remedy)
    return name


def check_timing(timing: Timing) -> Timing:
    """Return when a schedule is due, or refuse it; whether there is such a time zone is not looked at.

    Raises:
        InvalidSettingError

    """
    given = [name for name in ("at", "every", "cron") if getattr(timing, name) is not None]
    if len(given) != 1:
        problem = "cannot go together" if given else "does not say when a schedule is due"
        raise InvalidSettingError(" and ".join(given) or "nothing", problem, "give one of at, every and cron")
    if timing.cron is not None:
        parse_cron(timing.cron)
    elif timing.time_zone != "UTC":
        raise InvalidSettingError(timing.time_zone, "is of no use without cron (time_zone)", "leave it out")
    if timing.every is not None:
        _within("every", timing.every, MIN_EVERY, MAX_SECONDS)
    if timing.at is not None and not (isfinite(timing.at) and 0.0 <= timing.at <= MAX_AT):
        remedy = f"use Unix seconds from 0 to {MAX_AT:.0f}, the year 9000"
        raise InvalidSettingError(_written(timing.at), "is out of range for at", remedy)
    return timing


def check_options(schedule: Schedule) -> Schedule:
    """Return a schedule, or refuse what it says besides its name and its timing.

    Raises:
        InvalidSettingError, PayloadTooLargeError

    """
    _within("catch_up", schedule.catch_up, 1.0, MAX_CATCH_UP)
    if schedule.overlap not in ("skip", "allow"):
        raise InvalidSettingError(schedule.overlap, "is no overlap", "use 'skip' or 'allow'")
    size = len(bytes(schedule.work.data))
    if size > MAX_DATA:
        raise PayloadTooLargeError(f"the data of schedule {schedule.name}", size, MAX_DATA)
    return schedule


def _within(name: str, value: float, low: float, high: float) -> None:
    if not (isfinite(value) and low <= value <= high):
        raise InvalidSettingError(value, f"is out of range for {name}", f"use {low:g} to {high:g}")


# --- When it is due ----------------------------------------------------------------------------------------


def next_due(schedule: Schedule, zone: tzinfo, after: float) -> float | None:
    """Return the first due time after a moment, None if there is none; paused or not."""
    timing = schedule.timing
    if timing.at is not None:
        return timing.at if timing.at > after else None
    if timing.cron is not None:
        return next_time(parse_cron(timing.cron), zone, after)
    return _next_multiple(schedule.anchor, timing.every or MAX_SECONDS, after)


def _next_multiple(anchor: float, every: float, after: float) -> float:
    # Counted from the anchor each time, so that no error adds up, and everybody finds the same moments.
    steps = max(1, floor((after - anchor) / every))
    while anchor + steps * every <= after:
        steps += 1
    return anchor + steps * every


def coming(schedule: Schedule, zone: tzinfo, count: int) -> tuple[float, ...]:
    """Return the next due times, at most so many; none while it is paused or when it is over."""
    found: list[float] = []
    due = schedule.next
    while due is not None and len(found) < count:
        found.append(due)
        due = next_due(schedule, zone, due)
    return tuple(found)


# --- What becomes of it ------------------------------------------------------------------------------------


def begin(schedule: Schedule, zone: tzinfo, now: float, before: Schedule | None) -> Schedule:
    """Return a schedule that was given anew, in the place of one that had its name.

    What became of that stays, and so do its intervals and next due time if it was due at the same times: who states a
    schedule each time a program starts puts nothing off. One that is paused stays paused.

    Raises:
        InvalidSettingError: its only due time has passed.

    """
    if before is None:
        return _waiting(schedule, zone, now)
    kept = replace(
        before,
        work=schedule.work,
        timing=schedule.timing,
        catch_up=schedule.catch_up,
        overlap=schedule.overlap,
        by=schedule.by,
        changed=now,
    )
    if kept.timing == before.timing:
        return kept
    anew = replace(kept, anchor=now, next=None)
    return anew if anew.paused else _waiting(anew, zone, now)


def _waiting(schedule: Schedule, zone: tzinfo, now: float) -> Schedule:
    due = next_due(schedule, zone, now)
    if due is not None:
        return replace(schedule, next=due)
    if schedule.timing.at is not None:
        raise InvalidSettingError(_written(schedule.timing.at), "has passed", "give a moment that is to come")
    raise InvalidSettingError(schedule.timing.cron, "never comes", "give days that there are")


def _written(moment: float) -> str:
    """Return a moment (Unix seconds) as people write it, as the number that it is where no calendar has it."""
    try:
        return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return f"{moment:g}"


def pause(schedule: Schedule, now: float) -> Schedule:
    """Return a schedule that is due no more until it is resumed; what is pending is still submitted."""
    return replace(schedule, paused=True, next=None, changed=now)


def resume(schedule: Schedule, zone: tzinfo, now: float) -> Schedule:
    """Return a schedule that is due again from now on; what it would have been meanwhile is not made up for."""
    resumed = replace(schedule, paused=False, changed=now, next=next_due(schedule, zone, now))
    at = schedule.timing.at
    if resumed.next is None and at is not None and all(firing.due != at for firing in schedule.firings):
        return _ended(resumed, Fired(due=at, at=now, outcome="missed", reason="it was paused"))
    return resumed


def decide(schedule: Schedule, zone: tzinfo, now: float, running: str) -> Schedule:
    """Return a schedule whose `next` has come, with what becomes of every due time until now.

    The newest is to be submitted if it is not older than `catch_up`, and all before it, or all, are missed. With the
    overlap "skip" it is skipped while `running`, the id of a job of this schedule, has not ended.
    """
    first = now if schedule.next is None else schedule.next
    newest = _newest(schedule, zone, first, now)
    following = next_due(schedule, zone, now)
    after = replace(schedule, next=following)
    if newest is None or newest > first:
        before = newest or following
        count = _count(schedule, zone, first, before)
        late = f"nobody submitted it within {schedule.catch_up:g} s (catch_up)"
        reason = late if newest is None else "a later one was due already"
        after = _ended(after, Fired(due=first, at=now, outcome="missed", reason=reason, before=before, count=count))
    if newest is None:
        return after
    if running and schedule.overlap == "skip":
        reason = f"job {running} had not ended"
        return _ended(after, Fired(due=newest, at=now, outcome="skipped", reason=reason))
    key = f"schedule {schedule.name} {schedule.series} {newest:.3f}"
    return replace(after, pending=Pending(due=newest, at=now, key=key))


def _newest(schedule: Schedule, zone: tzinfo, first: float, now: float) -> float | None:
    """Return the newest due time until now that is not too old, None if there is none."""
    oldest = now - schedule.catch_up
    if schedule.timing.every is not None:
        steps = max(1, floor((now - schedule.anchor) / schedule.timing.every))
        # One step more or less, where the division was rounded.
        near = (schedule.anchor + step * schedule.timing.every for step in (steps + 1, steps, steps - 1))
        return next((due for due in near if max(first, oldest) <= due <= now), None)
    newest: float | None = first if first >= oldest else None
    due = first if newest else next_due(schedule, zone, max(first, oldest - 1e-3))
    while due is not None and due <= now:
        newest = due
        due = next_due(schedule, zone, due)
    return newest


def _count(schedule: Schedule, zone: tzinfo, first: float, before: float | None) -> int:
    """Count the due times from the first on, until before another."""
    if schedule.timing.every is not None and before is not None:
        return round((before - first) / schedule.timing.every)
    count = 0
    due: float | None = first
    while due is not None and (before is None or due < before) and count < _COUNTED:
        count += 1
        due = next_due(schedule, zone, due)
    return count


def carried_out(schedule: Schedule, pending: Pending, now: float, *, job: str = "", reason: str = "") -> Schedule:
    """Return a schedule whose pending due time has become a job, or could not."""
    outcome: Outcome = "submitted" if job else "refused"
    done = replace(schedule, pending=None, job=job or schedule.job)
    return _ended(done, Fired(due=pending.due, at=now, outcome=outcome, job=job, reason=reason[:MAX_REASON]))


def forsaken(schedule: Schedule, pending: Pending, now: float) -> Schedule:
    """Return a schedule whose pending due time was left for so long that nobody can tell what became of it."""
    reason = "the process that submitted it ended, and nobody can tell any more whether there was a job"
    return _ended(replace(schedule, pending=None), Fired(due=pending.due, at=now, outcome="missed", reason=reason))


def _ended(schedule: Schedule, firing: Fired) -> Schedule:
    counted = {firing.outcome: getattr(schedule, firing.outcome) + firing.count}
    return replace(schedule, firings=(*schedule.firings, firing)[-KEPT:], **counted)
