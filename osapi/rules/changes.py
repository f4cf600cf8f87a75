"""What there is to tell of jobs and agents as it happens, and from where on somebody has not been told yet."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from msgspec import Struct

from osapi.errors import InvalidSettingError
from osapi.rules.records import AgentState, JobStatus

_POSITION = re.compile(r"([0-9a-f]{16})-([0-9]{1,18})-([0-9]{1,18})-([0-9]{1,18})")


class JobChange(Struct, frozen=True, kw_only=True):
    """A job has a status that it had not before; `at` is when, in Unix seconds, as whoever wrote it tells."""

    job_id: str
    status: JobStatus
    operation: str
    target: str
    at: float


class AgentChange(Struct, frozen=True, kw_only=True):
    """An agent came, changed its state, or went: the last state of one that went is told with `NotReady`."""

    hostname: str
    state: AgentState
    status: Literal["Ready", "NotReady"]


class Position(NamedTuple):
    """How far somebody has been told.

    `number` counts what was told in one process, whose mark is `epoch`. For any other, `jobs` and `records` are the
    revisions of the two buckets up to which all was told.
    """

    epoch: str
    number: int
    jobs: int
    records: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.number}-{self.jobs}-{self.records}"


def parse_position(text: str) -> Position:
    """Read a position back.

    Raises:
        InvalidSettingError

    """
    match = _POSITION.fullmatch(text)
    if match is None:
        raise InvalidSettingError(text, "is no position among the changes", "give one that was told, or none")
    epoch, number, jobs, records = match.groups()
    return Position(epoch, int(number), int(jobs), int(records))
