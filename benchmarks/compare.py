"""Two commits side by side: the same measurements of each in turn, and how the second stands to the first.

Run it as `python -m benchmarks compare REV_A REV_B [--quick]`. Each commit is checked out into a folder that is removed
in the end, and measured by today's programs, so that a commit before these can be looked at. What is compared are the
medians of rounds in which both are measured one right after the other; on a busy machine CPU says more than jobs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.samples import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

ROUNDS = 5
HERE = Path(__file__).resolve().parent

# The floors are not ours, and the same for all commits.
OURS = tuple(name for name in SAMPLES if name.startswith("osapi"))


@contextmanager
def checked_out(revision: str) -> Generator[Path]:
    """Give a folder with a commit of this repository."""
    with TemporaryDirectory(prefix="osapi-") as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(HERE.parent)]
        subprocess.run([*git, "worktree", "add", "--quiet", "--detach", str(tree), revision], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(tree)], check=True)


def sample(tree: Path, programs: Path, name: str, jobs: int) -> dict[str, float]:
    """Measure one commit once, with the programs in another folder."""
    places = [programs, tree, *(tree / folder for folder in ("transports", "apps"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
    command = [sys.executable, "-P", "-m", "benchmarks.samples", name, "--jobs", str(jobs)]
    done = subprocess.run(command, check=True, cwd=programs, env=environment, stdout=subprocess.PIPE)
    row: dict[str, float] = json.loads(done.stdout)
    return row


def compare(revisions: Sequence[str], jobs: int, rounds: int) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Return for each sample and figure: the median of the first, that of the second, and that of their ratio."""
    with ExitStack() as stack:
        trees = [stack.enter_context(checked_out(revision)) for revision in revisions]
        programs = Path(stack.enter_context(TemporaryDirectory(prefix="osapi-benchmarks-")))
        shutil.copytree(HERE, programs / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
        found: dict[str, dict[str, tuple[float, float, float]]] = {}
        for name in OURS:
            pairs = [[sample(tree, programs, name, jobs) for tree in trees] for _ in range(rounds)]
            found[name] = {figure: _medians([(a[figure], b[figure]) for a, b in pairs]) for figure in pairs[0][0]}
        return found


def _medians(pairs: list[tuple[float, float]]) -> tuple[float, float, float]:
    return median(a for a, _ in pairs), median(b for _, b in pairs), median(b / a if a else 1.0 for a, b in pairs)


def print_report(found: dict[str, dict[str, tuple[float, float, float]]], revisions: Sequence[str]) -> None:
    print(f"{'':24}{'':10}{revisions[0][:12]:>14}{revisions[1][:12]:>14}{'ratio':>8}")
    for name, figures in found.items():
        for figure, (first, second, ratio) in figures.items():
            print(f"{name:24}{figure:10}{first:14,.2f}{second:14,.2f}{ratio:8.2f}")
    print("\nclient, agent, server: CPU of the process in microseconds a job; in memory all of it is the client's.")
