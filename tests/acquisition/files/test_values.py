"""Values become whole ticks exactly, or are rejected with the reason."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from acquisition.files.catalogue import Series
from acquisition.files.reader import Instants, Numbers
from acquisition.files.values import LARGEST, ValueReader
from nengliu.domain.points import Column, Kind, Point
from nengliu.domain.quality import Reason


def reader(
    decimals: int = 2, kind: Kind = Kind.PERIOD, unit: str = "kWh", rounding: str = "auto", **kw: object
) -> ValueReader:
    """A reader of one series."""
    point = Point("91320000MA1EXAMPL3", "p", "p", kind, "electricity", "kWh", 2)
    labels = frozenset(kw.get("labels", ()))  # type: ignore[call-overload]
    series = Series("p", point, Column("p", unit, decimals), labels, bool(kw.get("suffix")), rounding)
    return ValueReader(series, frozenset({"", "#N/A", "Not Available"}))


def one(text: object, **kw: object) -> tuple[int, Reason]:
    """Ticks and reason of one cell."""
    found = reader(**kw).read([text])  # type: ignore[arg-type]
    return int(found.ticks[0]), Reason(int(found.reason[0]))


@pytest.mark.parametrize(
    ("text", "ticks"),
    [
        ("3.17", 317),
        ("-0.5", -50),
        ("+7", 700),
        (" 12.30 ", 1230),
        (".5", 50),
        ("5.", 500),
        ("1e3", 100_000),
        ("\uff11\uff12\uff0e\uff15", 1250),
        ("3.1700", 317),
        ("0", 0),
        ("-0", 0),
        ("0e-9", 0),
        (12, 1200),
        (Decimal("1.25"), 125),
        (2.5, 250),
    ],
)
def test_read_number_of_any_spelling_gives_its_ticks(text: object, ticks: int) -> None:
    """A number is the same whether as plain text, with exponent, in full-width digits or as a cell."""
    assert one(text) == (ticks, Reason.NONE)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", Reason.EMPTY_VALUE),
        ("#N/A", Reason.EMPTY_VALUE),
        (None, Reason.EMPTY_VALUE),
        ("x", Reason.NOT_A_NUMBER),
        ("1,5", Reason.NOT_A_NUMBER),
        ("1_000", Reason.NOT_A_NUMBER),
        ("#DIV/0!", Reason.NOT_A_NUMBER),
        (True, Reason.NOT_A_NUMBER),
        ("NaN", Reason.NOT_FINITE),
        ("-inf", Reason.NOT_FINITE),
        (float("nan"), Reason.NOT_FINITE),
        ("1.234", Reason.NOT_EXACT),
        ("92233720368547758.08", Reason.OUT_OF_INT64),
        ("-92233720368547758.08", Reason.OUT_OF_INT64),
        ("1e9999", Reason.OUT_OF_INT64),
        ("9" * 99, Reason.OUT_OF_INT64),
        ("9" * 500, Reason.NOT_A_NUMBER),
        (1e300, Reason.OUT_OF_INT64),
        ("265.8MWh", Reason.NOT_A_NUMBER),
    ],
)
def test_read_no_number_gives_its_reason(text: object, reason: Reason) -> None:
    """What is no usable number is told by its own reason."""
    assert one(text)[1] == reason


def test_read_largest_tick_is_kept() -> None:
    """The largest number that fits is stored to its last digit."""
    assert one("92233720368547758.07") == (LARGEST, Reason.NONE)


def test_read_suffix_checks_the_unit_in_the_cell() -> None:
    """A unit in the cell may go by any of its names, but must be the declared one."""
    made = reader(decimals=4, unit="MWh", suffix=True)
    found = made.read(["265.8125MWh", "1 mwh", "2kWh", "3", "xMWh", "2.5 兆瓦时"])
    assert found.ticks.tolist() == [2658125, 10000, 0, 0, 0, 25000]
    assert [Reason(int(r)).name for r in found.reason] == [
        "NONE",
        "NONE",
        "WRONG_UNIT",
        "WRONG_UNIT",
        "NOT_A_NUMBER",
        "NONE",
    ]


def test_read_gauge_text_with_float_noise_is_rounded_and_not_counted() -> None:
    """244033.76819999999 is 244033.7682: the noise is beyond the ninth digit and loses nothing."""
    found = reader(decimals=4, kind=Kind.GAUGE).read(
        ["244033.76819999999", "2.00005", "2.00015", "1.00004999999"]
    )
    assert found.ticks.tolist() == [2440337682, 20000, 20002, 10000]
    assert found.rounded.tolist() == [False, True, True, True]


def test_read_floats_rounds_and_counts_what_is_lost() -> None:
    """A float32 that its four decimals give back is whole; one that they do not is counted as rounded."""
    values = np.array([52.1147, 8.3167, 1.23456, 0.0, np.nan, np.inf, 1e30], np.float32)
    found = reader(decimals=4).read(Numbers(values, np.array([False] * 7)))
    assert found.ticks[:4].tolist() == [521147, 83167, 12346, 0]
    assert found.rounded.tolist() == [False, False, True, False, False, False, False]
    assert found.reason[4:].tolist() == [Reason.NOT_FINITE, Reason.NOT_FINITE, Reason.OUT_OF_INT64]


def test_read_floats_when_exact_is_asked_rejects_what_is_lost() -> None:
    """A map may forbid rounding."""
    found = reader(decimals=1, rounding="exact").read(
        Numbers(np.array([1.5, 1.25]), np.array([False, False]))
    )
    assert found.reason.tolist() == [Reason.NONE, Reason.NOT_EXACT]


def test_read_integers_near_the_limit_are_exact() -> None:
    """Whole numbers beyond 2**53 keep their last digit; those that do not fit are refused."""
    limit = LARGEST // 100
    values = np.array([limit, limit + 1, -limit, -(2**63)], np.int64)
    found = reader().read(Numbers(values, np.array([False] * 4)))
    assert found.ticks.tolist() == [limit * 100, 0, -limit * 100, 0]
    assert found.reason.tolist() == [0, Reason.OUT_OF_INT64, 0, Reason.OUT_OF_INT64]


def test_read_nulls_and_moments_are_no_numbers() -> None:
    """A null is empty, a stamp is no number."""
    empty = reader().read(Numbers(np.array([0.0]), np.array([True])))
    moment = reader().read(Instants(np.array([0]), np.array([False]), True))
    assert (empty.reason[0], moment.reason[0]) == (Reason.EMPTY_VALUE, Reason.NOT_A_NUMBER)


@given(st.integers(-LARGEST, LARGEST), st.integers(0, 9))
@example(LARGEST, 0)
@example(-1, 9)
def test_read_decimal_text_round_trips(ticks: int, decimals: int) -> None:
    """A number written with its decimals and read again is the same tick, to the last digit."""
    text = format(Decimal(ticks).scaleb(-decimals) if abs(ticks) < 10**28 else Decimal(ticks), "f")
    assert one(text, decimals=decimals) == (ticks, Reason.NONE)


@given(st.text(max_size=30))
def test_read_any_text_never_raises(text: str) -> None:
    """No text brings the reader down, with a unit in the cell or without."""
    for suffix in (False, True):
        found = reader(suffix=suffix, kind=Kind.GAUGE).read([text])
        assert found.reason[0] or abs(int(found.ticks[0])) <= LARGEST


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20), st.integers(0, 4))
def test_read_floats_is_never_off_by_more_than_half_a_tick(values: list[float], decimals: int) -> None:
    """Rounding moves a value by at most half a tick."""
    found = reader(decimals=decimals).read(Numbers(np.array(values, np.float64), np.zeros(len(values), bool)))
    assert (np.abs(found.ticks - np.array(values) * 10**decimals) <= 0.5 + 1e-3).all()
