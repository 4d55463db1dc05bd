"""Tariffs: every quarter-hour has one band and one price, by month, kind of day and date."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nengliu.domain.calendars import DayKind, days_of, shipped_rows
from nengliu.domain.tariffs import Band, bands, prices, tariffs_of
from nengliu.domain.times import CHINA, QUARTER_MS, day_of, from_ms, to_ms
from nengliu.errors import ContractError

DAYS = days_of(shipped_rows("days")[1])
HOURS, PRICES = shipped_rows("tariffs")[1], shipped_rows("tariff_prices")[1]
TARIFFS = tariffs_of(HOURS, PRICES, DAYS)
WHOLE = {
    "tariff": "t",
    "valid_from": "2020-01-01",
    "valid_to": "",
    "months": "all",
    "days": "all",
    "start": "00:00",
    "end": "24:00",
    "band": "flat",
}
NOON = {**WHOLE, "days": "holiday", "start": "10:00", "end": "14:00", "band": "deep_valley"}
PRICE = {"tariff": "t", "band": "flat", "valid_from": "2020-01-01", "valid_to": "", "price": "0.5"}


def at(*when: int) -> np.ndarray:
    """One instant in China civil time."""
    return np.array([to_ms(datetime(*when, tzinfo=CHINA))])  # type: ignore[misc]


def looped(name: str, at_ms: int) -> int:
    """Band by a loop over the rows, the last that fits."""
    moment, found = from_ms(at_ms), 0
    for row in HOURS:
        first, _, last = row["months"].replace("all", "1-12").split()[-1].partition("-")
        named = {int(month) for month in row["months"].split() if month.isdigit()}
        months = named | set(range(int(first), int(last or first) + 1))
        hour, minute = moment.hour, moment.minute
        inside = row["start"] <= f"{hour:02}:{minute:02}" < row["end"]
        if row["tariff"] == name and moment.month in months and inside:
            found = Band[row["band"].upper()]
    return found


@pytest.mark.parametrize("name", sorted(TARIFFS))
@given(quarter=st.integers(1_900_000, 2_400_000))
def test_band_of_a_quarter_hour_is_what_the_rows_say(name: str, quarter: int) -> None:
    """A loop over the rows finds the same band, and it has a price (2024 to 2038)."""
    at_ms = np.array([quarter * QUARTER_MS])

    assert bands(TARIFFS[name], at_ms)[0] == looped(name, int(at_ms[0])) > 0
    assert prices(TARIFFS[name], at_ms)[0] > 0


@given(quarter=st.integers(1_900_000, 2_400_000), inside=st.integers(0, QUARTER_MS - 1))
def test_band_holds_for_the_whole_quarter_hour(quarter: int, inside: int) -> None:
    """A stored window has one band."""
    both = np.array([quarter * QUARTER_MS, quarter * QUARTER_MS + inside])

    assert len(set(bands(TARIFFS["shandong_industry_1_10kv"], both).tolist())) == 1


def test_band_of_a_summer_evening_in_jiangsu_is_sharp() -> None:
    """Worked by hand from the rows that ship."""
    jiangsu = TARIFFS["jiangsu_industry_1_10kv"]

    assert [int(bands(jiangsu, at(2026, 7, 1, 20, m))[0]) for m in (0, 45)] == [Band.SHARP, Band.SHARP]
    assert bands(jiangsu, at(2026, 7, 1, 19, 45))[0] == Band.PEAK
    assert bands(jiangsu, at(2026, 6, 30, 20, 0))[0] == Band.PEAK
    assert bands(jiangsu, at(2026, 7, 1, 7, 59))[0] == Band.VALLEY


def test_band_follows_the_kind_of_the_day() -> None:
    """Noon of a holiday is deep valley, of the Sunday worked for it not."""
    tariff = tariffs_of([WHOLE, NOON], [], DAYS)["t"]

    assert bands(tariff, at(2026, 2, 17, 12))[0] == Band.DEEP_VALLEY
    assert DAYS.kinds(day_of(at(2026, 2, 14)))[0] == DayKind.WORK
    assert bands(tariff, at(2026, 2, 14, 12))[0] == Band.FLAT
    assert bands(tariff, at(2026, 2, 17, 14))[0] == Band.FLAT


def test_band_and_price_change_on_their_dates() -> None:
    """Before a tariff there is no band, before a price there is none, and a new edition holds from its midnight."""
    newer = {**WHOLE, "valid_from": "2025-01-01", "band": "peak"}
    older = {**WHOLE, "valid_to": "2025-01-01"}
    spans = [PRICE, {**PRICE, "band": "peak", "valid_from": "2025-07-01", "price": "0.9"}]
    tariff = tariffs_of([older, newer], spans, DAYS)["t"]
    when = np.concatenate(
        [at(2019, 12, 31, 23, 45), at(2020, 1, 1), at(2024, 12, 31, 23, 45), at(2025, 1, 1), at(2025, 7, 1)]
    )

    assert bands(tariff, when).tolist() == [0, Band.FLAT, Band.FLAT, Band.PEAK, Band.PEAK]
    assert prices(tariff, when).tolist() == pytest.approx([np.nan, 0.5, 0.5, np.nan, 0.9], nan_ok=True)


@pytest.mark.parametrize(
    ("hours", "spans", "said"),
    [
        ([{**WHOLE, "start": "00:15"}], [], "no band in month 1, work day, 00:00"),
        ([{**WHOLE, "days": "work rest"}], [], "no band in month 1, holiday day"),
        ([WHOLE, {**WHOLE, "start": "22:00", "end": "06:00"}], [], "expected an end after the start"),
        ([{**WHOLE, "band": "noon"}], [], "NOON"),
        ([{**WHOLE, "months": "13"}], [], "months 1 to 12"),
        ([WHOLE], [{**PRICE, "tariff": "other"}], "expected a tariff that has hours, got 'other'"),
        ([WHOLE], [{**PRICE, "price": "cheap"}], "cheap"),
        ([{name: text for name, text in WHOLE.items() if name != "end"}], [], "end"),
    ],
)
def test_tariff_that_cannot_be_meant_so_is_refused(
    hours: list[dict[str, str]], spans: list[dict[str, str]], said: str
) -> None:
    """A gap in the day, an unknown band, a price of nothing: refused with the row."""
    with pytest.raises(ContractError, match=said) as caught:
        tariffs_of(hours, spans, DAYS)
    assert caught.value.reason == "BAD_FIELD"
