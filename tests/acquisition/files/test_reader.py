"""Files of every kind are read alike; what is no table is told with a cure."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from acquisition.files.mapping import Map, parse_map
from acquisition.files.preview import Preview, preview
from acquisition.files.tables import digest_of, open_table
from nengliu.domain.quality import Reason
from nengliu.errors import InputError

ROWS = [("1/1/2018 0:15", "3.17"), ("1/1/2018 0:30", "4"), ("1/1/2018 0:45", "3.24")]
Write = Callable[..., Path]
MakeMap = Callable[..., Map]


def text(head: str = "date,kwh", end: str = "\n") -> str:
    """A small CSV."""
    return end.join([head, *(",".join(row) for row in ROWS), ""])


def reasons(seen: Preview) -> list[tuple[int, str]]:
    """Rows and reasons of what was rejected."""
    return [(one.row, Reason(one.reason).name) for one in seen.rejected]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_csv_of_any_encoding_and_line_end_reads_the_same(
    end: str, encoding: str, write: Write, make_map: MakeMap
) -> None:
    """Byte-order mark, GB18030, CR, LF and CRLF change no reading."""
    path = write(text("date,用电量", end), encoding=encoding)
    plan = make_map(point='[[point]]\ncolumn = "用电量"\nid = "e"\nkind = "period"\nitem = "electricity"\n')
    assert preview(path, plan).readings.values.tolist() == [317, 400, 324]


def test_csv_packed_reads_the_same_whatever_its_name(write: Write, make_map: MakeMap) -> None:
    """Gzip is known by its content."""
    path = write(gzip.compress(text().encode()), "data.txt")
    assert preview(path, make_map()).readings.values.tolist() == [317, 400, 324]


def test_csv_encoding_set_in_the_map_is_held(write: Write, make_map: MakeMap) -> None:
    """A map that says UTF-8 refuses GB18030."""
    path = write(text("date,用电量"), encoding="gb18030")
    with pytest.raises(InputError, match="no utf-8 at byte 5"):
        preview(path, make_map(extra='[file]\nencoding = "utf-8"\n'))


def test_csv_ragged_blank_and_quoted_rows_are_told_apart(write: Write, make_map: MakeMap) -> None:
    """Too few and too many cells are rejected; blank lines are no rows; quotes hold commas."""
    path = write(
        'date,kwh,note\n1/1/2018 0:15,1,"a,b"\n\n1/1/2018 0:30\n1/1/2018 0:45,3,c,d\n1/1/2018 1:00,4,\n'
    )
    seen = preview(path, make_map())
    assert seen.readings.values.tolist() == [100, 400]
    assert seen.readings.row.tolist() == [2, 6]
    assert reasons(seen) == [(4, "RAGGED_ROW"), (5, "RAGGED_ROW")]
    assert seen.rejected[0].parameters == {"expected": "3", "got": "1"}


def test_csv_skip_and_headless_files_are_read(write: Write, make_map: MakeMap) -> None:
    """Lines before and after the header are left out; a file without a header has numbered columns."""
    extra = "[file]\nskip = 2\nskip_after = 1\n"
    path = write("报表\n2018\ndate,kwh\n日期,千瓦时\n1/1/2018 0:15,1\n")
    seen = preview(path, make_map(extra=extra))
    assert (seen.readings.values.tolist(), seen.readings.row.tolist()) == ([100], [5])
    plan = parse_map(
        '[enterprise]\ncode="91320000MA1EXAMPL3"\n[file]\nheader=false\ndelimiter=";"\n[time]\ncolumn="1"\n'
        '[[point]]\ncolumn="2"\nkind="gauge"\nitem="active_power"\n'
    )
    seen = preview(write("2018-01-01;5\n2018-01-02;6\n"), plan)
    assert seen.readings.values.tolist() == [500, 600]


def test_csv_field_without_end_is_one_rejected_row(write: Write, make_map: MakeMap) -> None:
    """A quote that never closes does not take the memory."""
    path = write('date,kwh\n1/1/2018 0:15,1\n1/1/2018 0:30,"' + "x" * 200_000 + "\n")
    seen = preview(path, make_map())
    assert seen.readings.values.tolist() == [100]
    assert reasons(seen)[0][1] == "RAGGED_ROW"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "empty file"),
        (b"date,kwh\n", "header only"),
        (b"\n\n", "empty table"),
        (b"\x00\x01\x02\x03" * 100, "binary"),
        (b"\xd0\xcf\x11\xe0" + b"x" * 100, "save it as CSV"),
        (b"%PDF-1.7", "PDF"),
        ("date,kwh\n".encode("utf-16"), "UTF-16"),
        (gzip.compress(b"date,kwh\n1/1/2018 0:15,1\n")[:-9], "whole gzip"),
        (b"date,kwh\n" + b"1/1/2018 0:15,1\n" * 9999 + b"\xff\xff\n", "no utf-8-sig at byte 159993"),
        (b"date,kwh\n" + b"1/1/2018 0:15,1\n" * 9999 + b"\0\n", "zero byte at 159993"),
        (b"date,Kwh\n1,2\n", "nearest: Kwh"),
        (b"date;kwh\n1;2\n", "delimiter = ';'"),
        (b"date,kwh,kwh\n1,2,3\n", "2 times"),
        (b"PK\x03\x04" + b"x" * 100, "XLSX workbook"),
        (b"PAR1" + b"x" * 100, "Parquet file"),
    ],
)
def test_file_that_is_no_table_is_refused_with_a_cure(
    content: bytes, told: str, write: Write, make_map: MakeMap
) -> None:
    """Each says where, what was expected, what was got and what to do."""
    path = write(content)
    with pytest.raises(InputError, match=r"data\.csv") as caught:
        preview(path, make_map())
    assert told in str(caught.value)
    assert "expected" in str(caught.value)
    assert "got" in str(caught.value)


def test_file_missing_is_refused(tmp_path: Path, make_map: MakeMap) -> None:
    """A path that is not there is the user's to correct."""
    for call in (
        lambda: preview(tmp_path / "no.csv", make_map()),
        lambda: digest_of(tmp_path / "no.csv", make_map()),
    ):
        with pytest.raises(InputError, match="check the path"):
            call()


