"""Loose readings as sheaves, so that they may lie in plates like frames.

Readings that are a whole row of a list become that row again: of a list that frames brought (ingest spells rows out
among which it had to look), or of points that came first in one message, at one time.  A list of the second kind is
given up when its rows keep coming in pieces; each of its points is then a list of its own, as is one that came alone.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nengliu.analysis.sorted import starts_of
from nengliu.domain.quality import Quality
from schemas.block import Block, Sheaf, Verdict

Pair = tuple[str, str]
Points = tuple[Pair, ...]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Kin = Callable[[Pair], Hashable]
"""What points must share to lie in one list."""
_NOWHERE: Points = ()
_UNIT: tuple[str, int] = ("", 0)
"""What was sent does not matter to windows."""
_OF_ROW = ("read_at_ms", "received_at_s", "sequence", "position", "quality", "reason")
"""What all readings of a row share."""
_PATIENCE = 3
"""So many batches may bring rows of a learnt list in pieces: a reading that is sent twice shall not end it."""


@dataclass(slots=True)
class _Known:
    """Where the points of a block lie, for as long as no point changes its list.

    Attributes
    ----------
    points
        Of the block, held while it is told apart by identity.
    lists
        Lists the points lie in, distinct.
    place : int64 (points,)
        Of each point's list in `lists`; -1: the point never came.
    column : int64 (points,)
        Of each point in its list.
    width : int64 (lists,)
    """

    points: Points
    lists: tuple[Points, ...]
    place: Ints
    column: Ints
    width: Ints
    changes: int

    def serves(self, block: Block) -> bool:
        """Whether it knows all that a block speaks of."""
        return self.points is block.points and bool((self.place[block.slot] >= 0).all())


@dataclass(slots=True)
class Loose:
    """Makes sheaves of blocks; remembers the lists it saw, and makes lists for points that came in none."""

    kin: Kin
    _lists: dict[Pair, Points] = field(default_factory=dict)
    _learnt: dict[Points, int] = field(default_factory=dict)
    _seen: tuple[Points, ...] = ()
    _known: _Known | None = None
    _changes: int = 0

    def see(self, lists: tuple[Points, ...]) -> None:
        """Remember the lists of a sheaf; a point belongs to the one it came in last."""
        if lists is self._seen or (self._known is not None and lists is self._known.lists):
            return
        self._seen = lists
        for points in lists:
            if self._lists.get(points[0], ()) != points:
                self._take(points)

    def split(self, block: Block) -> tuple[list[Sheaf], Block]:
        """Sheaves of lists whose readings here are all plain, of one origin and whole rows; the block of the others."""
        known = self._of(block)
        if _is_plain(block):
            c = _width_as_sent(block, known)
            if c:
                rows = block.ticks.reshape(-1, c)
                return [_sheaf(block, known, rows, slice(None, None, c))], block.take(slice(0, 0))
        return self._sorted(block, known)

    def _sorted(self, block: Block, known: _Known) -> tuple[list[Sheaf], Block]:
        """As `split`, of readings in any order."""
        plain = (block.verdict == Verdict.NEW) & (block.quality <= Quality.LATE)
        plain &= block.origin == block.origin[0]
        place, column = known.place[block.slot], known.column[block.slot]
        order = np.lexsort((column, block.read_at_ms, block.position, place))
        starts = _starts(place[order], block.position[order], block.read_at_ms[order])
        count = np.diff(np.append(starts, len(order)))
        nth = np.arange(len(order)) - np.repeat(starts, count)
        ragged = np.zeros(len(known.lists), bool)
        ragged[place[order[starts[count != known.width[place[order[starts]]]]]]] = True
        ragged[place[order[column[order] != nth]]] = True  # one point twice
        odd = ragged.copy()
        odd[place[~plain]] = True
        row = np.repeat(order[starts], count)
        for name in _OF_ROW:
            column_of_block = getattr(block, name)
            odd[place[order[column_of_block[order] != column_of_block[row]]]] = True
        self._give_up([known.lists[number] for number in np.flatnonzero(ragged).tolist()])
        sound = ~odd[place]
        kept = order[sound[order]]
        return [*_by_width(block, known, kept)], block.take(~sound)

    def _of(self, block: Block) -> _Known:
        """Where the points of a block lie; those never seen are given lists."""
        known = self._known
        if known is None or known.changes != self._changes or not known.serves(block):
            used = np.unique(block.slot).tolist()
            new = [slot for slot in used if block.points[slot] not in self._lists]
            for points in self._together(block, new) if new else ():
                self._take(points)
                self._learnt[points] = _PATIENCE
            known = self._known = self._look_up(block.points)
        return known

    def _look_up(self, points: Points) -> _Known:
        found = [self._lists.get(point, _NOWHERE) for point in points]
        number: dict[Points, int] = {}
        seen = {id(_NOWHERE): -1}  # the very same list, as a rule: no need to compare its points
        columns: dict[int, dict[Pair, int]] = {id(_NOWHERE): {}}
        for list_ in found:
            if id(list_) not in seen:
                seen[id(list_)] = number.setdefault(list_, len(number))
                columns[id(list_)] = {point: column for column, point in enumerate(list_)}
        place = np.array([seen[id(list_)] for list_ in found], np.int64)
        lying = zip(points, found, strict=True)
        column = np.array([columns[id(list_)].get(point, 0) for point, list_ in lying], np.int64)
        return _Known(
            points, tuple(number), place, column, np.array([len(one) for one in number]), self._changes
        )

    def _together(self, block: Block, slots: list[int]) -> Iterator[Points]:
        """Lists of points never seen: those of one kin that came first in one message, at one time."""
        first = np.full(len(block.points), len(block))
        np.minimum.at(first, block.slot, np.arange(len(block)))
        groups: dict[Hashable, list[int]] = {}
        for slot in sorted(slots, key=first.__getitem__):
            row = first[slot]
            message = int(block.position[row]), int(block.read_at_ms[row])
            groups.setdefault((message, self.kin(block.points[slot])), []).append(slot)
        for group in groups.values():
            yield tuple(block.points[slot] for slot in group)

    def _give_up(self, lists: list[Points]) -> None:
        """Let the points of lists that were learnt here, once patience has an end, be lists of their own."""
        for points in lists:
            if len(points) > 1 and points in self._learnt:
                self._learnt[points] -= 1
                if not self._learnt[points]:
                    del self._learnt[points]
                    for point in points:
                        self._take((point,))

    def _take(self, points: Points) -> None:
        self._changes += 1
        self._lists.update(dict.fromkeys(points, points))


def _is_plain(block: Block) -> bool:
    """Whether all readings are accepted as new, good or late, and of one origin."""
    return bool(
        int(block.verdict.max()) == Verdict.NEW
        and int(block.quality.max()) <= Quality.LATE
        and (block.origin == block.origin[0]).all()
    )


def _width_as_sent(block: Block, known: _Known) -> int:
    """Width of the rows, if all readings stand row by row in order of position; else 0."""
    c = int(known.width[0])
    if (known.width != c).any() or len(block) % c or (block.position[1:] < block.position[:-1]).any():
        return 0
    if c > 1:
        slot = block.slot.reshape(-1, c)
        place = known.place[slot]
        if (known.column[slot] != np.arange(c)).any() or (place != place[:, :1]).any():
            return 0
        for name in _OF_ROW:
            column = getattr(block, name).reshape(-1, c)
            if (column != column[:, :1]).any():
                return 0
    return c


def _by_width(block: Block, known: _Known, places: npt.NDArray[np.intp]) -> Iterator[Sheaf]:
    """One sheaf per width of readings that lie row by row at `places`."""
    width = known.width[known.place[block.slot[places]]]
    for c in np.unique(width).tolist():
        rows = places[width == c].reshape(-1, c)
        rows = rows[np.argsort(block.position[rows[:, 0]], kind="stable")]
        yield _sheaf(block, known, block.ticks[rows], rows[:, 0])


def _sheaf(block: Block, known: _Known, ticks: Ints, first: slice | npt.NDArray[np.intp]) -> Sheaf:
    """Rows (f, c) as a sheaf, all else told by the `first` reading of each."""
    c = ticks.shape[1]
    row_list, lists = known.place[block.slot[first]], known.lists
    if not (known.width == c).all():
        used, row_list = np.unique(row_list, return_inverse=True)
        lists = tuple(lists[one] for one in used.tolist())
    return Sheaf(
        lists=lists,
        row_list=row_list.astype(np.int32),
        ticks=ticks,
        sent=ticks,
        units=((_UNIT,) * c,) * len(lists),
        origin=int(block.origin[0]),
        **{name: np.ascontiguousarray(getattr(block, name)[first]) for name in _OF_ROW},
    )


def _starts(place: Ints, position: npt.NDArray[np.uint64], at_ms: Ints) -> npt.NDArray[np.intp]:
    """Where a new row begins among readings in the order of list, position and time."""
    if not len(place):
        return starts_of(place)
    new = (place[1:] != place[:-1]) | (position[1:] != position[:-1]) | (at_ms[1:] != at_ms[:-1])
    return np.flatnonzero(np.append(True, new))
