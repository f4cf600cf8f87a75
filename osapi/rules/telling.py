"""What of a job's timeline somebody has been told, so that it can be told on from there: nothing twice, nothing missed.

Rules:
  1. The events of a slot, without its progress, form a sequence that only grows at its end: how many of them were told
     says which. Of progress, what is later than what was told last is news.
  2. So a mark is two numbers for each slot, whatever process made it. It is exact though records are overwritten, and
     though the events of different hosts arrive in another order than that of their times.
  3. The events of one look are told in the order of their times, those of each slot in that of their sequence. That the
     job was submitted comes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from osapi.rules import gather
from osapi.rules.marks import read_mark, write_mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from osapi.rules.records import Definition, Event, Record


class _News(NamedTuple):
    at: float
    slot: int
    told: int  # so many of the slot's sequence have been told with this
    event: Event


class Telling:
    """Tell of one job; with a mark, go on from there.

    Raises:
        InvalidSettingError: the mark is not one of this job.

    """

    def __init__(self, definition: Definition, mark: str = "") -> None:
        self._definition = definition
        self._slots = gather.slots(definition)
        count = len(self._slots)
        numbers = read_mark(mark, 2 * count) if mark else [0] * 2 * count
        self._told, self._progress = numbers[:count], numbers[count:]
        self._has_begun = bool(mark)
        self._seen: list[Record | None] = [None] * count

    @property
    def mark(self) -> str:
        """Return the mark of what has been told."""
        return write_mark([*self._told, *self._progress])

    def news(self, records: Mapping[str, Record]) -> Iterator[Event]:
        """Yield what has not been told; an event counts as told as soon as it is yielded."""
        if not self._has_begun:
            self._has_begun = True
            yield from gather.timeline(self._definition, ())
        news: list[_News] = []
        for slot, name in enumerate(self._slots):
            record = records.get(name)
            if record is not None and record is not self._seen[slot]:
                self._seen[slot] = record
                news += self._news_of(slot, record)
        news.sort(key=lambda each: each.at)
        for _, slot, told, event in news:
            self._told[slot] = told
            if event.event == gather.PROGRESS:
                self._progress[slot] = _stamp(event)
            yield event

    def _news_of(self, slot: int, record: Record) -> Iterator[_News]:
        number, at = 0, 0.0
        for event in gather.record_events(record):
            is_progress = event.event == gather.PROGRESS
            number += not is_progress
            # Attempts by different hosts may go by different clocks.
            at = max(at, event.at)
            if _stamp(event) > self._progress[slot] if is_progress else number > self._told[slot]:
                yield _News(at, slot, max(number, self._told[slot]), event)


def _stamp(event: Event) -> int:
    return int(event.at * 1e6)
