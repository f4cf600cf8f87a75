"""Everything that is measured, in one run and one report: `python -m benchmarks [--quick] [--peers] [--json]`.

`python -m benchmarks compare REV_A REV_B` puts two commits side by side. Each module of this package can also be run by
itself. All that is compared is measured in one run, in turn; read ratios, for absolute figures differ between machines.
"""

from __future__ import annotations

import argparse
import json
from statistics import median
from typing import Any

import trio

from benchmarks import broadcast, compare, footprint, label_matching, label_structures, peers, samples, selectors
from benchmarks.dispatch import machine

JOBS, QUICK_JOBS = 20_000, 3_000
ROUNDS, QUICK_ROUNDS = 5, 2
PARTS = ("dispatch", "broadcast", "footprint", "labels")

_EXPLAINED = """client, agent, server: CPU of each process in us a job;
in one process all of it is the client's. A floor sends the same messages and does nothing else. File storage is with
the server's default fsync, every two minutes."""

Rows = dict[str, dict[str, float]]


async def measure_dispatch(jobs: int, rounds: int, rivals: tuple[str, ...]) -> Rows:
    """Return the medians of each sample and peer, and its ratio to its floor, taken round by round."""
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for name, sample in samples.SAMPLES.items():
            found.setdefault(name, []).append(await sample(jobs))
        for rival in rivals:
            found.setdefault(rival, []).append(await trio.to_thread.run_sync(peers.measure, rival, jobs))
    rows = {name: {figure: median(row[figure] for row in rows) for figure in rows[0]} for name, rows in found.items()}
    for name, floor in samples.FLOORS.items():
        pairs = list(zip(found[name], found[floor], strict=True))
        rows[name]["of floor"] = median(ours["jobs/s"] / least["jobs/s"] for ours, least in pairs)
    return rows


def print_dispatch(rows: Rows) -> None:
    columns = {"jobs/s": 9, "of floor": 10, "p50 ms": 9, "p99 ms": 9, "client": 9, "agent": 9, "server": 9}
    print(f"{'dispatch':28}" + "".join(f"{name:>{width}}" for name, width in columns.items()))
    for name, row in rows.items():
        told = (_figure(row.get(column), column) for column in columns)
        print(f"{name:28}" + "".join(f"{text:>{width}}" for text, width in zip(told, columns.values(), strict=True)))
    print(f"\n{samples.OUTSTANDING} outstanding; p50 and p99 of one at a time. {_EXPLAINED}")


def _figure(value: float | None, column: str) -> str:
    if value is None:
        return ""
    return f"{value:,.2f}" if column in {"of floor", "p50 ms", "p99 ms"} else f"{value:,.0f}"


def measure_labels(*, quick: bool) -> dict[str, Any]:
    """Return rows of our own indexes alone; `label_matching` sets them beside others."""
    sizes = label_matching.QUICK_SIZES if quick else (1_000, 10_000, 100_000, 1_000_000)
    rows: list[label_matching.Row] = []
    for size in sizes:
        work = label_matching.draw_work(size)
        index = label_structures.label_index(work.fleet)
        hits = [len(index.match(label)) for label in work.queries]
        rows.append(label_matching.measure("LabelIndex", work, hits, rows[0] if rows else None))
    found, builds = selectors.measure_all(selectors.QUICK_SIZES if quick else selectors.SIZES)
    return {"labels": rows, "selectors": found, "builds": builds}


def print_labels(found: dict[str, Any]) -> None:
    print(f"{'labels of agents':>16}{'build ms':>12}{'ns/query':>12}{'growth':>10}")
    for row in found["labels"]:
        print(f"{row.agents:16,}{row.build_ms:12,.0f}{row.query_ns:12,.0f}{row.growth:10.2f}")
    print()
    selectors.print_tables(found["selectors"], found["builds"])


def run(args: argparse.Namespace) -> None:
    rounds, jobs = (QUICK_ROUNDS, QUICK_JOBS) if args.quick else (ROUNDS, JOBS)
    found: dict[str, Any] = {"machine": machine(), "jobs": jobs, "rounds": rounds}
    if not args.json:
        print(f"{machine()}; {jobs:,} jobs a round, medians of {rounds} rounds\n", flush=True)
    if "dispatch" in args.only:
        rivals = peers.available() if args.peers else ()
        found["dispatch"] = trio.run(measure_dispatch, jobs, rounds, rivals)
        _tell(args, print_dispatch, found["dispatch"])
    if "broadcast" in args.only:
        found["broadcast"] = trio.run(broadcast.measure_all, broadcast.SIZES[:2] if args.quick else broadcast.SIZES)
        _tell(args, broadcast.print_report, found["broadcast"])
    if "footprint" in args.only:
        found["footprint"] = footprint.measure()
        _tell(args, footprint.print_report, found["footprint"])
    if "labels" in args.only:
        found["labels"] = measure_labels(quick=args.quick)
        _tell(args, print_labels, found["labels"])
    if args.json:
        print(json.dumps(found, indent=2))


def _tell(args: argparse.Namespace, show: Any, rows: Any) -> None:
    if not args.json:
        show(rows)
        print(flush=True)


def run_compare(args: argparse.Namespace) -> None:
    rounds, jobs = (QUICK_ROUNDS, QUICK_JOBS) if args.quick else (compare.ROUNDS, JOBS)
    found = compare.compare(args.revisions, jobs, rounds)
    if args.json:
        print(json.dumps(found, indent=2))
    else:
        print(f"{machine()}; {jobs:,} jobs a round, medians of {rounds} rounds\n")
        compare.print_report(found, args.revisions)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.set_defaults(run=run)
    parser.add_argument("--quick", action="store_true", help="fewer jobs, rounds and sizes")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="a part of it")
    parser.add_argument("--peers", action="store_true", help=f"besides: {', '.join(peers.PEERS)}, installed on demand")
    commands = parser.add_subparsers()
    two = commands.add_parser("compare", help="two commits side by side")
    two.set_defaults(run=run_compare)
    two.add_argument("revisions", nargs=2, metavar=("REV_A", "REV_B"))
    two.add_argument("--quick", action="store_true", help="fewer jobs and rounds")
    two.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
