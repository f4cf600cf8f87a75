"""Which subscriptions match a subject: the broker's index beside paho-mqtt's trie and a naive scan.

Run it with `python -m benchmarks.subject_matching [--quick]`. Patterns are those of a fleet: a host and some labels
for each agent, one in ten with a `*` in the middle. Times are nanoseconds a match, medians of five rounds over the
same 200 subjects; "first" empties the index's cache before each round, "cached" does not.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from random import Random
from typing import TYPE_CHECKING, Any

from paho.mqtt.matcher import MQTTMatcher

from osapi.rules.subjects import matches
from osapi_memory.subject_index import SubjectIndex

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
SUBJECTS = 200
NAIVE_SUBJECTS = 5


def patterns(count: int, random: Random) -> list[str]:
    """Return distinct filters of agents' consumers."""
    made: list[str] = []
    for number in range(count):
        middle = "*" if random.random() < 0.1 else random.choice(("query", "modify"))
        made.append(f"jobs.{middle}.host.web-{number:06}.*")
    return made


def per_call(call: Callable[[str], object], subjects: list[str], before: Callable[[], object] | None = None) -> float:
    """Return the median nanoseconds of a call."""
    rounds: list[float] = []
    for _ in range(ROUNDS):
        if before is not None:
            before()
        began = time.perf_counter_ns()
        for subject in subjects:
            call(subject)
        rounds.append((time.perf_counter_ns() - began) / len(subjects))
    return statistics.median(rounds)


def build(filters: list[str]) -> tuple[SubjectIndex[int], float]:
    """Return the index of the filters and the milliseconds it took."""
    began = time.perf_counter_ns()
    index: SubjectIndex[int] = SubjectIndex()
    for number, pattern in enumerate(filters):
        index.add(pattern, number)
    return index, (time.perf_counter_ns() - began) / 1e6


def measure(count: int) -> None:
    """Print the figures for one number of subscriptions."""
    random = Random(count)
    filters = patterns(count, random)
    subjects = [f"jobs.query.host.web-{random.randrange(count):06}.{n}" for n in range(SUBJECTS)]
    index, built = build(filters)
    matcher: Any = MQTTMatcher()  # type: ignore[no-untyped-call]
    began = time.perf_counter_ns()
    for number, pattern in enumerate(filters):
        matcher[pattern.replace(".", "/").replace("*", "+")] = number
    paho_built = (time.perf_counter_ns() - began) / 1e6
    topics = [subject.replace(".", "/") for subject in subjects]

    def empty_the_cache() -> None:
        # A change of the patterns does: so every match of the round is a first one.
        index.add("x.y", -1)
        index.remove("x.y", -1)

    first = per_call(index.match, subjects, empty_the_cache)
    cached = per_call(index.match, subjects)
    paho = per_call(lambda topic: list(matcher.iter_match(topic)), topics)
    naive = per_call(lambda subject: [p for p in filters if matches(p, subject)], subjects[:NAIVE_SUBJECTS])
    for subject in subjects[:NAIVE_SUBJECTS]:
        assert sorted(index.match(subject)) == [n for n, p in enumerate(filters) if matches(p, subject)]
    ours = f"{built:>9.1f}  {first:>9,.0f}  {cached:>9,.0f}"
    print(f"{count:>9,}  {ours}  {paho_built:>9.1f}  {paho:>9,.0f}  {naive:>14,.0f}")


def main() -> None:
    """Measure 1k, 10k and 100k subscriptions."""
    parser = argparse.ArgumentParser(description="Match subjects against many subscriptions.")
    parser.add_argument("--quick", action="store_true", help="1k and 10k only")
    quick: bool = parser.parse_args().quick
    print(f"Python {platform.python_version()}; build in ms, matches in ns")
    print(
        f"{'patterns':>9}  {'build':>9}  {'first':>9}  {'cached':>9}  {'paho bld':>9}  {'paho':>9}  {'naive scan':>14}"
    )
    for count in (1_000, 10_000) if quick else (1_000, 10_000, 100_000):
        measure(count)


if __name__ == "__main__":
    main()
