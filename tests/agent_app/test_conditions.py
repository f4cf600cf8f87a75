"""Conditions: true from their thresholds on, and since when."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osapi_agent.conditions import Figures, Thresholds, evaluate

_ALL = Thresholds(process_bytes=100, process_cpu_percent=50)

_percents = st.none() | st.floats(0, 100)
_figures = st.builds(
    Figures,
    memory_percent=_percents,
    load=st.none() | st.floats(0, 64),
    cpus=st.integers(1, 8),
    disks=st.dictionaries(st.sampled_from(["/", "/home", "/var"]), st.floats(0, 100)),
    process_bytes=st.none() | st.integers(0, 200),
    process_cpu_percent=_percents,
)
_thresholds = st.builds(
    Thresholds,
    memory_percent=st.floats(1, 100),
    load_per_cpu=st.floats(0.5, 4),
    disk_percent=st.floats(1, 100),
    process_bytes=st.integers(0, 200),
    process_cpu_percent=st.floats(0, 100),
)


@pytest.mark.parametrize(
    ("figures", "type_", "reason"),
    [
        ({"memory_percent": 90.0}, "MemoryPressure", "90.0 % of memory used, at least 90 %"),
        ({"load": 8.0, "cpus": 4}, "HighLoad", "load 8.00, at least 8 on 4 cpus"),
        ({"disks": {"/": 10.0, "/var": 95.25}}, "DiskPressure", "95.2 % of /var used, at least 90 %"),
        ({"process_bytes": 100}, "ProcessMemoryPressure", "100 bytes, at least 100"),
        ({"process_cpu_percent": 120.0}, "ProcessHighCpu", "120.0 % of a processor, at least 50 %"),
    ],
)
def test_each_says_by_which_figures_it_is_true(figures: dict[str, Any], type_: str, reason: str) -> None:
    (found,) = evaluate((), Figures(**figures), _ALL, 7.0)
    assert (found.type, found.status, found.reason, found.since) == (type_, True, reason, 7.0)


@pytest.mark.parametrize(
    "figures",
    [
        {"memory_percent": 89.99},
        {"load": 7.99, "cpus": 4},
        {"disks": {"/": 89.9, "/var": 12.0}},
        {"process_bytes": 99},
        {"process_cpu_percent": 49.9},
    ],
)
def test_below_its_threshold_it_is_false_and_gives_no_reason(figures: dict[str, Any]) -> None:
    (found,) = evaluate((), Figures(**figures), _ALL, 7.0)
    assert (found.status, found.reason) == (False, "")


def test_those_of_the_process_are_off_by_default() -> None:
    found = evaluate((), Figures(process_bytes=2**40, process_cpu_percent=400.0), Thresholds(), 7.0)
    assert found == ()


@given(st.lists(_figures, min_size=1, max_size=8), _thresholds)
def test_a_moment_is_kept_until_the_status_changes(told: list[Figures], thresholds: Thresholds) -> None:
    conditions: Any = ()
    history: dict[str, list[tuple[bool, float]]] = {}
    for now, figures in enumerate(told):
        conditions = evaluate(conditions, figures, thresholds, float(now))
        types = [condition.type for condition in conditions]
        assert len(types) == len(set(types))
        for condition in conditions:
            past = history.setdefault(condition.type, [])
            if not past or past[-1][0] is not condition.status:
                past.append((condition.status, float(now)))
            assert condition.since == past[-1][1]
            assert bool(condition.reason) is condition.status


@given(_figures, _thresholds)
def test_what_could_not_be_measured_stays_as_it_was(figures: Figures, thresholds: Thresholds) -> None:
    before = evaluate((), figures, thresholds, 1.0)
    assert evaluate(before, Figures(), thresholds, 2.0) == before
    assert evaluate((), Figures(), thresholds, 2.0) == ()


@given(_figures, _thresholds)
def test_no_figure_decides_about_another(figures: Figures, thresholds: Thresholds) -> None:
    together = {each.type: each for each in evaluate((), figures, thresholds, 1.0)}
    alone = [
        Figures(memory_percent=figures.memory_percent),
        Figures(load=figures.load, cpus=figures.cpus),
        Figures(disks=figures.disks),
        Figures(process_bytes=figures.process_bytes),
        Figures(process_cpu_percent=figures.process_cpu_percent),
    ]
    apart = {each.type: each for one in alone for each in evaluate((), one, thresholds, 1.0)}
    assert together == apart
