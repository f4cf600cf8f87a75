"""Whether every job that was taken came to exactly one end, by what is stored and what the handlers did."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from osapi.rules.codec import RECORD
from osapi.rules.gather import slots
from osapi.rules.keys import parse_response_key
from osapi.rules.lifecycle import TERMINAL
from osapi.rules.seals import without_seal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import osapi
    from osapi.rules.records import Record, SlotStatus
    from osapi.transport import Watch
    from tests.soak.log import Line


class Writings:
    """What was written about each slot, as a watch of its own tells it."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[Record]] = {}

    async def follow(self, watch: Watch) -> None:
        """Take down what a watch of all answers tells, for as long as the task runs."""
        while True:
            for entry in await watch.receive():
                if entry.change == "put":
                    _, job, slot = parse_response_key(entry.key)
                    self.records.setdefault((job, slot), []).append(RECORD.decode(without_seal(entry.value)))


async def problems(
    client: osapi.Client, handles: Sequence[osapi.JobHandle], writings: Writings, lines: list[Line]
) -> list[str]:
    """Say what is wrong with a run whose load has ended; `client` is one that was not part of it."""
    return [
        *[found for handle in handles for found in await _of_job(client, handle)],
        *_of_writings(writings, {handle.id for handle in handles}),
        *_of_lines(lines),
    ]


async def _of_job(client: osapi.Client, handle: osapi.JobHandle) -> list[str]:
    records = (await client.get(handle.id)).records
    expected = set(slots(handle.definition))
    if set(records) != expected:
        return [f"job {handle.id} is for {sorted(expected)}, and has records of {sorted(records)}"]
    return [
        f"job {handle.id}, slot {slot}: stored as {record.status}, told as {handle.records[slot].status}"
        for slot, record in records.items()
        if record.status not in TERMINAL or record != handle.records[slot]
    ]


def _of_writings(writings: Writings, taken: set[str]) -> list[str]:
    found: list[str] = []
    for (job, slot), records in writings.records.items():
        ended = [record.status for record in records if record.status in TERMINAL]
        if len(ended) > 1 or ((ended or job in taken) and records[-1].status not in TERMINAL):
            found.append(f"job {job}, slot {slot}: {[str(record.status) for record in records]}")
        leases: dict[int, str] = {}
        for record in records:
            if record.lease and leases.setdefault(record.attempt, record.lease) != record.lease:
                found.append(f"job {job}, slot {slot}: attempt {record.attempt} had two leases")
    return found


def _of_lines(lines: list[Line]) -> list[str]:
    counts = Counter(lines)
    return [f"{line} came {count} times" for line, count in counts.items() if count > 1]


def outcomes(handles: Iterable[osapi.JobHandle]) -> Counter[SlotStatus]:
    """Count how the slots ended."""
    return Counter(record.status for handle in handles for record in handle.records.values())
