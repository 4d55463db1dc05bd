"""The laws over one random story: whoever runs it, and however it is cut, the tables are what the judge says.

`broken(seed)` runs one story in five ways and says what does not hold; `make test` asks it for a few seeds,
`make prove-d` for ten thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isclose
from typing import Any

import plant_windows as judge
from plant_run import TOTALS, WINDOWS, PlantStore, run
from plant_story import Event, Story, tell

from nengliu.analysis.intake.rows import Tally
from nengliu.bus import Record
from nengliu.domain.points import Kind

POSITIONS = ("position", "revision", "partition", "offset")
LEVELS = {f"window_{level}": level for level in ("15min", "hour", "day", "month")}
PARTITIONS = 2


def broken(seed: int) -> list[str]:
    """Say which laws a story breaks, and where; nothing if all hold."""
    story = tell(seed)
    logs, positions = story.records(PARTITIONS), story.positions(PARTITIONS)
    truth = judge.judge(story.events, positions)
    store, tallies = run(logs, seed)
    found = [
        *_totals(truth, store),
        *_tallies(truth, tallies),
        *_readings(truth, store),
        *_windows(truth, store),
        *_sources(story, positions, store),
    ]
    if not story.changed:
        found += _known_then(story, positions, store)
    whole = store.final()
    for number, (law, way) in enumerate(WAYS.items()):
        if (seed + number) % 2:
            found += _differences(law, way(logs, seed + number), whole)
    return found + list(_one_partition(story, store))


def _one_by_one(logs: list[list[Record]], seed: int) -> PlantStore:
    """Run the partitions one after the other, as a single worker may."""
    store = PlantStore()
    for log in logs:
        part, _ = run([log], seed)
        for name, table in part.tables.items():
            store.tables[name].update(table)
    return store


WAYS: dict[str, Callable[[list[list[Record]], int], PlantStore]] = {
    "law 2, other batches and all forgotten that may be": lambda *of: run(*of, forgetful=True)[0],
    "law 2, by way of readings.valid": lambda *of: run(*of, apart=True)[0],
    "law 2, one worker after the other": _one_by_one,
    "law 7, after crashes": lambda *of: run(*of, crashes=3)[0],
    "law 7, after crashes and by way of readings.valid": lambda *of: run(*of, crashes=3, apart=True)[0],
    "law 7, after crashes, forgetful and apart": lambda *of: run(*of, crashes=3, forgetful=True, apart=True)[
        0
    ],
}
"""Ways to run a story that must end in the same tables; of two stories in a row each way runs one."""


def _tallies(truth: judge.Truth, tallies: list[Tally]) -> Iterator[str]:
    """Law 3: received = valid + duplicate + quarantined, message by message, as the judge counts."""
    counted = {
        (t.record.key, t.record.position): (t.received, t.valid, t.duplicate, t.quarantined)
        for t in tallies
        if t.received
    }
    for key in counted.keys() | truth.tallies.keys():
        if counted.get(key) != truth.tallies.get(key):
            yield f"law 3: message {key}: expected {truth.tallies.get(key)}, got {counted.get(key)}"


def _readings(truth: judge.Truth, store: PlantStore) -> Iterator[str]:
    """Law 2: of two values the later source sequence stands."""
    expected = {
        key: (r.said.ticks, r.position, r.sequence, r.quality, r.reason) for key, r in truth.standing.items()
    }
    names = ("ticks", "position", "sequence", "quality", "reason")
    key_names = ("enterprise", "point", "read_at", "origin")
    rows = store.intake.standing()
    got = {tuple(row[n] for n in key_names): tuple(row[n] for n in names) for row in rows}
    for key in expected.keys() | got.keys():
        if expected.get(key) != got.get(key):
            yield f"law 2: reading {key}: expected {expected.get(key)}, got {got.get(key)}"


def _windows(truth: judge.Truth, store: PlantStore) -> Iterator[str]:
    """Laws 1, 4 and 5: every window on every level is what an independent loop finds, its trust included."""
    for key in truth.points:
        levels = judge.windows(truth, key)
        for table, level in LEVELS.items():
            expected = levels[level]
            rows = {
                at * 1000: row
                for (*point, at), row in store.windows.tables[table].items()
                if tuple(point) == key
            }
            for at in sorted(expected.keys() | rows.keys()):
                wrong = _unlike(expected.get(at), rows.get(at))
                if wrong:
                    yield f"law 1: {table} {key[1]} {at}: (expected, got) {wrong}"


def _totals(truth: judge.Truth, store: PlantStore) -> Iterator[str]:
    """Law 1 in space: an enterprise is the sum of its points at the boundary, on every level."""
    for name in TOTALS:
        sums: dict[tuple[str, str, int], int] = {}
        for (enterprise, point, at), row in store.windows.tables[name.replace("total", "window")].items():
            known = truth.points[enterprise, point]
            if known.metering_level == 1 and known.kind is not Kind.GAUGE:
                key = enterprise, known.item, at
                sums[key] = sums.get(key, 0) + row["used"] * 10 ** (18 - known.decimals)
        for (enterprise, node, item, _, at), row in store.totals.tables[name].items():
            used = row["used"] * 10 ** (18 - row["decimals"])
            expected = sums.pop((enterprise, item, at), 0) if node == "" else used
            if used != expected:
                yield f"law 1: {name} {enterprise} {at}: expected {expected}, got {used} (1e-18)"
        for key in sums:
            yield f"law 1: {name} {key}: no total"


def _unlike(
    expected: dict[str, object] | None, got: dict[str, object] | None
) -> dict[str, tuple[object, object]]:
    if expected is None or got is None:
        return {"row": (expected, got)}
    wrong = {name: (expected[name], got[name]) for name in judge.WHOLE if expected[name] != got[name]}
    for name in judge.REAL:
        a, b = float(str(expected[name])), float(str(got[name]))
        if not (isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) or (a != a and b != b)):  # noqa: PLR0124 - NaN
            wrong[name] = (a, b)
    return wrong


def _sources(story: Story, positions: list[int], store: PlantStore) -> Iterator[str]:
    """Law 9: the revision of a window names a message that spoke of its point; a day names its book of factors."""
    told: dict[tuple[str, str], set[int]] = {}
    for event, position in zip(story.events, positions, strict=True):
        for point in _spoken_of(event):
            told.setdefault((event.key, point), set()).add(position)
    for table in WINDOWS:
        for (enterprise, point, at), row in store.windows.tables[table].items():
            if row["revision"] not in told[enterprise, point]:
                yield f"law 9: {table} {point} {at}: no message {row['revision']} speaks of it"
            if "book" in row and row["book"] != "book-1":
                yield f"law 9: {table} {point} {at}: book {row['book']!r}"


def _spoken_of(event: Event) -> set[str]:
    points = {said.point for said in event.said}
    return points | {event.point.point} if event.point else points


def _known_then(story: Story, positions: list[int], store: PlantStore) -> Iterator[str]:
    """Law 4: current rows and history still say what an earlier day knew, where the log is in order of receipt."""
    order = [max((said.received for said in event.said), default=0) for event in story.events]
    reached = 0
    for at in order:
        if at and at < reached:
            return
        reached = max(reached, at)
    days = sorted({(at + 28_800) // 86_400 for at in order if at})
    for day in days[:-1]:
        end_s = (day + 1) * 86_400 - 28_800
        known = [
            i for i, event in enumerate(story.events) if all(said.received < end_s for said in event.said)
        ]
        truth = judge.judge([story.events[i] for i in known], [positions[i] for i in known])
        yield from _as_of(truth, store, end_s)


def _as_of(truth: judge.Truth, store: PlantStore, end_s: int) -> Iterator[str]:
    for level in ("15min", "day"):
        newest: dict[tuple[object, ...], dict[str, object]] = {}
        tables = store.windows.tables[f"window_{level}"], store.windows.tables[f"window_{level}_history"]
        for table in tables:
            for row in table.values():
                key = row["enterprise"], row["point"], row["period_start"] * 1000
                if row["known_at"] < end_s and row["revision"] >= newest.get(key, row)["revision"]:
                    newest[key] = row
        for point in truth.points:
            expected = {at: row["used"] for at, row in judge.windows(truth, point)[level].items()}
            got = {key[2]: row["used"] for key, row in newest.items() if key[:2] == point}
            if expected != got:
                yield f"law 4: {level} {point[1]} as of {end_s}: {len(expected)} expected, {len(got)} known"


def _differences(law: str, other: PlantStore, whole: dict[str, dict[Any, str]]) -> Iterator[str]:
    """Two runs have the same rows in every table, revision included."""
    for name, table in other.final().items():
        for key in table.keys() | whole[name].keys():
            if table.get(key) != whole[name].get(key):
                yield f"{law}: {name} {key}: expected {whole[name].get(key)}, got {table.get(key)}"


def _one_partition(story: Story, store: PlantStore) -> Iterator[str]:
    """Law 2: as many partitions as you like; only positions, which count within a partition, differ."""
    other, _ = run(story.records(1), story.seed + 5)
    for table in WINDOWS:
        first, second = (_values(one, table) for one in (store, other))
        for key in first.keys() | second.keys():
            if first.get(key) != second.get(key):
                yield f"law 2, one partition: {table} {key}: expected {first.get(key)}, got {second.get(key)}"


def _values(store: PlantStore, table: str) -> dict[Any, str]:
    rows = store.windows.tables[table].items()
    return {key: str(sorted((n, v) for n, v in row.items() if n not in POSITIONS)) for key, row in rows}
