"""What is stored of a schedule: what it submits, when, and what became of each due time.

A schedule is one record, written whole by compare-and-set, by clients and by schedulers alike. Of each due time it says
what became of it, and it says so before anything happens: what is to be submitted is `pending` first, so that whoever
comes next, after a crash between any two steps, goes on with the same due time under the same idempotency key.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Raw, Struct

from osapi.rules.records import Kind, Policy

Overlap = Literal["skip", "allow"]
Outcome = Literal["submitted", "skipped", "missed", "refused"]


class Timing(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """When a schedule is due: once `at` Unix seconds, `every` so many seconds, or by `cron` in a time zone."""

    at: float | None = None
    every: float | None = None
    cron: str | None = None
    time_zone: str = "UTC"


class Work(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a schedule submits each time; as the arguments of `Client.submit`."""

    operation: str
    kind: Kind
    data: Raw
    target: str
    within: float | None = None
    start_within: float | None = None
    timeout: float | None = None
    policy: Policy | None = None


class Fired(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What became of a due time; all in Unix seconds.

    `submitted` has the id of its job; `skipped` (the one before had not ended) and `refused` (it could not be
    submitted) have a reason; `missed` stands for `count` due times from `due` on, all of those before `before`. Above
    10,000 they are not counted any more.
    """

    due: float
    at: float
    outcome: Outcome
    job: str = ""
    reason: str = ""
    before: float | None = None
    count: int = 1


class Pending(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A due time whose job is being submitted under an idempotency key; `at` is when that was decided."""

    due: float
    at: float
    key: str


class Schedule(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A schedule as it is stored; times in Unix seconds.

    `next` is when it is due next, None when it is paused or over, and `tick` names the message that will tell of it.
    `anchor` is where intervals count from, `series` tells it from others that had its name. `job` is the newest that it
    submitted, `firings` what became of the newest due times, oldest first; the counts are of all there ever were.
    """

    v: int
    name: str
    work: Work
    timing: Timing
    catch_up: float
    overlap: Overlap
    series: str
    created: float
    changed: float
    anchor: float
    by: str = ""
    paused: bool = False
    next: float | None = None
    tick: str = ""
    pending: Pending | None = None
    job: str = ""
    firings: tuple[Fired, ...] = ()
    submitted: int = 0
    skipped: int = 0
    missed: int = 0
    refused: int = 0
