from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from hypothesis import example, given
from hypothesis import strategies as st

from osapi_cli.output import Code, Heading, Paragraph, Table, for_pipe, for_terminal
from tests.cli.program import without_style

if TYPE_CHECKING:
    import pytest

    from osapi_cli.output import Document

TABLE = Table(
    columns=("TARGET", "HOST", "MS"),
    right=frozenset({"MS"}),
    grouped=1,
    rows=[("_all", "web-01", "1.5"), ("_all", "web-02", "10.5"), ("db-01", "db-01", "0.1")],
)

Row: TypeAlias = tuple[str, str, str, str, str]

_BLANKS = str.maketrans("", "", " \n─ABCDE")

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)


def test_a_document_in_a_pipe() -> None:
    document: Document = [
        Heading("Jobs"),
        Paragraph("What was asked."),
        TABLE,
        Heading("Code"),
        Code("if x:\n\n    y()"),
    ]

    assert for_pipe(document) == (
        "Jobs\n"
        "What was asked.\n"
        "  TARGET  HOST      MS\n"
        "  _all    web-01   1.5\n"
        "  _all    web-02  10.5\n"
        "  db-01   db-01    0.1\n"
        "\n"
        "Code\n"
        "  if x:\n"
        "\n"
        "      y()\n"
    )


def test_a_list_of_names_in_a_pipe() -> None:
    assert for_pipe([Table(rows=[("Host", "vm"), ("System", "Debian 12")])]) == "  Host    vm\n  System  Debian 12\n"


def test_tables_without_rows() -> None:
    assert for_pipe([Table(columns=("A", "B"), rows=[])]) == "  A  B\n"
    assert without_style(for_terminal([Table(columns=("A", "B"), rows=[])], 80)).split() == ["A", "B", "─────"]


def test_on_a_terminal_repeated_cells_are_empty() -> None:
    shown = [line.split() for line in without_style(for_terminal([TABLE], 80)).splitlines()]

    assert shown[2:] == [["_all", "web-01", "1.5"], ["web-02", "10.5"], ["db-01", "db-01", "0.1"]]


def test_states_are_coloured_by_what_they_say() -> None:
    shown = for_terminal([Table(columns=("STATUS",), rows=[("completed",), ("failed",), ("whatever",)])], 80)

    assert "\x1b[32mcompleted" in shown
    assert "\x1b[1;31mfailed" in shown
    assert "m whatever" not in shown


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", for_terminal([TABLE], 80))


def test_nothing_in_a_cell_acts_upon_the_terminal() -> None:
    document = [Table(columns=("A",), rows=[("\x1b[2J[red]\n\r\x07",)])]

    assert for_pipe(document).splitlines()[1] == r"  \x1b[2J[red]\n\r\x07"
    assert r"\x1b[2J[red]\n\r\x07" in for_terminal(document, 80)


@given(st.lists(st.tuples(words, words, words), min_size=1))
def test_every_row_in_a_pipe_is_complete_and_aligned(rows: list[tuple[str, str, str]]) -> None:
    head, *lines = for_pipe([Table(columns=("A", "B", "C"), rows=rows, grouped=2)]).splitlines()

    assert [tuple(line.split()) for line in lines] == rows
    start = head.index("B")
    assert all(
        line[start - 2 : start] == "  " and line[start] == row[1][0] for line, row in zip(lines, rows, strict=True)
    )


@given(st.lists(st.tuples(words, words), min_size=1), st.integers(20, 120))
def test_nothing_exceeds_the_terminal(rows: list[tuple[str, str]], width: int) -> None:
    shown = without_style(for_terminal([Table(columns=("ONE", "TWO"), rows=rows)], width))

    assert max(map(len, shown.splitlines())) <= width


IDS = Table(
    columns=("JOB ID", "STATUS", "OPERATION"),
    whole=frozenset({"JOB ID"}),
    rows=[("0199c0de-7a11-7abc-8def-0123456789ab", "partial_failure", "network.dns.update")] * 2,
)


@given(st.integers(1, 200))
def test_an_id_is_never_wrapped(width: int) -> None:
    shown = without_style(for_terminal([IDS], width))

    assert shown.count("0199c0de-7a11-7abc-8def-0123456789ab") == 2
    if width >= 60:
        assert max(map(len, shown.splitlines())) <= width


def test_a_terminal_shows_ages_and_a_pipe_moments() -> None:
    then = (datetime.now(UTC) - timedelta(hours=2, minutes=3, seconds=30)).isoformat().replace("+00:00", "Z")
    table = Table(columns=("CREATED",), times=frozenset({"CREATED"}), rows=[(then,), ("never",), ("2026-01-01",)])

    assert for_pipe([table]).split() == ["CREATED", then, "never", "2026-01-01"]
    shown = [line.strip() for line in without_style(for_terminal([table], 80)).splitlines()[2:]]
    assert shown == ["2 h 3 min", "never", "2026-01-01"]


ROWS = st.lists(st.tuples(*[st.text("abc", min_size=1, max_size=40)] * 5), min_size=1, max_size=3)


@example([("a" * 36, "b" * 9, "c" * 10, "b" * 4, "c" * 15)], 80, frozenset({"A"}))
@given(ROWS, st.integers(62, 200), st.sampled_from([frozenset(), frozenset({"A"})]))
def test_a_terminal_shows_all_of_every_cell(rows: list[Row], width: int, whole: frozenset[str]) -> None:
    shown = without_style(for_terminal([Table(columns=("A", "B", "C", "D", "E"), whole=whole, rows=rows)], width))

    assert max(map(len, shown.splitlines())) <= width
    assert sorted(shown.translate(_BLANKS)) == sorted("".join(map("".join, rows)))


def test_what_would_be_too_narrow_to_be_read_is_a_list_a_row() -> None:
    table = Table(
        columns=("JOB ID", "STATUS", "HOST", "ERROR"),
        whole=frozenset({"JOB ID"}),
        rows=[("0199c0de-7a11-7abc-8def-0123456789ab", "failed", "web-01", "e" * 60), ("7", "completed", "web-02", "")],
    )

    assert "JOB ID                                STATUS" in without_style(for_terminal([table], 80))
    assert [line.rstrip() for line in without_style(for_terminal([table], 50)).splitlines()] == [
        "  JOB ID  0199c0de-7a11-7abc-8def-0123456789ab",
        "  STATUS  failed",
        "  HOST    web-01",
        "  ERROR   " + "e" * 38,
        "          " + "e" * 22,
        "",
        "  JOB ID  7",
        "  STATUS  completed",
        "  HOST    web-02",
    ]


def test_a_narrow_terminal_is_not_shown_what_is_to_spare() -> None:
    table = Table(
        columns=("ID", "FROM", "REQUEST"),
        whole=frozenset({"ID"}),
        spare=frozenset({"FROM"}),
        rows=[("0199c0de-7a11-7abc-8def-0123456789ab", "192.0.2.7", "GET /api/job")],
    )

    heads = {width: without_style(for_terminal([table], width)).splitlines()[0].split() for width in (70, 55, 40)}
    assert heads == {70: ["ID", "FROM", "REQUEST"], 55: ["ID", "REQUEST"], 40: ["ID", table.rows[0][0]]}
    assert for_pipe([table]).split()[:3] == ["ID", "FROM", "REQUEST"]
