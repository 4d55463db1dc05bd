"""Restatement: exactly the rows whose factor changed, whatever is stored yet, whatever crashes (laws 4 and 7)."""

from __future__ import annotations

import math
import os
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nengliu.analysis.named_rows import month_of
from nengliu.analysis.rollups.restate import About, Restater, Stored, Told, changes
from nengliu.domain.books import USES, book_of
from nengliu.domain.points import Seat
from schemas.block import Labels, Rows

LAWS = settings(
    deadline=None,
    max_examples=int(os.environ.get("LAW_CASES", "40")),
    suppress_health_check=list(HealthCheck),
)
DAY_S = 86_400
FIRST_S = 1_704_038_400  # 2024-01-01 in China
DAYS = 75
TOLD = Told(1000, FIRST_S + 400 * DAY_S)
E = ("91320000MA1EXAMPL3", "91440000MA1EXAMPL4")
ABOUT = {
    (E[0], "a"): About("electricity", "320500"),
    (E[0], "b"): About("heat", "320500"),
    (E[1], "a"): About(
        "electricity", "440300", (Seat(0, "320500", ""), Seat((FIRST_S + 20 * DAY_S) * 1000, "440300", ""))
    ),
    (E[1], "c"): About("product", "440300"),
}
ROW = {
    "item": "heat",
    "factor": "co2",
    "basis": "",
    "region": "",
    "preference": "3",
    "valid_from": "2000-01-01",
    "valid_to": "",
    "value": "1",
}
WORTH = {"coal_kgce": USES[0], "coal_equal_kgce": USES[1], "co2_kg": USES[2]}
COLUMNS = ("period_start", "used", "decimals", "received", "known_at", "revision", *WORTH, "book")


def _book(rng, digest):
    rows = []
    for item in ("electricity", "heat"):
        for factor, basis in USES:
            for _ in range(rng.randrange(0, 4)):
                first, last = sorted(rng.sample(range(DAYS + 10), 2))
                rows.append(
                    {
                        "item": item,
                        "factor": factor,
                        "basis": basis,
                        "region": rng.choice(["", "", "32", "44|3205", E[0]]),
                        "preference": rng.choice(["1", "3", "3", ""]),
                        "valid_from": _date(first),
                        "valid_to": rng.choice([_date(last), ""]),
                        "value": str(rng.choice([0.5, 0.25, 1.5])),
                    }
                )
    return rows, book_of(digest, rows)


def _date(day):
    return str(np.datetime64("2024-01-01") + day)


def _factor(rows, use, pair, day):
    """The factor a person would find: by preference, then the nearest place, then the latest."""
    about = ABOUT[pair]
    region = next(r for start, r in reversed(about.regions()) if (FIRST_S + day * DAY_S) * 1000 >= start)
    best, value = None, math.nan
    for row in rows:
        places = row["region"].split("|")
        ends = row["valid_to"] or "9999"
        if (row["item"], row["factor"], row["basis"]) != (about.item, *use) or not row["preference"]:
            continue
        if not row["valid_from"] <= _date(day) < ends:
            continue
        if not any(p == pair[0] or region.startswith(p) for p in places):
            continue
        rank = (-int(row["preference"]), max(map(len, places)), row["valid_from"])
        if best is None or rank >= best:
            best, value = rank, float(row["value"])
    return value


def _days(rng, rows, digest):
    """Day rows of every point as the rollups would have left them: {(pair, day): row}."""
    found = {}
    for pair in ABOUT:
        for day in range(DAYS):
            if rng.random() < 0.8:
                row = {
                    "used": rng.randrange(-50, 10**6),
                    "decimals": 2,
                    "received": rng.randrange(97),
                    "book": digest,
                }
                row |= {
                    "known_at": FIRST_S + (day + rng.randrange(3)) * DAY_S,
                    "revision": rng.randrange(1, 900),
                }
                row |= {"period_start": FIRST_S + day * DAY_S}
                row |= {
                    name: row["used"] / 100.0 * _factor(rows, use, pair, day) for name, use in WORTH.items()
                }
                found[pair, day] = row
    return found


