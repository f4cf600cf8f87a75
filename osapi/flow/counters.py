"""What an agent has done since it started."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from osapi.rules.records import SlotStatus


@dataclass(slots=True)
class Counters:
    """Counts of one agent.

    `slots` counts the records it wrote that ended an attempt, by status. `late` counts notifications of jobs
    that were gone, `lost` the attempts whose lease ended before their handler did, `unreadable` the jobs whose
    stored records could not be read, `refused` those that nobody it trusts has signed.
    """

    slots: Counter[SlotStatus] = field(default_factory=Counter[SlotStatus])
    late: int = 0
    lost: int = 0
    unreadable: int = 0
    refused: int = 0

    def ended(self, status: SlotStatus) -> None:
        """Count a record that ended an attempt."""
        self.slots[status] += 1
