"""The index against a fold over everything from scratch: in any order, however often, at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osapi.rules.gather import job_status
from osapi.rules.job_index import JobRow, JobTable, Wanted
from osapi.rules.outlines import JobOutline, RecordOutline
from osapi.rules.records import ANY_SLOT, JobStatus, SlotStatus
from tests.rules.builders import definition, record, statuses

if TYPE_CHECKING:
    from collections.abc import Sequence

LIFETIME = 100.0
ORIGIN = "c0ffee"
FLEETS = (None, None, ("a",), ("a", "b"), ("a", "b", "c"))


class Written(NamedTuple):
    """An entry of the bucket of jobs, or with a slot of that of records; without an outline it is a marker."""

    job: str
    slot: str
    revision: int
    outline: JobOutline | RecordOutline | None


def outline(job_id: str, **changes: object) -> JobOutline:
    fields: dict[str, object] = {
        "v": 1,
        "id": job_id,
        "operation": "my.a",
        "target": "_any",
        "origin": ORIGIN,
        "created": 0.0,
        "expires": 50.0,
    }
    return JobOutline(**{**fields, **changes})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@st.composite
def histories(draw: st.DrawFn) -> list[Written]:
    """Return what was written in some order: of each job definitions, records and markers, each with its revision."""
    entries: list[Written] = []
    count = draw(st.integers(0, 12))
    created = {job: float(number) for number, job in enumerate("010")}
    # A definition is never changed; one that was removed and written again does not end sooner.
    expires = {job: float(draw(st.sampled_from([10, 20, 90]))) for job in "01"}
    for revision in range(1, count + 1):
        job = draw(st.sampled_from("01"))
        kind = draw(st.sampled_from(["define", "record", "record", "remove", "remove record"]))
        slot = draw(st.sampled_from([ANY_SLOT, "a", "b"]))
        if kind == "define":
            entries.append(
                Written(
                    job,
                    "",
                    revision,
                    outline(
                        job,
                        operation=draw(st.sampled_from(["my.a", "my.b"])),
                        target=draw(st.sampled_from(["_any", "_all"])),
                        created=created[job],
                        expires=expires[job],
                        expected=draw(st.sampled_from(FLEETS)),
                        origin=draw(st.sampled_from([ORIGIN] * 5 + ["other"])),
                    ),
                )
            )
        elif kind == "record":
            head = RecordOutline(v=1, status=draw(statuses), host=slot.strip("_"), updated=float(revision))
            entries.append(Written(job, slot, revision, head))
        else:
            entries.append(Written(job, "" if kind == "remove" else slot, revision, None))
    return entries


def folded(entries: Sequence[Written], now: float) -> list[JobRow]:
    """Return the rows, newest first, from the newest entry of each key, by the rules that a reader of all would use."""
    newest = {(entry.job, entry.slot): entry for entry in sorted(entries, key=lambda entry: entry.revision)}
    rows: list[JobRow] = []
    for (job, slot), entry in newest.items():
        head = entry.outline
        if slot or not isinstance(head, JobOutline) or head.expires <= now:
            continue
        stored = {
            other.slot: other.outline
            for other in newest.values()
            if other.job == job and isinstance(other.outline, RecordOutline) and head.origin == ORIGIN
        }
        records = {name: record(told.status, slot=name, host=told.host) for name, told in stored.items()}
        slots = head.expected or (ANY_SLOT,)
        counted = [told for name, told in stored.items() if name in slots]
        rows.append(
            JobRow(
                id=job,
                status=job_status(definition(id=job, expected=head.expected), records),
                operation=head.operation,
                target=head.target,
                created=head.created,
                updated=max([head.created, *(told.updated for told in counted)]),
                expires=head.expires,
                hosts=head.expected or tuple(told.host for told in counted if told.host),
            )
        )
    return sorted(rows, key=lambda row: (row.created, row.id), reverse=True)


def take(table: JobTable, entry: Written, now: float) -> bool:
    job, slot, revision, head = entry
    if not slot:
        assert head is None or isinstance(head, JobOutline)
        return table.take_job(job, head, revision, 5.0, now)
    assert head is None or isinstance(head, RecordOutline)
    return table.take_record(job, ORIGIN, slot, head, revision, 5.0)


wanted = st.builds(
    Wanted,
    status=st.none() | st.sampled_from(JobStatus),
    operation=st.none() | st.sampled_from(["my.a", "my.b", "my.none"]),
    target=st.none() | st.sampled_from(["_any", "_all"]),
    since=st.none() | st.integers(0, 4).map(float),
    until=st.none() | st.integers(0, 4).map(float),
)


def matches(row: JobRow, asked: Wanted) -> bool:
    return (
        asked.status in {None, row.status}
        and asked.operation in {None, row.operation}
        and asked.target in {None, row.target}
        and (asked.since is None or row.created >= asked.since)
        and (asked.until is None or row.created < asked.until)
    )


@settings(max_examples=200)
@given(st.data(), histories(), wanted, st.integers(0, 3), st.integers(1, 3))
def test_any_order_and_repetition_gives_what_a_fold_from_scratch_gives(
    data: st.DataObject, entries: list[Written], asked: Wanted, offset: int, limit: int
) -> None:
    repeated = data.draw(st.lists(st.sampled_from(entries))) if entries else []
    arrived: Sequence[Written] = data.draw(st.permutations([*entries, *repeated]))
    turns = data.draw(st.tuples(st.integers(0, 20), st.integers(0, 20)))
    times = [6.0 + 9.0 * (place >= min(turns)) + 45.0 * (place >= max(turns)) for place in range(len(arrived))]
    tidy = data.draw(st.booleans())
    table = JobTable(LIFETIME)
    for entry, now in zip(arrived, times, strict=True):
        before = table.row(entry.job)
        told = take(table, entry, now)
        after = table.row(entry.job)
        if told:
            assert after is not None
        elif after is not None and entry.slot:
            assert before is not None
            assert before.status == after.status
        if tidy:
            table.advance(now, 100)
    now = data.draw(st.sampled_from([max([6.0, *times]), 95.0]))
    table.advance(now, 100)
    rows = folded(entries, now)
    assert table.page(Wanted(), 0, 100) == (len(rows), rows)
    for status, count in table.counts().items():
        assert count == sum(row.status is status for row in rows)
    found = [row for row in rows if matches(row, asked)]
    assert table.page(asked, offset, limit) == (len(found), found[offset : offset + limit])
    # Nothing stays for ever, and nothing that nobody announces.
    table.advance(5.0 + LIFETIME, 100)
    assert (table.size, table.page(Wanted(), 0, 1), table.sets) == (0, (0, []), 0)


def test_a_host_of_a_broadcast_costs_the_same_however_many_there_are() -> None:
    hosts = tuple(f"h{number}" for number in range(3))
    table = JobTable(LIFETIME)
    table.take_job("0", outline("0", expected=hosts), 1, 0.0, 0.0)
    for revision, host in enumerate(hosts, 2):
        assert table.counts()[JobStatus.COMPLETED] == 0
        head = RecordOutline(v=1, status=SlotStatus.COMPLETED, host=host, updated=1.0)
        assert table.take_record("0", ORIGIN, host, head, revision, 1.0) == (host != "h1")
    row = table.row("0")
    assert row is not None
    assert (row.status, row.hosts) == (JobStatus.COMPLETED, hosts)


@pytest.mark.parametrize("origin", ["other", ORIGIN])
def test_a_record_of_another_origin_is_not_one_of_the_job(origin: str) -> None:
    table = JobTable(LIFETIME)
    head = RecordOutline(v=1, status=SlotStatus.COMPLETED, host="a", updated=1.0)
    table.take_record("0", origin, ANY_SLOT, head, 1, 0.0)
    table.take_job("0", outline("0"), 2, 0.0, 0.0)
    row = table.row("0")
    assert row is not None
    assert row.status is (JobStatus.COMPLETED if origin == ORIGIN else JobStatus.SUBMITTED)


def test_what_comes_late_changes_nothing() -> None:
    table = JobTable(LIFETIME)
    table.take_job("0", outline("0"), 1, 0.0, 0.0)
    ended, running = (
        RecordOutline(v=1, status=status, host="a", updated=1.0)
        for status in (SlotStatus.COMPLETED, SlotStatus.RUNNING)
    )
    assert table.take_record("0", ORIGIN, ANY_SLOT, ended, 3, 1.0)
    assert not table.take_record("0", ORIGIN, ANY_SLOT, running, 2, 1.0)
    assert not table.take_job("1", outline("1", expires=10.0), 4, 0.0, 10.0)
    assert table.counts()[JobStatus.COMPLETED] == table.page(Wanted(), 0, 9)[0] == 1


def test_dropping_goes_by_portions() -> None:
    table = JobTable(LIFETIME)
    for number in range(5):
        table.take_job(str(number), outline(str(number)), number + 1, 0.0, 0.0)
    assert [table.advance(50.0, 2) for _ in range(4)] == [2, 2, 1, 0]