def _months(days):
    """Month rows by loops, in order of the days."""
    found = {}
    for (pair, day), row in sorted(days.items()):
        start = int(month_of(np.array([FIRST_S + day * DAY_S]))[0]) // 1000
        month = found.setdefault(
            (pair, start),
            {"period_start": start, "used": 0, "decimals": 2, "received": 0}
            | dict.fromkeys(WORTH, 0.0)
            | {"known_at": 0, "revision": 0},
        )
        for name in ("used", "received", *WORTH):
            month[name] += row[name]
        for name in ("known_at", "revision"):
            month[name] = max(month[name], row[name])
        month["book"] = row["book"]
    return found


def _rows(table, found):
    """Rows of a table as the engine says them."""
    pairs = list(dict.fromkeys(pair for pair, _ in found))
    codes = np.array([pairs.index(pair) for pair, _ in found], np.int32)
    columns = {name: np.array([row[name] for row in found.values()]) for name in COLUMNS if name != "book"}
    columns["revision"] = columns["revision"].astype(np.uint64)
    books = sorted({row["book"] for row in found.values()})
    columns["book"] = Labels(
        np.array([books.index(row["book"]) for row in found.values()], np.int32), tuple(books)
    )
    names = {
        "enterprise": Labels(codes, tuple(p[0] for p in pairs)),
        "point": Labels(codes, tuple(p[1] for p in pairs)),
    }
    return Rows(table, names | columns)


class Store:
    """Tables by key; a row stays until one of at least its revision comes; the loader of a restatement."""

    def __init__(self, days=(), months=()):
        self.tables = {"window_day": dict(days), "window_month": dict(months), "window_day_history": {}}

    def write(self, rows):
        plain = {
            n: np.array(c.dictionary, object)[c.codes] if isinstance(c, Labels) else c
            for n, c in rows.columns.items()
        }
        for i in range(len(rows)):
            row = {name: plain[name][i] for name in COLUMNS}
            row = {name: value.item() if hasattr(value, "item") else value for name, value in row.items()}
            pair, start = (plain["enterprise"][i], plain["point"][i]), row["period_start"]
            place = start if rows.table == "window_month" else (start - FIRST_S) // DAY_S
            key = (pair, place, row["revision"]) if "history" in rows.table else (pair, place)
            table = self.tables[rows.table]
            if key not in table or row["revision"] >= table[key]["revision"]:
                table[key] = row

    def _newest(self, before):
        found = {}
        kept = {key[:2]: [] for key in (*self.tables["window_day"], *self.tables["window_day_history"])}
        for table in ("window_day", "window_day_history"):
            for key, row in self.tables[table].items():
                kept[key[:2]].append(row)
        for key, rows in kept.items():
            known = [row for row in rows if row["revision"] < before]
            if known:
                found[key] = max(known, key=lambda row: row["revision"])
        return found

    def months(self, changed, before):
        items = {change.item for change in changed}
        days = [day for pair, day in self._newest(before) if ABOUT[pair].item in items]
        return {int(month_of(np.array([FIRST_S + day * DAY_S]))[0]) for day in days}

    def load(self, items, month_ms, before):
        for enterprise in E:
            about = {
                pair: what for pair, what in ABOUT.items() if pair[0] == enterprise and what.item in items
            }
            days = {
                key: row
                for key, row in self._newest(before).items()
                if key[0] in about and int(month_of(np.array([row["period_start"]]))[0]) == month_ms
            }
            months = {
                key: row
                for key, row in self.tables["window_month"].items()
                if key[0] in about and key[1] * 1000 == month_ms
            }
            if days:
                yield Stored(_rows("window_day", days), _rows("window_month", months), about)


