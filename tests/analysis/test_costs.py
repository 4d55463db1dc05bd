"""Cost of days: whole ticks by band, one price each, and a revision that says what it was made of."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nengliu.analysis.costs import Payer, Quarters, Tariffs, cost_rows
from nengliu.domain.calendars import days_of, shipped_rows
from nengliu.domain.points import Kind, Point, Tariffed
from nengliu.domain.tariffs import Band, tariffs_of

QUARTER_MS, DAY_MS = 900_000, 86_400_000
MONDAY_MS = 1_767_542_400_000
"""2026-01-05 in China, a working day."""
HOURS = [
    {"tariff": "t", "months": "all", "days": "all", "start": "00:00", "end": "08:00", "band": "valley"},
    {"tariff": "t", "months": "all", "days": "all", "start": "08:00", "end": "24:00", "band": "peak"},
]
PRICES = [{"tariff": "t", "band": "peak", "price": "1.5"}, {"tariff": "t", "band": "valley", "price": "0.25"}]
VALID = {"valid_from": "2020-01-01", "valid_to": ""}
DAYS = days_of(shipped_rows("days")[1])
BOOK = Tariffs(
    "book",
    tariffs_of([row | VALID for row in HOURS], [row | VALID for row in PRICES], DAYS),
    position=70,
    at_s=500,
)


def _point(*tariffs, unit="kWh", decimals=2):
    return Point("E", "p", "p", Kind.COUNTER, "electricity", unit, decimals, tariffs=tuple(tariffs))


def _quarters(used, days=1, payers=1):
    """Quarter-hours of each payer and day, one after the other."""
    count = 96 * days * payers
    day = np.arange(count) // 96
    start = MONDAY_MS + day % days * DAY_MS + np.arange(count) % 96 * QUARTER_MS
    return Quarters(
        payer=np.repeat(np.arange(payers), days),
        day_ms=np.tile(MONDAY_MS + np.arange(days) * DAY_MS, payers),
        day_revision=np.full(days * payers, 11, np.uint64),
        day=day,
        start_ms=start,
        used=np.array(used, np.int64),
        estimated=np.array(used, np.int64) // 2,
        known_at_s=np.arange(count) + 1000,
        revision=np.arange(count).astype(np.uint64) + np.uint64(60),
    )


def _shown(rows, name):
    column = rows.columns[name]
    return column.values.reshape(len(rows), -1).tolist()


def test_cost_sums_whole_ticks_by_band_before_it_prices_them():
    """0.1 kWh at three decimals many times over: the sum of a band is exact, and priced once."""
    rows = cost_rows([Payer(_point(Tariffed(0, "t"), decimals=3), 40)], BOOK, _quarters([100] * 96))

    used = [0] * len(Band) + [0]
    used[Band.VALLEY], used[Band.PEAK] = 32 * 100, 64 * 100
    assert _shown(rows, "used") == [used]
    amount = _shown(rows, "amount")[0]
    assert (amount[Band.VALLEY], amount[Band.PEAK]) == (3.2 * 0.25, 6.4 * 1.5)
    names = rows.columns["tariff"]
    assert [names.dictionary[code] for code in names.codes] == ["t"]


def test_revision_is_the_newest_of_windows_point_and_tariff():
    """A later window, a later notice of the point or a later book of tariffs each raise it; nothing else does."""
    at = [
        int(cost_rows([Payer(_point(Tariffed(0, "t")), p)], BOOK, _quarters([1] * 96)).columns["revision"][0])
        for p in (40, 900)
    ]
    assert at == [60 + 95, 900]
    later = Tariffs("book", BOOK.by_name, position=2000, at_s=9999)
    rows = cost_rows([Payer(_point(Tariffed(0, "t")), 40)], later, _quarters([1] * 96))
    assert (int(rows.columns["revision"][0]), int(rows.columns["known_at"][0])) == (2000, 9999)
    assert int(rows.columns["day_revision"][0]) == 11


def test_tariff_that_begins_in_the_afternoon_begins_with_the_next_day():
    """A band has one price a day; energy before the first tariff has none."""
    begins = Tariffed(MONDAY_MS + 50 * QUARTER_MS, "t")
    rows = cost_rows([Payer(_point(begins), 40)], BOOK, _quarters([1] * 192, days=2))

    first, second = _shown(rows, "used")
    assert first[0] == 96
    assert (second[0], second[Band.VALLEY], second[Band.PEAK]) == (0, 32, 64)
    assert math.isnan(_shown(rows, "amount")[0][0])
    names = rows.columns["tariff"]
    assert [names.dictionary[code] for code in names.codes] == ["", "t"]


@pytest.mark.parametrize("point", [_point(Tariffed(0, "unheard-of")), _point(Tariffed(0, "t"), unit="t")])
def test_energy_without_a_price_has_no_cost(point):
    """A tariff nobody told, or an amount that is no energy: undefined, never free."""
    rows = cost_rows([Payer(point, 40)], BOOK, _quarters([5] * 96))
    amount, used = _shown(rows, "amount")[0], _shown(rows, "used")[0]
    assert sum(used) == 5 * 96
    assert all(math.isnan(a) == (u != 0) for a, u in zip(amount, used, strict=True))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), days=st.integers(1, 3), payers=st.integers(1, 3))
def test_bands_of_a_day_add_up_to_its_quarter_hours(seed, days, payers):
    """Conservation: no tick is lost between the bands, whoever pays."""
    used = np.random.default_rng(seed).integers(-5, 10**12, 96 * days * payers)
    points = [_point(Tariffed(0, "t"))] * payers
    rows = cost_rows([Payer(point, 40) for point in points], BOOK, _quarters(used, days, payers))
    assert [sum(row) for row in _shown(rows, "used")] == used.reshape(-1, 96).sum(1).tolist()
    assert [sum(row) for row in _shown(rows, "estimated")] == (used // 2).reshape(-1, 96).sum(1).tolist()