def test_xlsx_dates_as_cells_and_as_text_read_the_same(tmp_path: Path, make_map: MakeMap) -> None:
    """Date cells, date texts, numbers, number texts and holes of a sheet are understood."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "用电"
    book.create_sheet("other")
    for row in (
        ["date", "kwh"],
        [dt.datetime.fromisoformat("2018-01-01T00:15"), 3.17],
        ["1/1/2018 0:30", "4"],
        [],
        ["1/1/2018 0:45", None],
    ):
        sheet.append(row)
    sheet.append(["1/1/2018 1:00", 5, "too much"])
    path = tmp_path / "book.xlsx"
    book.save(path)
    seen = preview(path, make_map(extra='[file]\nsheet = "用电"\n'))
    assert seen.readings.values.tolist() == [317, 400]
    assert reasons(seen) == [(5, "EMPTY_VALUE"), (6, "RAGGED_ROW")]
    with pytest.raises(InputError, match=r"expected a sheet"):
        preview(path, make_map(extra='[file]\nsheet = "用水"\n'))


@pytest.mark.parametrize("rows", [[], [["date", "kwh"]]])
def test_xlsx_without_rows_is_refused(rows: list[list[str]], tmp_path: Path, make_map: MakeMap) -> None:
    """An empty sheet and a header only are told."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    path = tmp_path / "book.xlsx"
    book.save(path)
    with pytest.raises(InputError, match="expected"):
        preview(path, make_map())


def test_parquet_of_every_column_type_is_read(tmp_path: Path) -> None:
    """Timestamps, floats with nulls, integers, decimals and dictionary texts keep their values."""
    stamps = pa.array([0, 900_000, 1_800_000], pa.timestamp("ms", "UTC"))
    columns = {
        "t": stamps,
        "f": pa.array([1.5, None, float("nan")], pa.float32()),
        "i": pa.array([1, 2, None], pa.int16()),
        "u": pa.array([1, 2, 2**63], pa.uint64()),
        "d": pa.array(["1.10", "2.20", "3.30"]).cast(pa.decimal128(10, 2)),
        "s": pa.array(["1", "x", "3"]).dictionary_encode(),
    }
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table(columns), path)
    points = "".join(f'[[point]]\ncolumn="{c}"\nkind="gauge"\nitem="active_power"\n' for c in "fiuds")
    plan = parse_map('[enterprise]\ncode="91320000MA1EXAMPL3"\n[time]\ncolumn="t"\n' + points)
    seen = preview(path, plan, 20)
    assert seen.readings.values.tolist() == [150, 100, 100, 110, 100, 200, 200, 220, 330, 300]
    assert seen.counts.values == 15 == seen.counts.readings + seen.counts.rejected
    assert seen.counts.reasons == {"EMPTY_VALUE": 2, "NOT_FINITE": 1, "NOT_A_NUMBER": 1, "OUT_OF_INT64": 1}


def test_parquet_empty_or_without_the_column_is_refused(tmp_path: Path, make_map: MakeMap) -> None:
    """A Parquet file without rows, or without a column of the map, is told."""
    path = tmp_path / "data.parquet"
    pq.write_table(pa.table({"date": pa.array([], pa.string())}), path)
    with pytest.raises(InputError, match="empty table"):
        preview(path, make_map())
    pq.write_table(pa.table({"date": ["x"], "kWh": [1.0]}), path)
    with pytest.raises(InputError, match="nearest: kWh"):
        preview(path, make_map())


def test_digest_follows_file_and_map_but_not_name_or_comments(write: Write, make_map: MakeMap) -> None:
    """The same import is known again; another file or another map is another import."""
    one, same, other = write(text()), write(text(), "copy.csv"), write(text() + "x", "other.csv")
    plan, spaced, changed = make_map(), make_map(extra="# a comment\n"), make_map(extra="[file]\nskip = 1\n")
    assert digest_of(one, plan) == digest_of(same, spaced)
    assert len({digest_of(one, plan), digest_of(other, plan), digest_of(one, changed)}) == 3


def test_open_table_positions_reach_the_size(write: Write, make_map: MakeMap) -> None:
    """The progress of a file ends at its size."""
    path = write(text())
    table = open_table(path, make_map())
    list(table.chunks(["kwh"]))
    assert table.position() == path.stat().st_size
    table.close()