def _world(seed):
    rng = random.Random(seed)
    (old_rows, old), (new_rows, new) = _book(rng, "old"), _book(rng, "new")
    if rng.random() < 0.3:  # often only one row differs
        new_rows = [dict(row) for row in old_rows]
        if new_rows:
            rng.choice(new_rows)["value"] = "9.75"
        new = book_of("new", new_rows)
    return rng, old_rows, old, new_rows, new


def _expected(days, old_rows, new_rows):
    """What must stand afterwards, and what goes to the history, by loops."""
    after, history = {}, {}
    for (pair, day), row in days.items():
        was = [_factor(old_rows, use, pair, day) for use in USES]
        now = [_factor(new_rows, use, pair, day) for use in USES]
        if all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(was, now, strict=True)):
            after[pair, day] = row
            continue
        history[pair, day, row["revision"]] = row
        worth = {name: row["used"] / 100.0 * value for name, value in zip(WORTH, now, strict=True)}
        told = {"book": "new", "revision": TOLD.position, "known_at": max(row["known_at"], TOLD.at_s)}
        after[pair, day] = row | worth | told
    return after, history


def _plain(table):
    """Rows with numbers that compare: NaN is NaN, and sums of floats to the last bit but three."""
    return {
        key: {n: f"{v:.12g}" if isinstance(v, float) else v for n, v in row.items()}
        for key, row in sorted(table.items())
    }


@LAWS
@given(seed=st.integers(0, 10**6))
def test_restatement_rewrites_exactly_the_rows_whose_factor_changed(seed):
    """Days by an independent loop, the replaced ones in the history, months the sums of their days, no row more."""
    rng, old_rows, old, new_rows, new = _world(seed)
    days = _days(rng, old_rows, "old")
    store = Store(days, _months(days))
    before = {name: dict(table) for name, table in store.tables.items()}
    said = list(Restater(store).restate(old, new, TOLD, 10**6, ABOUT.__getitem__))
    for rows in said:
        store.write(rows)
    after, history = _expected(days, old_rows, new_rows)
    assert _plain(store.tables["window_day"]) == _plain(after)
    assert _plain(store.tables["window_day_history"]) == _plain(history)
    changed = {(pair, _months({(pair, day): row}).popitem()[0][1]) for (pair, day, _), row in history.items()}
    months = {key: row for key, row in _months(after).items() if key in changed}
    for row in months.values():
        row["book"] = "new"
    assert _plain(store.tables["window_month"]) == _plain(before["window_month"] | months)
    rows = {name: sum(len(r) for r in said if r.table == name) for name in store.tables}
    assert rows == {
        "window_day": len(history),
        "window_day_history": len(history),
        "window_month": len(changed),
    }


@LAWS
@given(seed=st.integers(0, 10**6), share=st.floats(0, 1))
def test_restatement_finds_rows_that_are_not_stored_yet(seed, share):
    """What was said and may not be stored is remembered; the result is the same."""
    rng, old_rows, old, _, new = _world(seed)
    days = _days(rng, old_rows, "old")
    months, border = _months(days), int(900 * share)
    whole, part = (
        Store(days, months),
        Store({k: r for k, r in days.items() if r["revision"] < border}, months),
    )
    restater = Restater(part)
    fresh = {k: r for k, r in days.items() if r["revision"] >= border}
    if fresh:
        newer = {k: r for k, r in months.items() if r["revision"] >= border}
        restater.see([_rows("window_day", fresh), Rows("window_15min", {}), _rows("window_month", newer)])
        part.write(_rows("window_day", fresh))
    restater.seal(border)
    for store, said in (
        (whole, Restater(whole).restate(old, new, TOLD, 10**6, ABOUT.__getitem__)),
        (part, restater.restate(old, new, TOLD, border, ABOUT.__getitem__)),
    ):
        for rows in list(said):
            store.write(rows)
    assert {n: _plain(t) for n, t in part.tables.items()} == {n: _plain(t) for n, t in whole.tables.items()}


