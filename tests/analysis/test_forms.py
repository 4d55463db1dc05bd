"""Forms people fill in: read from any table with their heads, made into notices, mistakes told row by row."""

from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import msgspec
import openpyxl
import pytest
from factories import ENTERPRISE, make_meter, make_point
from hypothesis import given, settings
from hypothesis import strategies as st

from nengliu.analysis.forms import production, values
from nengliu.analysis.forms.production import activities_of, amount, figure, measures, period_of
from nengliu.analysis.forms.sheets import LONGEST, TEMPLATES, Line, read_form, template_csv, template_xlsx
from nengliu.analysis.forms.values import (
    Doubt,
    Neighbour,
    doubts,
    entries_of,
    points_of,
    refusals,
    time_of,
    unit_at,
)
from nengliu.analysis.notices import MEASURES, is_period
from nengliu.domain.points import Formula, Kind
from nengliu.domain.quality import Origin, Reason
from nengliu.errors import ContractError, InputError
from schemas.messages import Activity, Entered

HEADS = production.HEADS
NOW_S = 1_772_323_200
"""2026-03-01 08:00 in China."""
METERS = (make_meter(modulus=10**8), make_meter(from_ms=NOW_S * 1000 - 3_600_000, unit="MWh", decimals=3))
POINTS = [
    make_point("e", meters=METERS, valid_from_ms=1000),
    make_point("p", Kind.PERIOD, unit="t", interval_s=3600),
    make_point("sum", Kind.PERIOD, interval_s=0, formulas=(Formula(0, "e * 2"),)),
]


def lines(text: str, heads: Any = HEADS, needed: tuple[str, ...] = production.NEEDED) -> list[Line]:
    return read_form(text.encode(), "x.csv", heads, needed)


def workbook(rows: list[list[Any]], formats: dict[str, str] | None = None) -> bytes:
    book, stream = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    for cell, shown in (formats or {}).items():
        book.active[cell].number_format = shown
    book.save(stream)
    return stream.getvalue()


# -- sheets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_table_of_each_encoding_is_read_by_its_heads(encoding: str) -> None:
    """Columns may stand in any order, under a title, with others among them; blank rows are no rows."""
    text = "2026年报表,,\n\n数值,备注,指标,期间\n 12.5 ,x,产量,2026-03\n,,,\n3,,产值,2026-03\n"
    found = read_form(text.encode(encoding), "报表.CSV", HEADS, production.NEEDED)
    assert [(line.row, line.get("value"), line.get("measure"), line.get("product")) for line in found] == [
        (4, "12.5", "产量", ""),
        (6, "3", "产值", ""),
    ]


def test_workbook_says_what_a_spreadsheet_shows() -> None:
    """Numbers to 15 digits, days as days, and a month that the spreadsheet made a date of as the month."""
    day = openpyxl.utils.datetime.from_excel(46082)
    rows = [
        ["Period", "Measure", "Value"],
        [day, "Output", 0.1 + 0.2],
        [day, "Output", 7],
        ["2026-03", "Staff", "8"],
    ]
    found = read_form(
        workbook(rows, {"A2": "mmm-yy", "A3": "yyyy-mm-dd"}), "x.xlsx", HEADS, production.NEEDED
    )
    assert [(line.get("period"), line.get("value")) for line in found] == [
        ("2026-03", "0.3"),
        ("2026-03-01 00:00:00", "7"),
        ("2026-03", "8"),
    ]
    figures, rejected = activities_of(found)
    assert rejected == []
    assert [one.period for one in figures] == ["2026-03", "2026-03-01", "2026-03"]


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"a,b\n1,2", "x.csv", "expected a row with the heads"),
        (b"", "x.csv", "start from the template"),
        (b"\xff\xfe\x01\xff", "x.csv", "expected UTF-8 or GB 18030"),
        ('期间,指标,数值\n"'.encode(), "x.csv", ""),
        (b"PK no workbook", "x.xlsx", "expected an XLSX workbook"),
        (b"x", "x.pdf", ".csv or .xlsx"),
        (b"x" * (16 * 1024 * 1024 + 1), "x.csv", "at most 16 MiB"),
    ],
)
def test_file_that_is_no_form_says_what_was_expected(content: bytes, name: str, said: str) -> None:
    """Whatever is handed in ends in rows or in one sentence that names the file."""
    if not said:
        assert read_form(content, name, HEADS, production.NEEDED) == []
        return
    with pytest.raises(InputError, match=said):
        read_form(content, name, HEADS, production.NEEDED)


def test_form_that_is_too_long_is_refused() -> None:
    """History is imported by another command."""
    text = "period,measure,value\n" + "2026-03,Staff,1\n" * (LONGEST + 1)
    with pytest.raises(InputError, match="nengliu import"):
        lines(text)


