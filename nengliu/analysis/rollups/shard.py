"""Rollups of one shard: readings in, rows of quarter-hours, hours, days and months out.

Frames that come as they should (`Sheaf`, or the plain readings of a `Block`) lie in plates, from which the windows
they touched are said together (`nengliu.analysis.rollups.plates`).  Everything else takes the general way: the days
it touches are made again from the readings (`nengliu.analysis.rollups.recompute`).  Both give the same rows, whatever
was late, repeated, reordered or cut into other batches (laws 1, 2, 4 and 7; docs/decisions/0011 and 0021).

`pour` says what must make room for further rows, `flush` all that has changed since; `add` does both.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from nengliu.analysis.catalogue import Catalogue
from nengliu.analysis.intake.evidence import in_order_of_points
from nengliu.analysis.ledger import UNKNOWN, Loader
from nengliu.analysis.rollups.days import DayLoader
from nengliu.analysis.rollups.plates.homes import Home, Homes, Places
from nengliu.analysis.rollups.plates.loose import Loose
from nengliu.analysis.rollups.plates.plate import Plate
from nengliu.analysis.rollups.plates.recent import Recent, narrowed
from nengliu.analysis.rollups.plates.ring import Lines
from nengliu.analysis.rollups.plates.rows import bare_days, window_rows
from nengliu.analysis.rollups.plates.values import Values
from nengliu.analysis.rollups.recompute import Recompute
from nengliu.analysis.rollups.restate import About, Restater, Told
from nengliu.analysis.rollups.windows import RANK
from nengliu.domain.points import Kind
from nengliu.domain.quality import Quality
from nengliu.domain.times import HOUR_MS, QUARTER_MS, day_of_receipt
from schemas.block import Block, Rows, Sheaf, join, join_sheaves
from schemas.messages import (
    BookNotice,
    EnterpriseNotice,
    Notice,
    PointNotice,
    RetentionNotice,
    SchemaNotice,
)

CONCERNS = (PointNotice, EnterpriseNotice, SchemaNotice, BookNotice, RetentionNotice)
"""Notices that may change what a window is; all others pass by."""
DEEP = 32
"""So many rows of a list at once are quicker made the general way, unless many lists come together."""
WIDE = 30
"""Values that one row of all lists together must hold for that."""
SETTLED = 5_000
"""So many readings of lists that look for a home go the general way at once: for each it makes whole days, 20 KB."""
PAUSE_MS = HOUR_MS
"""A list that could not enter a plate tries again after so long, by its own clock."""

Bools = npt.NDArray[np.bool_]


class WindowShard:
    """Windows of one shard; plain Python, no stream (see the head of this file)."""

    def __init__(
        self,
        catalogue: Catalogue | None = None,
        loader: Loader | None = None,
        day_loader: DayLoader | None = None,
        restater: Restater | None = None,
    ) -> None:
        """Start empty; the loaders tell what is stored from before this run."""
        self.catalogue = catalogue or Catalogue()
        self._recent = Recent(loader)
        self._general = Recompute(self.catalogue, self._recent.load, day_loader)
        self.ledger, self.days = self._general.ledger, self._general.days
        self._homes, self._loose = Homes(), Loose(self._kin)
        self._restater = restater or Restater()

    def run(self, items: Iterable[tuple[int, Block | Sheaf | Notice]]) -> list[Rows]:
        """Take messages with their positions in; those of one kind are joined up to the next that concerns windows."""
        out: list[Rows] = []
        waiting: list[Block | Sheaf] = []
        for position, message in items:
            if isinstance(message, Block | Sheaf):
                waiting.append(message)
            elif isinstance(message, CONCERNS):
                out += self._run(waiting)
                out += self.take(message, position)
                waiting = []
        return out + self._run(waiting)

    def _run(self, messages: list[Block | Sheaf]) -> list[Rows]:
        return [rows for message in _joined(messages) for rows in self.pour(message)] + self.flush()

    def add(self, message: Block | Sheaf) -> list[Rows]:
        """Take readings in, of which only the accepted count; say the rows they change, newest version last."""
        return self.pour(message) + self.flush()

    def pour(self, message: Block | Sheaf) -> list[Rows]:
        """Take readings in; say the windows that must make room for more.  The others wait for `flush`."""
        if isinstance(message, Sheaf):
            return self._seen(self._pour(message))
        block = message.accepted()
        if not len(block):
            return []
        self.ledger.reach(int(block.position.min()))
        self._know((block.points,))
        sheaves, rest = self._loose.split(block)
        out = [rows for sheaf in sheaves for rows in self._pour(sheaf)]
        return self._seen(out + self._generally(rest))

    def flush(self) -> list[Rows]:
        """Say what is still open and has changed."""
        for plate in self._homes.plates.values():
            plate.flush()
        return self._seen(self._said())

    def take(self, notice: Notice, position: int) -> list[Rows]:
        """Take a notice of the catalogue in: a changed meter restates windows, a changed factor days and months."""
        self.ledger.reach(position)
        if isinstance(notice, BookNotice):
            return self._take_book(notice, position)
        if not isinstance(notice, PointNotice):
            self.catalogue.take(notice, position)
            return []
        key = notice.value.enterprise, notice.value.point
        self.catalogue.know(key[0], self.ledger.stored)
        old = self.catalogue.points.get(key)
        out = self._seen(self._leave_slots([self.ledger.slot(key)])) if old is not None else []
        self.catalogue.take(notice, position)
        self._general.described(self.ledger.slot(key))
        new = self.catalogue.points[key]
        if old is None or old.services == new.services:
            return out
        return out + self._seen(self._general.restate(self.ledger.slot(key), old, new, position))

    def _take_book(self, notice: BookNotice, position: int) -> list[Rows]:
        """Restate what another edition counts otherwise; what is still open is said by the old one first."""
        out = self.flush()
        old = self.catalogue.book
        self.catalogue.take(notice, position)
        told = Told(position, notice.at_s)
        for rows in self._restater.restate(old, self.catalogue.book, told, self.ledger.stored, self._about):
            if rows.table == "window_day":
                self.days.restated(rows, told, self._general.traits(), self.ledger)
            out.append(rows)
        return out

    def _about(self, pair: tuple[str, str]) -> About:
        """What a restatement must know of a point; nothing of a gauge, or where the enterprise is not known."""
        self.catalogue.know(pair[0], self.ledger.stored)
        facts, enterprise = self.catalogue.points[pair], self.catalogue.enterprises.get(pair[0])
        if facts.point.kind is Kind.GAUGE or enterprise is None:
            return About("")
        return About(facts.point.item, enterprise.region, enterprise.stays)

    def seal(self) -> None:
        """End an epoch: what came before the last one is stored and may be forgotten."""
        self.ledger.seal()
        self._restater.seal(self.ledger.stored)
        self._recent.forget(self.ledger.stored)
        self.days.seal(self.ledger.stored)

    def _seen(self, rows: list[Rows]) -> list[Rows]:
        """Let the restatement of a later book see what was said and may not be stored yet."""
        self._restater.see(rows)
        return rows

    # -- the two ways ---------------------------------------------------------------------------

    def _know(self, lists: Iterable[tuple[tuple[str, str], ...]]) -> None:
        for enterprise in {point[0] for points in lists for point in points}:
            self.catalogue.know(enterprise, self.ledger.stored)

    def _kin(self, point: tuple[str, str]) -> tuple[str, int, int]:
        """What points must share to lie in one list: enterprise, interval and how long a value holds."""
        point_ = self.catalogue.points[point].point
        return point[0], point_.interval_s, point_.hold_s

    def _generally(self, block: Block) -> list[Rows]:
        """The general way; points of it that lie in a plate leave it first."""
        if not len(block):
            return []
        used = np.unique(block.slot).tolist()
        out = self._leave_slots([self.ledger.slot(block.points[slot]) for slot in used])
        return out + self._general.add(block)

    def _pour(self, sheaf: Sheaf) -> list[Rows]:
        """Lists at home go into their plates; the others begin, with their first row, in the general way."""
        if not len(sheaf):
            return []
        self.ledger.reach(int(sheaf.position[0]))
        self._loose.see(sheaf.lists)
        places = self._homes.places(sheaf.lists, self.ledger)
        if _is_deep(sheaf):
            self._know(sheaf.lists)
            return self._generally(sheaf.block())
        out = self._try_again(sheaf, places)
        places = self._homes.places(sheaf.lists, self.ledger)
        at_home = (places.plate >= 0)[sheaf.row_list]
        if at_home.all():
            return out + self._into_plates(sheaf, places)
        if at_home.any():
            out += self._into_plates(sheaf.take(at_home), places)
            sheaf = sheaf.take(~at_home)
        self._know(sheaf.lists)
        return out + self._settle_in(sheaf)

    def _settle_in(self, sheaf: Sheaf) -> list[Rows]:
        """Take the first message of each list the general way, then try to find it a home; the rest follows it."""
        lists, first = np.unique(sheaf.row_list, return_index=True)
        position = np.zeros(len(sheaf.lists), np.uint64)
        position[lists] = sheaf.position[first]
        rest = sheaf.position > position[sheaf.row_list]
        out = []
        for part in _portions(sheaf.take(~rest)):
            out += self._generally(part.block())
            for number, row in zip(*np.unique(part.row_list, return_index=True), strict=True):
                self._enter(sheaf.lists[number], int(part.read_at_ms[row]))
        self._general.newest = None
        places = self._homes.places(sheaf.lists, self.ledger)
        inside = rest & (places.plate >= 0)[sheaf.row_list]
        outside = rest & ~inside
        if inside.any():
            out += self._into_plates(sheaf.take(inside), places)
        return out + (self._generally(sheaf.take(outside).block()) if outside.any() else [])

    def _enter(self, points: tuple[tuple[str, str], ...], at_ms: int) -> None:
        """Move a list into a plate, if it can be."""
        home, newest = self._homes.of(points, self.ledger), self._general.newest
        if newest is None or at_ms <= home.again_after_ms:
            return
        facts = [self.catalogue.points[point] for point in points]
        if self._homes.enter(points, facts, self.ledger, newest):
            self.ledger.known_from[home.slots] = UNKNOWN
        else:
            home.again_after_ms = at_ms + PAUSE_MS

    def _into_plates(self, sheaf: Sheaf, places: Places) -> list[Rows]:
        """Pour rows into the plates of their lists; what a plate gives back goes the general way."""
        out: list[Rows] = []
        plates, of_row = list(self._homes.plates.values()), places.plate[sheaf.row_list]
        for number in np.flatnonzero(np.bincount(of_row)).tolist():
            here = of_row == number
            out += self._into_plate(plates[number], sheaf if here.all() else sheaf.take(here), places)
        return out

    def _into_plate(self, plate: Plate, sheaf: Sheaf, places: Places) -> list[Rows]:
        back = _poured(plate, sheaf, places.number)
        kept = sheaf.take(~back) if back.any() else sheaf
        out = self._narrow(plate, kept, places.number)
        if len(kept):
            self._recent.keep(kept)
            self.ledger.took(int(kept.position[-1]))
        out += self._said()
        if back.any():
            rest = sheaf.take(back)
            for number in np.unique(rest.row_list).tolist():
                out += self._restore(places.homes[number])
            out += self._general.add(rest.block())
        return out

    def _narrow(self, plate: Plate, sheaf: Sheaf, numbers: npt.NDArray[np.int64]) -> list[Rows]:
        """Columns that go the general way since earlier."""
        out: list[Rows] = []
        if not plate.partly.any():
            return out
        for number in np.unique(sheaf.row_list[plate.partly[numbers[sheaf.row_list]]]).tolist():
            columns = np.flatnonzero(plate.out[numbers[number]]).tolist()
            out += self._general.add(narrowed(sheaf.take(sheaf.row_list == number), number, columns))
        return out

    def _said(self) -> list[Rows]:
        """Rows of what the plates said; what they found to be beyond them is made the general way."""
        out: list[Rows] = []
        for plate in self._homes.plates.values():
            gone, plate.gone = plate.gone, {}
            for number, columns in gone.items():
                out += self._restore(self._homes.at(plate, number), columns)
            out += self._rows(plate)
        return out

    def _rows(self, plate: Plate) -> list[Rows]:
        said, traits = plate.take_said(), self._general.traits()
        out = []
        for values in said.quarters_before:
            out.append(window_rows("window_15min_history", plate, values, QUARTER_MS, traits))
        for days in said.days_before:
            out += self._day_rows("window_day_history", plate, days)
        for values in said.quarters:
            out.append(window_rows("window_15min", plate, values, QUARTER_MS, traits))
        for values in said.hours:
            out.append(window_rows("window_hour", plate, values, HOUR_MS, traits))
        for days in said.days:
            out += self._day_rows("window_day", plate, days)
        return [rows for rows in out if len(rows)]

    def _day_rows(self, table: str, plate: Plate, days: Values) -> list[Rows]:
        """Rows of days, and of their months unless they go to the history."""
        maker, said = bare_days(plate, days, self._general.traits())
        if not len(said.owner):
            return []
        rows = [maker.pack(table, said)]
        return (
            rows if table.endswith("history") else [*rows, self.days.months(maker, said, self.ledger.stored)]
        )

    # -- in and out of plates -------------------------------------------------------------------

    def _restore(self, home: Home, columns: Bools | None = None) -> list[Rows]:
        """Take a list, or columns of it, out of its plate; say the windows the plate had not said yet."""
        slots = home.slots if columns is None else home.slots[columns]
        from_ms = self._homes.leave(home, columns)
        return self._general.restore(slots, from_ms) if from_ms >= 0 else []

    def _leave_slots(self, slots: list[int]) -> list[Rows]:
        """Take points out of the plates they lie in."""
        out: list[Rows] = []
        by_home: dict[int, tuple[Home, list[int]]] = {}
        for slot, home in self._homes.of_slots(slots):
            by_home.setdefault(id(home), (home, []))[1].append(slot)
        for home, leaving in by_home.values():
            out += self._restore(home, np.isin(home.slots, leaving))
        return out

    def _try_again(self, sheaf: Sheaf, places: Places) -> list[Rows]:
        """Lists some columns of which had to leave: the rest follows when the trouble has passed, to enter anew."""
        out: list[Rows] = []
        for plate_number, plate in enumerate(self._homes.plates.values()):
            if not plate.partly.any():
                continue
            here = places.plate == plate_number
            for number in np.flatnonzero(here & plate.partly[np.where(here, places.number, 0)]).tolist():
                own = sheaf.read_at_ms[sheaf.row_list == number]
                if len(own) and int(own.min()) > places.homes[number].again_after_ms:
                    out += self._restore(places.homes[number])
        return out


def _joined(messages: list[Block | Sheaf]) -> Iterator[Block | Sheaf]:
    """Join blocks, and sheaves of one width and origin; the readings of a point lie in one piece, in order."""
    pieces = in_order_of_points(messages)
    blocks = [piece.accepted() for piece in pieces if isinstance(piece, Block)]
    sheaves = [piece for piece in pieces if isinstance(piece, Sheaf)]
    for _, group in itertools.groupby(sorted(sheaves, key=_sort_of), key=_sort_of):
        yield join_sheaves(list(group))
    if blocks:
        yield join(blocks)


def _sort_of(sheaf: Sheaf) -> tuple[int, int]:
    return sheaf.ticks.shape[1], sheaf.origin


def _portions(sheaf: Sheaf) -> Iterator[Sheaf]:
    """Cut a sheaf between its messages: the general way needs much room for each point (`SETTLED`)."""
    rows = max(1, SETTLED // sheaf.ticks.shape[1])
    wanted = sheaf.position[::rows]
    edges = np.unique(np.searchsorted(sheaf.position, wanted)).tolist()
    for start, end in itertools.pairwise([*edges, len(sheaf.position)]):
        yield sheaf.take(slice(start, end))


def _is_deep(sheaf: Sheaf) -> bool:
    """Whether few points bring many rows: the general way takes them at once, a plate stride by stride."""
    rows, lists = len(sheaf.row_list), len(sheaf.lists)
    return rows > DEEP * lists and lists * sheaf.ticks.shape[1] < WIDE


def _poured(plate: Plate, sheaf: Sheaf, numbers: npt.NDArray[np.int64]) -> Bools:
    """Pour a sheaf into a plate; say which rows it did not take: all those of a list one of whose rows is odd."""
    interval_ms = plate.shape.interval_ms
    lines = Lines(
        numbers[sheaf.row_list],
        sheaf.read_at_ms // interval_ms,
        sheaf.received_at_s,
        day_of_receipt(sheaf.received_at_s),
        sheaf.position.astype(np.int64),
        sheaf.quality == Quality.LATE,
        RANK[sheaf.reason],
        sheaf.ticks,
    )
    odd = sheaf.read_at_ms != lines.cell * interval_ms
    odd |= plate.origin[lines.list_] != sheaf.origin  # of several origins at an instant one speaks
    uneven = np.zeros(len(sheaf.lists), bool)
    uneven[sheaf.row_list[odd]] = True
    back = uneven[sheaf.row_list]
    even = np.flatnonzero(~back)
    if len(even):
        back[even] = plate.pour(lines if len(even) == len(back) else lines.take(even))
    return back