@LAWS
@given(seed=st.integers(0, 10**6), share=st.floats(0, 1))
def test_restatement_after_a_crash_ends_with_the_same_rows(seed, share):
    """Law 7: a crash after any of its writes, and the book read again: the same tables, revision included."""
    rng, old_rows, old, _, new = _world(seed)
    days = _days(rng, old_rows, "old")
    whole, broken = Store(days, _months(days)), Store(days, _months(days))
    for rows in list(Restater(whole).restate(old, new, TOLD, TOLD.position, ABOUT.__getitem__)):
        whole.write(rows)
    said = list(Restater(broken).restate(old, new, TOLD, TOLD.position, ABOUT.__getitem__))
    for rows in said[: int(len(said) * share)]:
        broken.write(rows)
    for rows in list(Restater(broken).restate(old, new, TOLD, TOLD.position, ABOUT.__getitem__)):
        broken.write(rows)
    assert {n: _plain(t) for n, t in broken.tables.items()} == {n: _plain(t) for n, t in whole.tables.items()}


def test_restatement_leaves_a_newer_month_alone():
    """A month that a later reading already rewrote is not put back: its own replay will say it again."""
    old, new = book_of("old", [ROW]), book_of("new", [ROW | {"value": "2"}])
    days = _days(random.Random(1), [ROW], "old")
    months = {key: row | {"revision": 5000} for key, row in _months(days).items()}
    said = Restater(Store(days, months)).restate(old, new, TOLD, 900, ABOUT.__getitem__)
    assert {rows.table for rows in said} == {"window_day", "window_day_history"}


@pytest.mark.parametrize("change", [{}, {"source": "other", "edition": "2"}, {"factor": "deductible"}])
def test_books_that_say_the_same_change_nothing(change):
    """Another source, another edition or a rule of deduction is no other factor."""
    assert (
        changes(
            book_of("a", [ROW]), book_of("b", [ROW, ROW | change] if "factor" in change else [ROW | change])
        )
        == ()
    )


def test_changes_name_the_item_and_the_days():
    """A value that changes for one year is one stretch, whatever the neighbours."""
    cut = [
        ROW | {"valid_to": "2024-01-01"},
        ROW | {"valid_from": "2024-01-01", "valid_to": "2025-01-01", "value": "2"},
        ROW | {"valid_from": "2025-01-01"},
    ]
    (change,) = changes(book_of("a", [ROW]), book_of("b", cut))
    assert change == ("heat", FIRST_S * 1000, (FIRST_S + 366 * DAY_S) * 1000)


def test_restated_days_are_laid_over_what_a_loader_finds_until_they_are_stored():
    """A month first touched after the book, in the same run, sums the new worth; once sealed the store tells it."""
    old, new = book_of("old", [ROW]), book_of("new", [ROW | {"value": "2"}])
    days = _days(random.Random(3), [ROW], "old")
    store = Store(days, _months(days))
    restater = Restater(store)
    for rows in restater.restate(old, new, TOLD, 900, ABOUT.__getitem__):
        store.write(rows)
    said = [(E[0], "a"), (E[0], "b")]
    kept = [key for key in days if key[0] in said]

    def loader(points, month_ms, before):
        columns = {name: np.array([days[key][name] for key in kept]) for name in WORTH}
        columns |= {
            "index": np.array([said.index(pair) for pair, _ in kept]),
            "period_start_s": np.array([days[key]["period_start"] for key in kept]),
            "known_at_s": np.array([days[key]["known_at"] for key in kept]),
            "revision": np.array([days[key]["revision"] for key in kept], np.uint64),
        }
        return said, columns

    for sealed in (False, True):
        _, columns = restater.over(loader)(said, np.array([0]), 900)
        expected = days if sealed else store.tables["window_day"]
        for name, shown in (("co2_kg", "co2_kg"), ("revision", "revision"), ("known_at_s", "known_at")):
            assert np.array_equal(
                columns[name], [expected[key][shown] for key in kept], equal_nan=name == "co2_kg"
            )
        restater.seal(TOLD.position + 1)
