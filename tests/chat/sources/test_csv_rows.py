"""Hostile and damaged CSV files (R101)."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from migrations_app.chat.sources.csv_rows import LONGEST_ROW, BadRow, opened


def rows_of(path: Path, octets: bytes) -> tuple[list[tuple[int, list[str]]], list[tuple[int | None, str]]]:
    path.write_bytes(octets)
    bad: list[tuple[int | None, str]] = []
    file = opened(path, path.parent, ["a", "b"])
    rows = [(row.line, list(row.fields)) for row in file.rows(lambda each: bad.append((each.line, str(each.reason))))]
    return rows, bad


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


def test_r101_rows_over_several_lines_keep_their_text_and_the_line_where_they_begin(path: Path) -> None:
    rows, bad = rows_of(path, b'a,b\r\n"x\r\ny""z""",1\r\n\r\n,"2,\n"\n3,4')
    assert rows == [(2, ['x\r\ny"z"', "1"]), (5, ["", "2,\n"]), (7, ["3", "4"])]
    assert bad == []


def test_r101_bad_rows_are_told_and_the_next_ones_are_read(path: Path) -> None:
    rows, bad = rows_of(path, b'a,b\n1,2,3\n\xff\xfe,2\na"b"c,2\n\0,1\n5,6\n"open,\n')
    assert rows == [(6, ["5", "6"])]
    assert [line for line, _ in bad] == [2, 3, 4, 5, 7]
    for (_, reason), part in zip(bad, ("3 fields", "not UTF-8", "quotation mark", "NUL", "never closed"), strict=True):
        assert part in reason


def test_r101_a_line_of_100_mib_is_refused_without_being_held(path: Path) -> None:
    with path.open("wb") as stream:
        stream.write(b"a,b\n")
        for _ in range(100):
            stream.write(b"x" * 2**20)
        stream.write(b"\n1,2\n")
        # The same where a quotation mark makes many lines one.
        stream.write(b'"')
        for _ in range(200):
            stream.write(b"y" * 2**15 + b"\n")
        stream.write(b'",1\n')
    file = opened(path, path.parent, ["a", "b"])
    bad: list[BadRow] = []
    tracemalloc.start()
    try:
        rows = list(file.rows(bad.append))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert list(rows[0].fields) == ["1", "2"]
    assert [bad[0].line, bad[1].line] == [2, 4]
    assert all("longer than 4 MiB" in str(each.reason) for each in bad[:2])
    assert most < 4 * LONGEST_ROW


def test_r101_quotation_marks_are_read_in_a_time_that_grows_with_the_text_only(path: Path) -> None:
    rows, bad = rows_of(path, b'a,b\n"' + b'""' * 500_000 + b'x\n",' + b'"' * 7 + b"\n")
    assert rows == []
    assert len(bad) == 1


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,A\n", "column a twice"),
        (b"a,,b\n", "without a name"),
        (b"a,b" + b",x" * 600, "more than 500 columns"),
        (b"\xff\xfea\0,\0b\0\n\0\0\xd8\0", "is not all of it"),
        (b'"a', "never closed"),
    ],
)
def test_r101_a_head_that_cannot_be_read_is_refused(path: Path, octets: bytes, reason: str) -> None:
    path.write_bytes(octets)
    with pytest.raises(BadRow) as refused:
        opened(path, path.parent, ["a", "b"])
    assert reason in str(refused.value.reason)