@given(st.binary(max_size=300), st.sampled_from(["x.csv", "x.xlsx"]))
@settings(max_examples=150, deadline=None)
def test_bytes_of_any_kind_are_read_or_refused(content: bytes, name: str) -> None:
    """Nothing a person hands in raises anything but a sentence."""
    try:
        read_form(
            b"period,measure,value\n" + content if name == "x.csv" else content,
            name,
            HEADS,
            production.NEEDED,
        )
    except InputError as error:
        assert name in str(error)


@pytest.mark.parametrize("kind", TEMPLATES)
@pytest.mark.parametrize("chinese", [True, False])
def test_template_is_read_back_as_it_was_written(kind: str, chinese: bool) -> None:
    """An empty template has a row per measure and product, each of which says that its value is missing."""
    form = production.template(["2026-03"], ["水泥", "熟料"], chinese=chinese)
    found = read_form(TEMPLATES[kind][0](form), f"x.{kind}", HEADS, production.NEEDED)
    assert len(found) == len(form.rows) == 4 + 2 * 2
    figures, rejected = activities_of(found)
    assert figures == ()
    assert {one.reason for one in rejected} == {Reason.EMPTY_VALUE}
    filled = [[*row[:3], "5", *row[4:]] for row in form.rows]
    figures, rejected = activities_of(
        read_form(
            TEMPLATES[kind][0](type(form)(form.heads, filled, form.choices)),
            f"x.{kind}",
            HEADS,
            production.NEEDED,
        )
    )
    assert rejected == []
    assert {(one.measure, one.value, one.unit) for one in figures} == {
        (f"{name}:{product}" if product else name, 5.0, unit)
        for name, unit in MEASURES.items()
        for product in (("水泥", "熟料") if name in ("output", "plan") else ("",))
    }


def test_formula_in_a_template_is_text() -> None:
    """A name that begins like a formula is written as it is."""
    form = production.template(["2026-03"], ["=1+1"], chinese=True)
    sheet = openpyxl.load_workbook(io.BytesIO(template_xlsx(form))).active
    assert "=1+1" in {cell.value for row in sheet.iter_rows() for cell in row}
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if cell.value} == {"s"}
    assert template_csv(form).startswith(b"\xef\xbb\xbf")


# -- production -----------------------------------------------------------------------------------


def test_measures_of_the_list_are_those_of_the_log() -> None:
    """The list of words and the contract name the same measures and units, in the same order."""
    assert {one.measure: one.unit for one in measures().values()} == MEASURES
    assert list(measures()) == list(MEASURES)


@pytest.mark.parametrize(
    ("written", "period"),
    [
        ("2026-03", "2026-03"),
        ("2026/3", "2026-03"),
        ("2026年3月", "2026-03"),
        ("202603", "2026-03"),
        ("2026-3-5", "2026-03-05"),
        ("2026年3月5日", "2026-03-05"),
        ("2026-03-05 00:00:00", "2026-03-05"),
        ("2026.03.05", "2026-03-05"),
    ],
)
def test_period_as_people_write_it_is_a_month_or_a_day(written: str, period: str) -> None:
    """Many ways to write it, one in the log."""
    assert period_of(written) == period
    assert is_period(period)


@pytest.mark.parametrize(
    "written",
    ["2026-13", "2026-02-30", "26-03", "March", "2026", "2026-03-05 08:00", "\uff12\uff10\uff12\uff16-03"],
)
def test_period_that_does_not_exist_is_refused(written: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ContractError) as caught:
        period_of(written)
    assert caught.value.reason == "NOT_A_TIME"


@pytest.mark.parametrize(
    ("written", "value"), [("1,234.5", 1234.5), ("0", 0.0), ("-3", -3.0), ("1e3", 1000.0), ("12", 12.0)]
)
def test_amount_as_people_write_it_is_a_number(written: str, value: float) -> None:
    """Thousands may be grouped."""
    assert amount(written) == value


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "EMPTY_VALUE"),
        ("12,5", "NOT_A_NUMBER"),
        ("1,23,456", "NOT_A_NUMBER"),
        ("nan", "NOT_FINITE"),
        ("1e16", "OUT_OF_INT64"),
        ("5t", "NOT_A_NUMBER"),
    ],
)
def test_amount_that_is_none_is_refused_with_its_reason(written: str, reason: str) -> None:
    """A comma that could be a decimal point is not guessed at."""
    with pytest.raises(ContractError) as caught:
        amount(written)
    assert caught.value.reason == reason


