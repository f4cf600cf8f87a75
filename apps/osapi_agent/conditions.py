"""Conditions: what a host's figures say about it, by thresholds. Nothing is measured here.

    MemoryPressure          physical memory that is used, in percent
    HighLoad                the load over one minute, for each processor
    DiskPressure            the fullest filesystem, in percent of what anybody may fill
    ProcessMemoryPressure   the memory of the agent's own process, in bytes
    ProcessHighCpu          what it uses of one processor, in percent

Each is true from its threshold on. A condition whose figure could not be had stays as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from osapi import Condition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """From when on a host counts as under pressure; 0 switches a condition of the process off."""

    memory_percent: float = 90.0
    load_per_cpu: float = 2.0
    disk_percent: float = 90.0
    process_bytes: int = 0
    process_cpu_percent: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What was measured; None, and no disks at all, is what could not be had. Disks by mount, in percent."""

    memory_percent: float | None = None
    load: float | None = None
    cpus: int = 1
    disks: Mapping[str, float] = field(default_factory=dict[str, float])
    process_bytes: int | None = None
    process_cpu_percent: float | None = None


class _Found(NamedTuple):
    """One condition by its figures; without figures `status` is None."""

    type: str
    status: bool | None = None
    reason: str = ""


def evaluate(
    before: Sequence[Condition], figures: Figures, thresholds: Thresholds, now: float
) -> tuple[Condition, ...]:
    """Return the conditions as they are now; one that is as it was keeps the moment of its last change.

    A reason says the figure and the threshold, and only of what is true: it would be another with every heartbeat.
    """
    known = {condition.type: condition for condition in before}
    kept: list[Condition] = []
    for found in _found(figures, thresholds):
        earlier = known.get(found.type)
        if found.status is None:
            if earlier is not None:
                kept.append(earlier)
            continue
        since = earlier.since if earlier is not None and earlier.status is found.status else now
        reason = found.reason if found.status else ""
        kept.append(Condition(type=found.type, status=found.status, since=since, reason=reason))
    return tuple(kept)


def _found(figures: Figures, thresholds: Thresholds) -> list[_Found]:
    found = [
        _percent("MemoryPressure", "of memory used", figures.memory_percent, thresholds.memory_percent),
        _load(figures, thresholds.load_per_cpu),
        _disks(figures.disks, thresholds.disk_percent),
    ]
    if thresholds.process_bytes:
        found.append(_process_memory(figures.process_bytes, thresholds.process_bytes))
    if thresholds.process_cpu_percent:
        used = figures.process_cpu_percent
        found.append(_percent("ProcessHighCpu", "of a processor", used, thresholds.process_cpu_percent))
    return found


def _percent(name: str, what: str, value: float | None, threshold: float) -> _Found:
    if value is None:
        return _Found(name)
    return _Found(name, value >= threshold, f"{value:.1f} % {what}, at least {threshold:g} %")


def _load(figures: Figures, per_cpu: float) -> _Found:
    if figures.load is None:
        return _Found("HighLoad")
    most = per_cpu * max(1, figures.cpus)
    return _Found(
        "HighLoad", figures.load >= most, f"load {figures.load:.2f}, at least {most:g} on {figures.cpus} cpus"
    )


def _disks(disks: Mapping[str, float], threshold: float) -> _Found:
    if not disks:
        return _Found("DiskPressure")
    fullest, used = max(disks.items(), key=lambda disk: (disk[1], disk[0]))
    return _percent("DiskPressure", f"of {fullest} used", used, threshold)


def _process_memory(used: int | None, threshold: int) -> _Found:
    if used is None:
        return _Found("ProcessMemoryPressure")
    return _Found("ProcessMemoryPressure", used >= threshold, f"{used} bytes, at least {threshold}")
