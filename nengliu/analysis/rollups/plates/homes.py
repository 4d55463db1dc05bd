"""Homes: which point list lies in which plate, and how a list comes into one.

A list begins in the general way.  Once the ledger shows its newest rows to be whole and alike for all its points, and
the general way has just made the windows of those days, list, rows and windows move into a plate.  It leaves
when something comes that is not plain, and may return when its ring has moved past that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Facts
from nengliu.analysis.ledger import ALL_KNOWN, Ledger, at_of, key_of, origin_of
from nengliu.analysis.rollups.plates.plate import EAST, PER_HOUR, Plate
from nengliu.analysis.rollups.plates.ring import Lines
from nengliu.analysis.rollups.plates.shape import Shape, shape_of
from nengliu.analysis.rollups.plates.values import GAUGES, NEVER, Meta, Values, nothing
from nengliu.analysis.rollups.reduce import QUARTERS, Dirty
from nengliu.analysis.rollups.windows import RANK, Grid
from nengliu.analysis.sorted import ranges
from nengliu.domain.points import Kind
from nengliu.domain.quality import Quality
from nengliu.domain.times import QUARTER_MS, day_of_receipt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Points = tuple[tuple[str, str], ...]
KEPT_TUPLES = 1000
"""Tuples of lists whose places are kept."""


@dataclass(slots=True)
class Home:
    """Where a list lies: its plate (None: in the general way), its number there, and when it may try again.

    `place` is its place among all that were ever in a plate.
    Each time it has to leave, the pause before the next try doubles, up to what a ring holds.
    """

    plate: Plate | None
    number: int
    slots: npt.NDArray[np.int32]
    place: int = -1
    again_after_ms: int = -1
    pause_ms: int = QUARTER_MS


@dataclass(slots=True)
class Places:
    """Homes of the lists of a sheaf as arrays, for as long as no list moves.

    Attributes
    ----------
    plate : int64 (lists,)
        Number of the plate; -1: in the general way.
    number : int64 (lists,)
        Number of the list in its plate.
    """

    lists: tuple[Points, ...]
    homes: list[Home]
    plate: Ints
    number: Ints
    moves: int


class Homes:
    """Lists of a shard and their plates (see the head of this file)."""

    def __init__(self) -> None:
        """Start without a list."""
        self.plates: dict[Shape, Plate] = {}
        self._homes: dict[Points, Home] = {}
        self._seen: dict[int, tuple[Points, Home]] = {}
        self._numbers: dict[tuple[Shape, Points], int] = {}
        self._settled: list[Home] = []
        self._of_slot = np.empty(0, np.int32)
        """Place in `_settled` of the list that a slot lies in; -1: in no plate."""
        self._by_number: dict[tuple[int, int], Home] = {}
        self._places: dict[int, Places] = {}
        self._moves = 0

    def of(self, points: Points, ledger: Ledger) -> Home:
        """Home of a list; a list never seen has none yet."""
        seen = self._seen.get(id(points))
        if seen is None:
            home = self._homes.get(points)
            if home is None:
                home = self._homes[points] = Home(None, -1, ledger.slots(points))
            seen = self._seen[id(points)] = points, home
            if len(self._seen) > 4 * len(self._homes) + 1000:
                self._seen.clear()
        return seen[1]

    def places(self, lists: tuple[Points, ...], ledger: Ledger) -> Places:
        """Homes of several lists; asked again of the same tuple it costs nothing, as long as no list moves."""
        found = self._places.get(id(lists))
        if found is None or found.moves != self._moves:
            homes = [self.of(points, ledger) for points in lists] if found is None else found.homes
            order = {id(plate): i for i, plate in enumerate(self.plates.values())}
            plate = np.array([-1 if home.plate is None else order[id(home.plate)] for home in homes])
            number = np.array([home.number for home in homes])
            if len(self._places) > KEPT_TUPLES:
                self._places.clear()
            found = self._places[id(lists)] = Places(lists, homes, plate, number, self._moves)
        return found

    def at(self, plate: Plate, number: int) -> Home:
        """Home of a list by its number in a plate."""
        return self._by_number[id(plate), number]

    def of_slots(self, slots: Sequence[int]) -> list[tuple[int, Home]]:
        """Those of some slots that lie in a plate, with their homes."""
        numbers = self._numbers_of(np.array(slots, np.int64))
        found = zip(slots, numbers.tolist(), strict=True)
        return [(slot, self._settled[number]) for slot, number in found if number >= 0]

    def _numbers_of(self, slots: npt.NDArray[np.signedinteger]) -> npt.NDArray[np.int32]:
        room = int(slots.max(initial=-1)) + 1
        if room > len(self._of_slot):
            self._of_slot = np.append(self._of_slot, np.full(room, -1, np.int32))
        return np.asarray(self._of_slot[slots])

    def leave(self, home: Home, columns: npt.NDArray[np.bool_] | None = None) -> int:
        """Take a list (or columns of it) out of its plate; say from when on its windows are not said [ms], or -1."""
        plate = home.plate
        if plate is None:
            return -1
        self._moves += 1
        first_ms = plate.evict(home.number, columns)
        home.again_after_ms = int(plate.ring.newest[home.number]) * plate.shape.interval_ms + home.pause_ms
        home.pause_ms = min(2 * home.pause_ms, plate.shape.rows * plate.shape.interval_ms)
        slots = home.slots if columns is None else home.slots[columns]
        self._of_slot[slots] = -1
        if plate.out[home.number].all():
            home.plate = None
        return first_ms

    def enter(
        self, points: Points, facts: Sequence[Facts], ledger: Ledger, made: tuple[Dirty, Grid, Grid]
    ) -> bool:
        """Try to move a list into a plate; `made` is what the general way made last."""
        home = self.of(points, ledger)
        shape = shape_of(facts)
        if shape is None or (self._numbers_of(home.slots) >= 0).any():
            return False
        found = _rows_of(shape, home.slots, ledger)
        if found is None or not _one_service(facts, found):
            return False
        seed = _seed_of(shape, home.slots, found, *made)
        if seed is None:
            return False
        plate = self.plates.get(shape) or self.plates.setdefault(shape, Plate(shape))
        number = plate.add_list(facts, home.slots, self._numbers.get((shape, points), -1))
        self._numbers[(shape, points)] = number
        _fill(plate, number, found, seed)
        home.plate, home.number = plate, number
        self._by_number[id(plate), number] = home
        self._moves += 1
        if home.place < 0:
            home.place = len(self._settled)
            self._settled.append(home)
        self._of_slot[home.slots] = home.place
        return True


@dataclass(frozen=True, slots=True)
class _Found:
    """The newest rows of a list: alike for all its points, oldest first."""

    lines: Lines
    origin: int
    born: bool


def _rows_of(shape: Shape, slots: npt.NDArray[np.int32], ledger: Ledger) -> _Found | None:
    """Rows of the ledger for a list, as far back as a ring reaches; None if they are not alike or not plain."""
    keys, columns = ledger.rows.keys, ledger.rows.columns
    low, high = np.searchsorted(
        keys, key_of(np.array([slots, slots + 1]), np.zeros((2, len(slots)), np.int64))
    )
    if (high <= low).any():
        return None
    newest = at_of(keys[high - 1])
    known = ledger.known_from[slots]
    if (newest != newest[0]).any() or newest[0] % shape.interval_ms:
        return None
    since = max(int(newest[0]) - (shape.rows - 1) * shape.interval_ms, int(known.max()))
    begin = np.searchsorted(keys, key_of(slots, np.full(len(slots), max(since, 0))))
    n = int((high - begin)[0])
    if n == 0 or ((high - begin) != n).any():
        return None
    index = begin[:, None] + np.arange(n)
    at = at_of(keys[index])
    alike = (
        (at == at[0]).all()
        and not (at % shape.interval_ms).any()
        and (origin_of(keys[index]) == origin_of(keys[index[0, :1]])).all()
    )
    for name in ("received_at_s", "sequence", "position", "quality", "reason"):
        alike = alike and (columns[name][index] == columns[name][index[0]]).all()
    first = index[0]
    plain = np.isin(columns["quality"][first], (Quality.GOOD, Quality.LATE)).all()
    if not alike or not plain:
        return None
    days = day_of_receipt(columns["received_at_s"][first])
    if (np.diff(days[np.argsort(columns["position"][first])]) < 0).any():
        return None
    lines = Lines(
        np.zeros(n, np.int64),
        at[0] // shape.interval_ms,
        columns["received_at_s"][first].astype(np.int64),
        days,
        columns["position"][first].astype(np.int64),
        columns["quality"][first] == Quality.LATE,
        RANK[columns["reason"][first]],
        columns["ticks"][index].T,
    )
    return _Found(
        lines,
        int(origin_of(keys[index[0, :1]])[0]),
        bool((known == ALL_KNOWN).all() and (begin == low).all()),
    )


def _one_service(facts: Sequence[Facts], found: _Found) -> bool:
    """Whether all rows are of the meters that serve now, and were accepted after those were told."""
    oldest = int(found.lines.position.min())
    for one in facts:
        if one.services:
            service = one.services[-1]
            begins_ms = service.meter.from_ms if len(one.services) > 1 else 0
            interval_ms = one.point.interval_s * 1000
            if service.position > oldest or begins_ms > int(found.lines.cell[0]) * interval_ms:
                return False
    return True


@dataclass(frozen=True, slots=True)
class _Seed:
    """Windows of a list as the general way has just made them: from which quarter-hour on, quarters and hours."""

    since: int
    quarters: Values
    hours: Values


def _seed_of(
    shape: Shape, slots: npt.NDArray[np.int32], found: _Found, dirty: Dirty, grid: Grid, hours: Grid
) -> _Seed | None:
    """Windows for the plate; None if the general way did not make them for all points, or they are not alike."""
    owner = np.searchsorted(dirty.slots, slots)
    inside = np.minimum(owner, len(dirty.slots) - 1)
    if (dirty.slots[inside] != slots).any():
        return None
    first, end = int(dirty.first[owner].max()), int(dirty.end[owner].max())
    newest = int(found.lines.cell[-1]) // shape.cells
    since = first * QUARTERS - EAST * PER_HOUR
    if not first <= (newest + EAST * PER_HOUR) // QUARTERS < int(dirty.end[owner].min()):
        return None
    window = np.arange(since, end * QUARTERS - EAST * PER_HOUR)
    group = (dirty.base[owner] + (first - dirty.first[owner]) * QUARTERS) + np.arange(len(window))[:, None]
    made = (window[:, None] + EAST * PER_HOUR) // QUARTERS < dirty.end[owner]
    quarters = _values(shape, window, grid, group, made)
    if quarters is None:
        return None
    quarters.meta[:, :, Meta.FIRST_DAY] = _first_days(found, window, shape)[:, None]
    hour = np.arange(since // PER_HOUR, (since + len(window)) // PER_HOUR)
    above = _values(shape, hour, hours, group[::PER_HOUR] // PER_HOUR, made[::PER_HOUR])
    if above is None:
        return None
    above.meta[:, :, Meta.FIRST_DAY] = (
        quarters.meta[:, :, Meta.FIRST_DAY].reshape(-1, PER_HOUR, len(shape.present)).min(1)
    )
    end = newest + shape.hold_ms // QUARTER_MS + 2
    return _Seed(
        since,
        quarters.take((window < end) & (window >= end - shape.quarters)),
        above.take((hour <= end // PER_HOUR) & (hour > end // PER_HOUR - shape.hours)),
    )


def _values(shape: Shape, window: Ints, grid: Grid, group: Ints, made: Bools) -> Values | None:
    """Windows (p,) of all columns from a grid's groups (p, c), where it made them.

    None if what is said once per kind is not the same for all columns of it.
    """
    out = nothing(shape, np.zeros(len(window), np.int64), window)
    group = np.where(made, group, 0)
    counts, gravity = (
        np.where(made[:, :, None], grid.counts[group], 0),
        np.where(made, grid.gravity[group], 0),
    )
    if counts[:, :, Quality.LATE + 1 :].any():
        return None
    out.used[:], out.estimated[:] = (
        np.where(made, grid.used[group], 0),
        np.where(made, grid.estimated[group], 0),
    )
    said = {
        Meta.RECEIVED: counts.sum(2),
        Meta.LATE: counts[:, :, Quality.LATE],
        Meta.COVERED_MS: grid.covered_ms[group],
        Meta.KNOWN_AT_S: grid.known_at_s[group],
        Meta.REVISION: grid.revision[group].astype(np.int64),
        Meta.RANK: gravity.astype(np.int64),
    }
    for number, kind in enumerate(shape.present):
        own = shape.are(kind)
        for name, column in said.items():
            told = np.where(made, column, 0)[:, own]
            if (told != told[:, :1]).any():
                return None
            out.meta[:, number, name] = told[:, 0]
    if shape.has(Kind.GAUGE):
        out.used[:, shape.is_gauge] = 0
        for part in GAUGES:
            column = np.where(made, getattr(grid, part)[group], 0.0 if part == "weighted" else np.nan)
            getattr(out, part)[:] = np.where(shape.is_gauge, column, np.nan)
    return out


def _first_days(found: _Found, window: Ints, shape: Shape) -> Ints:
    """Earliest day of receipt among the rows each window may rest on: those in it and around its edges."""
    cell, day = found.lines.cell, found.lines.day
    both = np.minimum(day, np.append(day[:1], day[:-1]))
    before = np.append(cell[:1], cell[:-1])
    held = shape.hold_ms // shape.interval_ms + 1
    last = np.maximum(cell, np.append(np.maximum(cell[1:], cell[:-1] + held), cell[-1:] + held))
    spelled, row = ranges(before // shape.cells, last // shape.cells + 1)
    out = np.full(len(window), NEVER)
    known = (spelled >= window[0]) & (spelled <= window[-1])
    np.minimum.at(out, spelled[known] - window[0], both[row[known]])
    return np.where(out < NEVER, out, day.min())


def _fill(plate: Plate, number: int, found: _Found, seed: _Seed) -> None:
    lines = found.lines._replace(list_=np.full(len(found.lines.cell), number))
    plate.ring.put(lines)
    plate.ring.floor[number] = int(lines.cell[0])
    plate.ring.told[number] = plate.ring.newest[number]
    plate.ring.born[number] = found.born
    plate.since[number] = seed.since
    plate.origin[number] = found.origin
    if (lines.day != lines.day[0]).any():
        plate.ring.mixed_until[number] = plate.ring.newest[number] + 2 * plate.shape.rows
    for past, values in ((plate.quarters, seed.quarters), (plate.hours, seed.hours)):
        values.list_[:] = number
        past.put(values)
    plate.fresh.append(number)
