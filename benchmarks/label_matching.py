"""Measure the label index against other ways of finding the agents that match a label.

    python -m benchmarks.label_matching [--quick] [--json]

A fleet of agents with one label of four segments each, 5 to 50 of them alike, is put into every structure; then
labels of every depth are looked up, one in ten of them one that nobody has. Everything is drawn from fixed seeds. A
query's time includes the loop around it, about 20 ns. Read ratios: absolute figures differ between machines.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import random
import tracemalloc
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.label_structures import RIVALS, Rival, label_index
from osapi.rules.labels import Label

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.label_structures import Fleet, Hosts, Labels

SIZES = (1_000, 10_000, 100_000, 1_000_000)
QUICK_SIZES = SIZES[:2]
AGENTS_A_RACK = 40
ROLES = ("web", "db", "cache", "queue", "proxy", "batch", "build", "edge")
STAGES = ("dev", "test", "stage", "prod")
REGIONS = ("us-east", "us-west", "eu-north", "eu-south", "asia", "africa")
QUERIES = 1_000
MOVES = 200
ROUNDS = 5

# --- The work ----------------------------------------------------------------------------------------------


class Work(NamedTuple):
    """What every structure is given at one size."""

    fleet: Fleet
    queries: list[Label]
    moves: list[tuple[str, Labels]]


def draw_labels(source: random.Random, agents: int) -> Labels:
    racks = max(1, agents // (AGENTS_A_RACK * len(ROLES) * len(STAGES) * len(REGIONS)))
    parts = (source.choice(ROLES), source.choice(STAGES), source.choice(REGIONS), f"rack-{source.randrange(racks)}")
    return {"group": ".".join(parts)}


def draw_query(source: random.Random, labels: Labels) -> Label:
    segments = labels["group"].split(".")[: source.randint(1, 4)]
    nobody = "-not" if source.random() < 0.1 else ""
    return Label(f"group:{'.'.join(segments)}{nobody}")


def draw_work(agents: int) -> Work:
    source = random.Random(agents)
    fleet = {f"host-{i:07}": draw_labels(source, agents) for i in range(agents)}
    hosts = list(fleet)
    # The widest comes first: it is the one whose hits are listed.
    queries = [draw_query(source, fleet[source.choice(hosts)]) for _ in range(QUERIES - 1)]
    moves = [(host, draw_labels(source, agents)) for host in source.sample(hosts, MOVES)]
    return Work(fleet, [Label(f"group:{ROLES[0]}"), *queries], moves)


# --- The measurement ---------------------------------------------------------------------------------------


class Row(NamedTuple):
    """The figures of one structure at one size."""

    structure: str
    agents: int
    build_ms: float
    bytes_per_agent: float
    query_ns: float
    growth: float
    list_ns_per_hit: float
    move_us: float


def timed(work: Callable[[], object]) -> int:
    start = perf_counter_ns()
    work()
    return perf_counter_ns() - start


def run_all(match: Callable[[Any], Hosts], queries: list[Any]) -> None:
    for query in queries:
        match(query)


def make_moves(rival: Rival, work: Work) -> None:
    for host, labels in work.moves:
        rival.move(host, work.fleet[host], labels)


def measure(name: str, work: Work, hits: list[int], smallest: Row | None) -> Row:
    start = perf_counter_ns()
    rival = RIVALS[name](work.fleet)
    build_ns = perf_counter_ns() - start
    # A scan costs the same whatever is asked, and a thousand of them would take minutes.
    asked = QUERIES if name != "naive scan" else max(2, 100_000 // len(work.fleet))
    queries = [rival.prepare(label) for label in work.queries[:asked]]
    assert [len(rival.match(query)) for query in queries] == hits[:asked]
    query_ns = median(timed(lambda: run_all(rival.match, queries)) for _ in range(ROUNDS)) / asked
    widest = rival.match(queries[0])
    list_ns = median(timed(lambda: rival.listed(widest)) for _ in range(ROUNDS)) / len(widest)
    move_ns = timed(lambda: make_moves(rival, work)) / MOVES
    growth = query_ns / smallest.query_ns if smallest else 1.0
    traced = traced_bytes(name, work.fleet)
    return Row(name, len(work.fleet), build_ns / 1e6, traced, query_ns, growth, list_ns, move_ns / 1e3)


def traced_bytes(name: str, fleet: Fleet) -> float:
    """Return what the structure allocates for each agent, beside the hosts and labels it is given."""
    tracemalloc.start()
    rival = RIVALS[name](fleet)
    allocated, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del rival
    return allocated / len(fleet)


def measure_all(sizes: tuple[int, ...]) -> tuple[list[Row], dict[int, list[int]]]:
    """Return a row for each structure and size, and for each size how many hosts each query hits."""
    rows: list[Row] = []
    hits: dict[int, list[int]] = {}
    smallest: dict[str, Row] = {}
    for agents in sizes:
        work = draw_work(agents)
        reference = label_index(work.fleet)
        hits[agents] = [len(reference.match(label)) for label in work.queries]
        del reference
        for name in RIVALS:
            # Collections during a build cost whoever happens to cross the threshold; timeit disables them too.
            gc.collect()
            gc.disable()
            row = measure(name, work, hits[agents], smallest.get(name))
            gc.enable()
            smallest.setdefault(name, row)
            rows.append(row)
    return rows, hits


# --- The report --------------------------------------------------------------------------------------------


def machine() -> str:
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs"


def in_three_digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def print_tables(rows: list[Row], hits: dict[int, list[int]]) -> None:
    print(machine())
    for agents, counts in hits.items():
        print(f"\n{agents:,} agents; a query hits {median(counts):,.0f} at the median, {max(counts):,} at most")
        print(f"{'':20}{'build ms':>10}{'B/agent':>10}{'ns/query':>13}{'growth':>9}{'list ns/hit':>13}{'move us':>10}")
        for row in rows:
            if row.agents == agents:
                widths = (10, 10, 13, 9, 13, 10)
                figures = "".join(f"{in_three_digits(f):>{w}}" for f, w in zip(row[2:], widths, strict=True))
                print(f"{row.structure:20}{figures}")
    print("\nB/agent: tracemalloc, without the names and labels put in. growth: ns/query against 1,000 agents.")
    print("list: copying out the hosts of the widest query. move: giving one agent other labels.")


def main() -> None:
    options = argparse.ArgumentParser(prog="label_matching", description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--quick", action="store_true", help="1,000 and 10,000 agents only")
    options.add_argument("--json", action="store_true", help="print JSON instead of tables")
    chosen = options.parse_args()
    rows, hits = measure_all(QUICK_SIZES if chosen.quick else SIZES)
    if chosen.json:
        hit = {agents: {"median": median(counts), "max": max(counts)} for agents, counts in hits.items()}
        print(json.dumps({"machine": machine(), "hits": hit, "rows": [row._asdict() for row in rows]}, indent=2))
    else:
        print_tables(rows, hits)


if __name__ == "__main__":
    main()
