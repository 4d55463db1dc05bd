"""Law 2 for the ledger: against a naive dictionary, any order, duplication and cut; keys, loading and forgetting."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from factories import AT_MS, ENTERPRISE, GENERATION, make_block
from hypothesis import given, settings
from hypothesis import strategies as st

from nengliu.analysis.ledger import (
    ALL_KNOWN,
    AS_SENT,
    COLUMNS,
    MAX_SLOTS,
    Ledger,
    Merge,
    Verdict,
    at_of,
    key_of,
    origin_of,
    rank_of,
    slot_of,
)
from nengliu.domain.quality import SPEAKS_FIRST, Origin
from nengliu.domain.times import CHINA_OFFSET_MS, DAY_MS
from schemas.block import Block

Reading = dict[str, Any]
Key = tuple[str, int, int]
DAY_0 = (AT_MS + CHINA_OFFSET_MS) // DAY_MS * DAY_MS - CHINA_OFFSET_MS

raw = st.fixed_dictionaries(
    {
        "point": st.sampled_from(["a", "b"]),
        "at_ms": st.sampled_from([AT_MS, AT_MS + 1, AT_MS + DAY_MS]),
        "origin": st.sampled_from([0, 3]),
        "ticks": st.integers(-1, 2),
        "sequence": st.integers(0, 3),
        "quality": st.integers(0, 6),
        "sent": st.integers(0, 99),
    }
)


def numbered(readings: Sequence[Reading]) -> list[Reading]:
    """Give readings their log positions in the order they stand in."""
    return [r | {"position": GENERATION + i, "received_at_s": 1000 + i} for i, r in enumerate(readings)]


def key(reading: Reading) -> Key:
    """What there is one of."""
    return reading["point"], reading["at_ms"], reading["origin"]


def naive(readings: Sequence[Reading]) -> tuple[dict[Key, Reading], list[Reading], list[int]]:
    """Law 2 by the book: standing readings, losers, and a verdict each."""
    standing: dict[Key, Reading] = {}
    losers, verdicts = [], []
    for new in readings:
        old = standing.get(key(new))
        if old is None:
            standing[key(new)], verdict = dict(new), Verdict.NEW
        elif old["ticks"] == new["ticks"]:
            verdict = Verdict.RAISED if new["sequence"] > old["sequence"] else Verdict.DUPLICATE
            old["sequence"] = max(old["sequence"], new["sequence"])
        elif (new["sequence"], new["ticks"]) > (old["sequence"], old["ticks"]):
            losers.append(old)
            standing[key(new)], verdict = dict(new), Verdict.REPLACED
        else:
            losers.append(dict(new))
            verdict = Verdict.LOST
        verdicts.append(int(verdict))
    return standing, losers, verdicts


def rows_of(ledger: Ledger, keys: Any, columns: Any) -> list[Reading]:
    """Rows of the ledger as readings."""
    found = []
    for i, packed in enumerate(np.asarray(keys).tolist()):
        one = np.array([packed], np.uint64)
        row = {name: int(columns[name][i]) for name in columns if name not in ("reason", "sent_unit")}
        point = ledger.points[int(slot_of(one)[0])][1]
        found.append(row | {"point": point, "at_ms": int(at_of(one)[0]), "origin": int(origin_of(one)[0])})
    return found


def cut(readings: Sequence[Reading], seed: int) -> list[list[Reading]]:
    """Cut a log into batches of any size, empty ones too."""
    rng, rest, found = random.Random(seed), list(readings), []
    while rest:
        size = rng.choice([0, 1, 2, 5, 60])
        found.append(rest[:size])
        rest = rest[size:]
    return found


def merge_all(
    ledger: Ledger, batches: Sequence[Sequence[Reading]]
) -> tuple[list[int], list[Reading], list[Merge]]:
    """Merge batches; say the verdicts and the losers."""
    verdicts: list[int] = []
    losers: list[Reading] = []
    merges = []
    for batch in batches:
        merged = ledger.merge(make_block(batch))
        verdicts += merged.verdict.tolist()
        losers += rows_of(ledger, merged.superseded_keys, merged.superseded)
        merges.append(merged)
    return verdicts, losers, merges


def ordered(rows: Sequence[Reading]) -> list[Any]:
    """What the ledger keeps of rows, without an order of their own."""
    names = {"point", "at_ms", "origin", *COLUMNS, *AS_SENT}
    return sorted(sorted((name, value) for name, value in row.items() if name in names) for row in rows)


@settings(max_examples=250, deadline=None)
@given(readings=st.lists(raw, max_size=25), seed=st.integers(0, 10**6))
def test_ledger_equals_the_naive_dictionary_however_the_log_is_cut(
    readings: list[Reading], seed: int
) -> None:
    """Standing rows, losers and verdicts, position included, are those of readings taken one by one."""
    log = numbered(readings)
    standing, losers, verdicts = naive(log)
    ledger = Ledger()
    found, lost, _ = merge_all(ledger, cut(log, seed))

    assert found == verdicts
    assert ordered(rows_of(ledger, ledger.rows.keys, ledger.rows.columns)) == ordered(list(standing.values()))
    assert ordered(lost) == ordered(losers)
    assert (np.diff(ledger.rows.keys.astype(object)) > 0).all()


@settings(max_examples=250, deadline=None)
@given(readings=st.lists(raw, max_size=20), data=st.data())
def test_ledger_ends_the_same_whatever_the_delivery(readings: list[Reading], data: st.DataObject) -> None:
    """Shuffled, doubled and cut, the same value stands with the same sequence, and the same values are in conflict."""
    again = data.draw(st.lists(st.sampled_from(readings), max_size=8)) if readings else []
    order = data.draw(st.permutations([*readings, *again]))
    best: dict[Key, tuple[int, int]] = {}
    values: dict[Key, set[int]] = {}
    for reading in readings:
        rank = reading["sequence"], reading["ticks"]
        best[key(reading)] = max(best.get(key(reading), rank), rank)
        values.setdefault(key(reading), set()).add(reading["ticks"])

    for log in (numbered(readings), numbered(order)):
        ledger = Ledger()
        _, lost, _ = merge_all(ledger, cut(log, len(log)))
        rows = rows_of(ledger, ledger.rows.keys, ledger.rows.columns)
        assert {key(r): (r["sequence"], r["ticks"]) for r in rows} == best
        conflicts: dict[Key, set[int]] = {k: {rank[1]} for k, rank in best.items()}
        for reading in lost:
            conflicts[key(reading)].add(reading["ticks"])
        assert conflicts == values


@settings(max_examples=100, deadline=None)
@given(readings=st.lists(raw, min_size=1, max_size=20))
def test_ledger_fed_twice_changes_nothing(readings: list[Reading]) -> None:
    """A replay into a living ledger finds nothing new: no row moves, no sequence rises."""
    ledger = Ledger()
    merge_all(ledger, [numbered(readings)])
    before = ordered(rows_of(ledger, ledger.rows.keys, ledger.rows.columns))
    verdicts, _, _ = merge_all(ledger, [numbered(readings)])

    assert set(verdicts) <= {Verdict.DUPLICATE, Verdict.LOST}
    assert ordered(rows_of(ledger, ledger.rows.keys, ledger.rows.columns)) == before


def test_merge_says_which_loser_had_stood() -> None:
    """A row that is displaced is told from one that lost on arrival."""
    ledger = Ledger()
    ledger.merge(make_block([{"ticks": 5, "sequence": 5}]))
    merged = ledger.merge(make_block([{"ticks": 4, "sequence": 4}, {"ticks": 6, "sequence": 6}]))

    assert merged.verdict.tolist() == [Verdict.LOST, Verdict.REPLACED]
    assert merged.superseded["ticks"].tolist() == [4, 5]
    assert merged.displaced.tolist() == [False, True]


def test_merge_of_equal_sequences_takes_the_larger_ticks() -> None:
    """A tie is settled by the value, in either order."""
    for first, second in ((7, 8), (8, 7)):
        ledger = Ledger()
        merge_all(ledger, [[{"ticks": first}], [{"ticks": second}]])
        assert ledger.rows.columns["ticks"].tolist() == [8]


def test_merge_keeps_the_unit_as_sent_of_each_reading() -> None:
    """Units are numbered over the shard, whatever number they have in their block."""
    ledger = Ledger()
    ledger.merge(make_block([{"at_ms": 1}], units=(("kWh", 2),)))
    ledger.merge(
        make_block(
            [{"at_ms": 2}, {"at_ms": 3}],
            units=(("MWh", 3), ("kWh", 2)),
            sent_unit=np.array([0, 1], np.uint16),
        )
    )

    assert [ledger.units[i] for i in ledger.rows.columns["sent_unit"]] == [("kWh", 2), ("MWh", 3), ("kWh", 2)]


@given(slot=st.integers(0, MAX_SLOTS - 1), at=st.integers(0, 2**42 - 1), origin=st.integers(0, 7))
def test_key_packs_and_unpacks_every_slot_time_and_origin(slot: int, at: int, origin: int) -> None:
    """Nothing overlaps at the edges, and a later time is a larger key."""
    key = key_of(np.array([slot], np.int32), np.array([at]), np.array([origin], np.uint8))

    assert (int(slot_of(key)[0]), int(at_of(key)[0]), int(origin_of(key)[0])) == (slot, at, origin)
    later = key_of(np.array([slot], np.int32), np.array([min(at + 1, 2**42 - 1)]))
    assert int(later[0]) > int(key[0]) or at == 2**42 - 1


def test_keys_of_one_instant_stand_in_the_order_in_which_origins_speak() -> None:
    """What collectors read goes first, then OPC and SQL, then files, and what people say last, whatever its number."""
    keys = {
        origin: int(key_of(np.array([1], np.int32), np.array([AT_MS]), int(origin))[0]) for origin in Origin
    }
    assert [origin.name for origin in sorted(keys, key=keys.__getitem__)] == [
        *("TIMED", "COMMAND", "BACKFILL", "OPC", "SQL", "FILE", "MANUAL"),
    ]
    assert [int(place) for place in rank_of(np.array(SPEAKS_FIRST))] == list(range(len(Origin)))


def test_store_ranks_origins_as_the_ledger_does() -> None:
    """The questions that choose among origins name the same order."""
    part = files("nengliu.storage") / "queries" / "parts" / "rank.sql"
    said = [int(word) for word in re.findall(r"\d+", part.read_text(encoding="utf-8"))]
    assert said == [int(origin) for origin in SPEAKS_FIRST]


class Stored:
    """A loader that writes down what it was asked."""

    def __init__(self, *readings: Reading) -> None:
        self.readings, self.asked = readings, []

    def __call__(self, points: list[tuple[str, str]], from_ms: Any, before: int) -> Block | None:
        self.asked.append(([point for _, point in points], from_ms.tolist(), before))
        found: list[Reading] = []
        for (_, point), start in zip(points, from_ms.tolist(), strict=True):
            own = [r for r in self.readings if r["point"] == point and r["position"] < before]
            since = max((r["at_ms"] for r in own if r["at_ms"] < start), default=start)
            found += [r for r in own if r["at_ms"] >= since]
        return make_block(found) if found else None


def stored(point: str, at_ms: int, offset: int, ticks: int = 1, sequence: int = 1) -> Reading:
    """Make a reading as a store would give it back."""
    return {
        "point": point,
        "at_ms": at_ms,
        "position": GENERATION + offset,
        "ticks": ticks,
        "sequence": sequence,
    }


def test_loader_is_asked_once_per_point_from_the_day_on() -> None:
    """The first reading of a point asks for its day, as of where the run began; the second asks nothing."""
    loader = Stored(stored("a", AT_MS, 3))
    ledger = Ledger(loader)
    verdicts, _, _ = merge_all(
        ledger, [[stored("a", AT_MS, 10)], [stored("a", AT_MS + 1, 11)], [stored("b", AT_MS, 12)]]
    )

    assert verdicts == [Verdict.DUPLICATE, Verdict.NEW, Verdict.NEW]
    assert loader.asked == [(["a"], [DAY_0], GENERATION + 10), (["b"], [DAY_0], GENERATION + 10)]


def test_loader_is_asked_again_for_an_earlier_day_only() -> None:
    """With a reading before the wanted day there may be more; without one everything is known."""
    loader = Stored(stored("a", DAY_0 - 5 * DAY_MS, 1), stored("a", DAY_0 - 1, 2))
    ledger = Ledger(loader)
    days = [DAY_0, DAY_0 + DAY_MS, DAY_0 - 2 * DAY_MS, DAY_0 - 9 * DAY_MS, DAY_0 - 99 * DAY_MS]
    merge_all(ledger, [[stored("a", day + 7, 10 + i)] for i, day in enumerate(days)])

    assert [asked[1] for asked in loader.asked] == [[DAY_0], [DAY_0 - 2 * DAY_MS], [DAY_0 - 9 * DAY_MS]]
    assert ledger.known_from.tolist() == [ALL_KNOWN]
    assert len(ledger.rows.keys) == 2 + len(days)


def trim(ledger: Ledger) -> list[int]:
    """Forget now what may be forgotten; say the offsets that are held still."""
    ledger._trim_beyond = 0
    ledger._trim()
    return (ledger.rows.columns["position"] - GENERATION).tolist()


def test_trim_forgets_old_days_and_keeps_the_neighbour() -> None:
    """Rows of old days may go, but the last of them stays as neighbour; what is stored is asked for again."""
    loader = Stored(*(stored("a", AT_MS + i, i) for i in range(5)), stored("a", AT_MS + 3 * DAY_MS, 9))
    ledger = Ledger(loader, keep_ms=0)
    merge_all(ledger, [loader.readings[:5]])
    assert trim(ledger) == [0, 1, 2, 3, 4]  # one day only
    merge_all(ledger, [loader.readings[5:]])
    assert trim(ledger) == [4, 9]
    for _ in range(2):
        ledger.seal()

    assert ledger.merge(make_block([stored("a", AT_MS, 12)])).verdict.tolist() == [Verdict.DUPLICATE]
    assert [asked[2] - GENERATION for asked in loader.asked] == [0, 10]
    assert len(ledger.rows.keys) == 6


@pytest.mark.parametrize("seals", [0, 1, 2])
def test_trim_puts_aside_what_is_not_surely_stored(seals: int) -> None:
    """A row forgotten before it is surely stored is found again, though the store does not have it yet."""
    readings = [*(stored("a", AT_MS + i, i) for i in range(3)), stored("a", AT_MS + 9 * DAY_MS, 5)]
    loader = Stored()
    ledger = Ledger(loader, keep_ms=0)
    merge_all(ledger, [readings])
    assert trim(ledger) == [2, 5]
    for _ in range(seals):
        ledger.seal()
    loader.readings = tuple(readings) if seals == 2 else ()

    assert ledger.merge(make_block([stored("a", AT_MS, 7, ticks=9, sequence=0)])).verdict.tolist() == [
        Verdict.LOST
    ]


@pytest.mark.parametrize("seals", [0, 1])
def test_trim_puts_aside_a_raised_sequence_that_is_not_surely_stored(seals: int) -> None:
    """A duplicate raises the stored sequence; until that is stored, the store's word alone would be stale."""
    loader = Stored(*(stored("a", AT_MS + i, i) for i in range(3)))
    ledger = Ledger(loader, keep_ms=0)
    merge_all(ledger, [[*loader.readings, stored("a", AT_MS + 9 * DAY_MS, 5)]])
    for _ in range(2):
        ledger.seal()
    merge_all(ledger, [[stored("a", AT_MS, 6, sequence=9)]])
    assert trim(ledger) == [2, 5]
    for _ in range(seals):
        ledger.seal()

    assert ledger.merge(make_block([stored("a", AT_MS, 7, ticks=2, sequence=5)])).verdict.tolist() == [
        Verdict.LOST
    ]


def test_ledger_without_a_loader_forgets_nothing() -> None:
    """What nobody can give back is never dropped."""
    ledger = Ledger(keep_ms=0, max_rows=0)
    for i in range(4):
        merge_all(ledger, [[stored("a", AT_MS + i * DAY_MS, i)]])
        trim(ledger)

    assert len(ledger.rows.keys) == 4


def test_ledger_refuses_more_points_than_a_key_can_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """One point too many is an error, not a wrong key."""
    monkeypatch.setattr("nengliu.analysis.ledger.MAX_SLOTS", 1)
    ledger = Ledger()
    ledger.slot((ENTERPRISE, "a"))

    with pytest.raises(OverflowError, match="more partitions"):
        ledger.slot((ENTERPRISE, "b"))
