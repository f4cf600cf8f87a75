"""Measure how long it takes to find the agents that match a selector, against a look at every agent.

    python -m benchmarks.selectors [--quick] [--json]

A fleet of agents with a label of four segments, a hostname that says the same and six facts is put into the index;
then selectors of several kinds are matched, the first of each kind before its tables are there, which the index makes
when they are first needed. Every answer is compared with that of the naive scan. Everything is drawn from fixed seeds.
Read ratios: absolute figures differ between machines.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import tracemalloc
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.label_matching import draw_labels, in_three_digits, machine
from osapi.rules.fleet_index import FleetIndex
from osapi.rules.selectors import Selector, parse_selector, selector_matches

if TYPE_CHECKING:
    from collections.abc import Callable

    from osapi.rules.facts import FlatFacts

SIZES = (1_000, 10_000, 100_000, 1_000_000)
QUICK_SIZES = SIZES[:2]
ROUNDS = 7
ARCHITECTURES = ("amd64",) * 9 + ("arm64",)
KERNELS = ("6.1.0", "6.6.1", "6.12.0")


class Agent(NamedTuple):
    """What a structure is told of one agent."""

    labels: dict[str, str]
    facts: FlatFacts


# --- The work ----------------------------------------------------------------------------------------------


def draw_agent(source: random.Random, agents: int, number: int) -> tuple[str, Agent]:
    labels = draw_labels(source, agents)
    role, _, region, rack = labels["group"].split(".")
    host = f"{role}-{number:07}.{rack}.{region}.example.com"
    facts: FlatFacts = {
        "arch": source.choice(ARCHITECTURES),
        "kernel": source.choice(KERNELS),
        "cpu_count": str(2 ** source.randint(1, 6)),
        "fqdn": host,
        "interface.primary": "eth0",
        "interfaces.name": ("eth0", "lo"),
    }
    return host, Agent(labels, facts)


def draw_fleet(agents: int) -> dict[str, Agent]:
    source = random.Random(agents)
    return dict(draw_agent(source, agents, number) for number in range(agents))


def kinds(fleet: dict[str, Agent]) -> dict[str, Selector]:
    """Return a selector of each kind around one agent in the middle of the fleet."""
    host = list(fleet)[len(fleet) // 2]
    group = fleet[host].labels["group"]
    stage = ".".join(group.split(".")[:2])
    texts = {
        "label and label's exception": f"group:{stage},!group:{group}",
        "rack and fact": f"group:{group},fact.arch:arm64",
        "fact that one host has": f"fact.fqdn:{host},!fact.arch:none",
        "two wide facts": "fact.arch:arm64,fact.kernel:6.1.0",
        "glob with a beginning": f"host:{host.partition('.')[0][:-1]}*,fact.arch:amd64",
        "glob with an end": f"host:*{host[host.index('-') + 1 :]}",
        "glob in the middle, rack": f"host:*-??????5.*,group:{group}",
        "glob in the middle alone": "host:*-??????5.*",
        "exception alone": f"!group:{stage}",
    }
    return {kind: parse_selector(text) for kind, text in texts.items()}


# --- The measurement ---------------------------------------------------------------------------------------


class Row(NamedTuple):
    """The figures of one kind of selector at one size; times in microseconds."""

    kind: str
    agents: int
    hits: int
    first_us: float
    index_us: float
    scan_us: float
    ratio: float


class Build(NamedTuple):
    """What it costs to have the index: beside the names, labels and facts put in, and with what selectors add."""

    agents: int
    build_ms: float
    bytes_per_agent: float
    bytes_per_agent_asked: float
    update_us: float


def filled(fleet: dict[str, Agent]) -> FleetIndex:
    index = FleetIndex()
    for host, agent in fleet.items():
        index.set(host, agent.labels)
        index.set_facts(host, agent.facts)
    return index


def scan(fleet: dict[str, Agent], selector: Selector) -> set[str]:
    return {host for host, agent in fleet.items() if selector_matches(selector, host, agent.labels, agent.facts)}


def timed(work: Callable[[], object]) -> float:
    start = perf_counter_ns()
    work()
    return (perf_counter_ns() - start) / 1e3


def measure(kind: str, selector: Selector, index: FleetIndex, fleet: dict[str, Agent]) -> Row:
    first = timed(lambda: index.match(selector))
    found = index.match(selector)
    assert found == scan(fleet, selector)
    quick = median(timed(lambda: index.match(selector)) for _ in range(ROUNDS))
    slow = median(timed(lambda: scan(fleet, selector)) for _ in range(ROUNDS if len(fleet) < 100_000 else 1))
    return Row(kind, len(fleet), len(found), first, quick, slow, slow / quick)


def measure_build(fleet: dict[str, Agent]) -> Build:
    build_ms = timed(lambda: filled(fleet)) / 1e3
    tracemalloc.start()
    index = filled(fleet)
    before, _ = tracemalloc.get_traced_memory()
    for selector in kinds(fleet).values():
        index.match(selector)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    updates = [
        timed(lambda host=host, facts={**agent.facts, "kernel": "6.13.0"}: index.set_facts(host, facts))  # type: ignore[misc]
        for (host, agent), _ in zip(fleet.items(), range(200), strict=False)
    ]
    return Build(len(fleet), build_ms, before / len(fleet), after / len(fleet), median(updates))


def measure_all(sizes: tuple[int, ...]) -> tuple[list[Row], list[Build]]:
    rows: list[Row] = []
    builds: list[Build] = []
    for agents in sizes:
        fleet = draw_fleet(agents)
        gc.collect()
        gc.disable()
        builds.append(measure_build(fleet))
        index = filled(fleet)
        rows.extend(measure(kind, selector, index, fleet) for kind, selector in kinds(fleet).items())
        gc.enable()
        del index
    return rows, builds


# --- The report --------------------------------------------------------------------------------------------


def print_tables(rows: list[Row], builds: list[Build]) -> None:
    print(machine())
    for build in builds:
        print(f"\n{build.agents:,} agents: built in {in_three_digits(build.build_ms)} ms, ", end="")
        print(
            f"{build.bytes_per_agent:,.0f} B/agent, {build.bytes_per_agent_asked:,.0f} with all that was asked for, ",
            end="",
        )
        print(f"other facts in {in_three_digits(build.update_us)} us")
        print(f"{'':30}{'hits':>10}{'first us':>12}{'index us':>12}{'scan us':>12}{'scan/index':>12}")
        for row in rows:
            if row.agents == build.agents:
                figures = "".join(f"{in_three_digits(f):>12}" for f in row[3:])
                print(f"{row.kind:30}{row.hits:>10,}{figures}")
    print("\nfirst: the first selector of its kind, which may have to sort names or index a fact.")


def main() -> None:
    options = argparse.ArgumentParser(prog="selectors", description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--quick", action="store_true", help="1,000 and 10,000 agents only")
    options.add_argument("--json", action="store_true", help="print JSON instead of tables")
    chosen = options.parse_args()
    rows, builds = measure_all(QUICK_SIZES if chosen.quick else SIZES)
    if chosen.json:
        told = {"machine": machine(), "builds": [b._asdict() for b in builds], "rows": [r._asdict() for r in rows]}
        print(json.dumps(told, indent=2))
    else:
        print_tables(rows, builds)


if __name__ == "__main__":
    main()