def test_rows_become_figures_in_words_of_either_language() -> None:
    """Names of measures and units in Chinese or English, with or without product; a word takes a figure back."""
    found, rejected = activities_of(
        lines(
            "期间,指标,产品,数值,单位,来源\n"
            '2026-03,产量, 水泥  熟料 ,"1,250.5",吨,月报\n'
            "2026-03,Output value,,300,10k CNY,\n"
            "2026-03-01,shifts,,3,班,\n"
            "2026-03,增加值,,-12,万元,亏损\n"
            "2026-03,计划,,9,t,\n".replace("计划", "生产计划")
            + "2026-02,plan,水泥,撤回,t,\n"
        )
    )
    assert rejected == []
    assert found == (
        Activity("output:水泥 熟料", "2026-03", 1250.5, "t", "月报"),
        Activity("output_value", "2026-03", 300.0, "10k CNY", ""),
        Activity("shifts", "2026-03-01", 3.0, "shifts", ""),
        Activity("value_added", "2026-03", -12.0, "10k CNY", "亏损"),
        Activity("plan", "2026-03", 9.0, "t", ""),
        Activity("plan:水泥", "2026-02", None, "t", ""),
    )


def test_rows_that_cannot_be_figures_are_told_with_row_reason_and_field() -> None:
    """One mistake does not hide the others."""
    text = (
        "period,measure,product,value,unit,source\n"
        "2026-03,rain,,1,,\n,output,,1,,\n2026-03,,,1,,\n2026-03,staff,x,1,,\n2026-03,output,,1,kg,\n"
        "2026-03,staff,,-1,,\n2026-03,output,,1,,a\u200bb\n2026-03,output,,1,,\n2026/3,output,,2,,\n2026-03,output,,,,\n"
    )
    found, rejected = activities_of(lines(text))
    assert [one.value for one in found] == [1.0]
    assert [(one.row, Reason(one.reason).name, one.parameters.get("field", "")) for one in rejected] == [
        (2, "BAD_FIELD", "measure"),
        (3, "MISSING_FIELD", "period"),
        (4, "MISSING_FIELD", "measure"),
        (5, "BAD_FIELD", "product"),
        (6, "WRONG_UNIT", ""),
        (7, "BAD_FIELD", "value"),
        (8, "BAD_FIELD", "source"),
        (10, "VALUE_CONFLICT", "period"),
        (11, "EMPTY_VALUE", ""),
    ]


def test_figure_of_a_form_is_that_of_a_row() -> None:
    """A page and a file make the same of the same words."""
    assert figure("output", "水泥", "2026-03", "5", "x") == Activity("output:水泥", "2026-03", 5.0, "t", "x")


# -- values ---------------------------------------------------------------------------------------


def entry_lines(*rows: str) -> list[Line]:
    return lines("测点,时间,数值,单位,原因\n" + "\n".join(rows), values.HEADS, values.NEEDED)


def test_rows_become_entries_in_the_unit_of_the_register_that_served_then() -> None:
    """A unit that is left out is the one a person reads: of the meter of that time, of an amount the point's."""
    found, rejected = entries_of(
        entry_lines(
            "e,2026-03-01 06:00,12.50,,表坏", "e,2026/3/1 7:30,0.125,,表坏", "p,2026-02-28,3,kg,补报"
        ),
        POINTS,
    )
    assert rejected == []
    assert [(one.point, one.value, one.unit) for one in found] == [
        ("e", "12.50", "kWh"),
        ("e", "0.125", "MWh"),
        ("p", "3", "kg"),
    ]
    assert found[0].read_at_ms == NOW_S * 1000 - 2 * 3_600_000
    assert unit_at(POINTS[0], 0) == "kWh"


def test_rows_that_cannot_be_entries_are_told_with_row_and_reason() -> None:
    """Unknown points, times and numbers, missing reasons, the same point and time twice."""
    found, rejected = entries_of(
        entry_lines(
            "x,2026-03-01,1,,a",
            "e,soon,1,,a",
            "e,2026-03-01,many,,a",
            "e,2026-03-01,1,,",
            ",2026-03-01,1,,a",
            "e,2026-03-01,1,,a",
            "e,2026-03-01 00:00,2,,a",
            "e,,1,,a",
            "e,2026-03-02,,,a",
        ),
        POINTS,
    )
    assert [one.value for one in found] == ["1"]
    assert [(one.row, Reason(one.reason).name) for one in rejected] == [
        (2, "UNKNOWN_POINT"),
        (3, "NOT_A_TIME"),
        (4, "NOT_A_NUMBER"),
        (5, "MISSING_FIELD"),
        (6, "MISSING_FIELD"),
        (8, "VALUE_CONFLICT"),
        (9, "MISSING_FIELD"),
        (10, "EMPTY_VALUE"),
    ]


@pytest.mark.parametrize(
    ("row", "reason", "got"),
    [
        (Entered("e", NOW_S * 1000 - 7_200_000, "1.005", "kWh", "a"), "NOT_EXACT", "1.005 kWh"),
        (Entered("e", NOW_S * 1000 - 7_200_000, "1000000", "kWh", "a"), "OVER_MODULUS", "1000000 kWh"),
        (Entered("e", NOW_S * 1000 - 7_200_000, "-1", "kWh", "a"), "NEGATIVE_REGISTER", "-1 kWh"),
        (Entered("e", NOW_S * 1000 + 301_000, "1", "MWh", "a"), "STAMP_IN_FUTURE", "2026-03-01 08:05"),
        (Entered("e", 999, "1", "kWh", "a"), "BEFORE_POINT", "1970-01-01 08:00"),
        (Entered("e", NOW_S * 1000 - 7_200_000, "1", "m3", "a"), "WRONG_UNIT", "m3"),
        (Entered("sum", NOW_S * 1000 - 7_200_000, "1", "kWh", "a"), "COMPUTED_POINT", ""),
        (Entered("nobody", NOW_S * 1000 - 7_200_000, "1", "kWh", "a"), "UNKNOWN_POINT", ""),
    ],
)
def test_entry_that_ingest_would_refuse_is_told_before(row: Entered, reason: str, got: str) -> None:
    """The same function judges, so the form promises nothing that the stream denies."""
    sound = Entered("e", NOW_S * 1000 - 7_200_000, "1", "kWh", "a")
    (told,) = refusals(POINTS, [sound, row], NOW_S, 300)
    assert (told.row, Reason(told.reason).name, told.point) == (2, reason, row.point)
    assert told.parameters.get("got", "") == got
    assert refusals(POINTS, [sound], NOW_S, 300) == []
    assert refusals(POINTS, [], NOW_S, 300) == []


def around(side: str, value: str, at_ms: int, unit: str = "kWh", origin: Origin = Origin.TIMED) -> Neighbour:
    return Neighbour(side, at_ms, Decimal(value), unit, origin)


def test_doubts_are_what_a_person_should_look_at() -> None:
    """A register that steps back in the same meter, an instant that is taken, an amount off its interval."""
    at = NOW_S * 1000 - 5 * 3_600_000
    row = Entered("e", at, "100.00", "kWh", "a")
    before, after = around("before", "99.99", at - 1), around("after", "100.01", at + 1)
    assert doubts(POINTS[0], row, [before, after]) == []
    assert doubts(POINTS[0], row, [around("before", "0.10001", at - 1, "MWh")]) == [Doubt.BELOW_BEFORE]
    assert doubts(POINTS[0], row, [around("after", "99.99", at + 1)]) == [Doubt.ABOVE_AFTER]
    exchanged = around("after", "0.001", NOW_S * 1000, "MWh")
    assert doubts(POINTS[0], row, [exchanged]) == []
    there = [around("at", "1", at), around("at", "2", at, origin=Origin.MANUAL)]
    assert doubts(POINTS[0], row, there) == [Doubt.AUTOMATIC, Doubt.CORRECTS]
    assert doubts(POINTS[1], Entered("p", at, "1", "t", "a"), [around("before", "9", at - 1, "t")]) == []
    assert doubts(POINTS[1], Entered("p", at + 1, "1", "t", "a"), []) == [Doubt.OFF_INTERVAL]


def test_template_of_values_names_every_point_that_takes_them() -> None:
    """Each row has point, time and unit; a computed point has none."""
    form = values.template(POINTS, NOW_S * 1000, chinese=False)
    assert [row[0] for row in form.rows] == ["e", "p"]
    assert {row[1] for row in form.rows} == {"2026-03-01 08:00"}
    found, rejected = entries_of(
        read_form(template_xlsx(form), "x.xlsx", values.HEADS, values.NEEDED), POINTS
    )
    assert (found, len(rejected)) == ((), 2)


@pytest.mark.parametrize(
    "text", ["2026-03-01T08:00+08:00", "2026-03-01 08:00", "2026/3/1 8:00", "2026-03-01T00:00:00Z"]
)
def test_time_as_people_write_it_is_china_unless_it_names_its_zone(text: str) -> None:
    """All of them are eight in the morning."""
    assert time_of(text) == NOW_S * 1000


def test_definition_that_cannot_be_read_is_left_out() -> None:
    """A point of a newer program does not keep the others from being offered."""
    known = msgspec.json.encode(POINTS[0]).decode()
    assert [point.point for point in points_of(["{}", known, "nonsense"])] == ["e"]
    assert POINTS[0].enterprise == ENTERPRISE
