"""Rack: plain rows of many column lists of one width, kept as they came.

A matrix row is a tenth of the readings it says: they are spelled out only where somebody must look among them
(`Rack.lift`).  Rows lie in order of the log; each knows the one before it in time of its list.
Source: docs/decisions/0023.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nengliu.analysis.growing import Growing
from nengliu.analysis.intake.plain import Limits as Of
from nengliu.analysis.intake.plain import Listing, Spread
from nengliu.analysis.intake.validate import Limits, convert
from nengliu.analysis.ledger import TIME_BITS, key_of
from nengliu.analysis.sorted import Columns, Keys, compact, starts_of
from nengliu.domain.quality import Origin, Quality, Reason
from nengliu.domain.times import HOUR_MS
from schemas.block import Sheaf
from schemas.messages import Frame

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int32]
BY_ROW = {
    "read_at_ms": "i8",
    "received_at_s": "i8",
    "sequence": "u8",
    "position": "u8",
    "quality": "u1",
    "reason": "u2",
    "number": "i4",
}
_BOUNDS = ("low", "span")
_LIMITS = ("top", "bottom", "sent", "gauge", *_BOUNDS)
_TIMELY = (Origin.TIMED, Origin.COMMAND)


@dataclass(slots=True)
class Pile:
    """Frames of one rack that wait to be judged: the number of their list, and of their message in its batch."""

    numbers: list[int] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Swath:
    """Rows of a pile: columns of `BY_ROW` (f,), the message each came in, and what they say (f, c)."""

    rows: Columns
    message: Ints
    ticks: Ints
    sent: Ints

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.message)

    def keep(self, mask: Bools) -> Swath:
        """Keep some of the rows."""
        if mask.all():
            return self
        ticks = self.ticks[mask]
        rows = {name: column[mask] for name, column in self.rows.items()}
        return replace(
            self,
            rows=rows,
            message=self.message[mask],
            ticks=ticks,
            sent=ticks if self.sent is self.ticks else self.sent[mask],
        )


@dataclass(frozen=True, slots=True)
class Laid:
    """Where a swath lies: its first row; of each list of it the oldest time, the row before that, and rows after it.

    `later` (n,): rows held before that are later than the oldest new one of their list.
    """

    first: int
    number: npt.NDArray[np.intp]
    oldest_ms: Ints
    link: Ints
    later: Ints


class Rack:
    """Lists of one width and origin, all of them converted or none, and the rows held of them.

    Attributes
    ----------
    slots, names : int32 (lists, c)
        Number of each column's point in the ledger, and of its name in the labels of all racks.
    ids : int32 (lists,)
        Number of each list among those of all racks.
    last : int64 (lists,)
        Newest row held, or -1.
    """

    def __init__(self, width: int, origin: Origin, *, converted: bool) -> None:
        self.width, self.origin, self.converted = width, origin, converted
        self.listings: list[Listing] = []
        matrices = {"slots": "i4", "names": "i4", "units": "i4"}
        limits = dict.fromkeys(_LIMITS, "i8")
        self.lists = Growing(
            {"id": "i4", "enterprise": "i4", "last": "i8"}
            | dict.fromkeys(Spread._fields, "i8")
            | matrices
            | limits,
            dict.fromkeys([*matrices, *limits], width),
        )
        said = {"ticks": "i8", "sent": "i8"} if converted else {"ticks": "i8"}
        self.rows = Growing(BY_ROW | {"previous": "i8"} | said, dict.fromkeys(said, width))
        self._dead = 0

    def __len__(self) -> int:
        """Count the readings held."""
        return (len(self.rows) - self._dead) * self.width

    def enter(self, listing: Listing, columns: Columns) -> int:
        """Take a list in; say its number."""
        self.listings.append(listing)
        one = {name: np.asarray(column)[None] for name, column in columns.items()}
        self.lists.append(one | {"last": np.array([-1])} | _vectors(listing))
        return len(self.listings) - 1

    def revise(self, number: int, listing: Listing) -> None:
        """Take what the catalogue says of a list now."""
        self.listings[number] = listing
        for name, column in _vectors(listing).items():
            self.lists[name][number] = column[0]

    def cut(
        self, pile: Pile, appended_at_s: Ints, position: npt.NDArray[np.uint64], limits: Limits
    ) -> tuple[Swath, Bools]:
        """Rows of a pile, and which of its messages hold plain rows only, in order of time.

        `appended_at_s`, `position`: of all messages of the batch (see `nengliu.analysis.intake.validate.judge`).
        """
        frames, message = pile.frames, np.array(pile.messages)
        counts = np.array([len(frame.read_at_ms) for frame in frames])
        each = np.repeat(np.arange(len(frames)), counts)
        received = np.array([frame.received_at_s for frame in frames], np.int64)
        known = (received >= 0) & (received <= appended_at_s[message] + limits.future_s)
        values = np.concatenate([frame.values for frame in frames])
        rows: Columns = {
            "read_at_ms": np.concatenate([frame.read_at_ms for frame in frames]),
            "received_at_s": np.where(known, received, 0)[each],
            "sequence": np.array([frame.sequence for frame in frames], np.uint64)[each],
            "position": position[message][each],
            "number": np.array(pile.numbers, np.int32)[each],
        }
        ticks, fine = self._judge(values, rows["number"])
        swath = Swath(rows, message[each], ticks, values if self.converted else ticks)
        fine &= self._timely(rows, limits)
        marks, alike = self._marks(rows, np.array([frame.backfilled for frame in frames])[each], limits)
        rows |= marks
        fine &= alike
        at = rows["read_at_ms"]
        fine[1:] &= (at[1:] > at[:-1]) | (each[1:] != each[:-1])
        starts = np.cumsum(counts) - counts
        return swath, np.logical_and.reduceat(fine, starts) & known

    def _judge(self, values: Ints, number: Numbers) -> tuple[Ints, Bools]:
        """Ticks of values as sent, and which rows are plain by all of them."""
        used, place = compact(number)
        where = place if len(used) > 1 else slice(None)
        of = {name: self.lists[name][used][where] for name in (_LIMITS if self.converted else _BOUNDS)}
        ticks, strange = values, np.zeros(len(values), bool)
        if self.converted:
            reach = of["sent"]
            small = (values >= -reach) & (values <= reach)
            ticks, inexact = convert(
                np.where(small, values, 0), of["top"], of["bottom"], of["gauge"].astype(bool)
            )
            strange |= (inexact | ~small).any(axis=1)
        above = (ticks - of["low"]).view(np.uint64)  # below `low` it wraps round, beyond any span
        return ticks, (above <= of["span"].view(np.uint64)).all(axis=1) & ~strange

    def _timely(self, rows: Columns, limits: Limits) -> Bools:
        """Which rows lie within their list's times, and not ahead of their receipt."""
        at, received = rows["read_at_ms"], rows["received_at_s"]
        of = {name: self.lists[name][rows["number"]] for name in ("from_ms", "to_ms")}
        fine: Bools = (
            (at >= np.maximum(of["from_ms"], limits.begins_ms))
            & (at < of["to_ms"])
            & (at <= (received + limits.future_s) * 1000)
        )
        return fine

    def _marks(self, rows: Columns, backfilled: Bools, limits: Limits) -> tuple[Columns, Bools]:
        """Quality and reason of rows, late if sent after a break or come too late; and which are so by all columns."""
        late = alike = np.zeros(len(backfilled), bool)
        if self.origin in _TIMELY:
            delay_s = rows["received_at_s"] - rows["read_at_ms"] // 1000 - limits.lateness_s
            late = delay_s > self.lists["span_s"][rows["number"]]
            alike = late ^ (delay_s > self.lists["longest_s"][rows["number"]])
        reason = np.where(backfilled, Reason.BACKFILLED, np.where(late, Reason.ARRIVED_LATE, Reason.NONE))
        quality = np.where(backfilled | late, Quality.LATE, Quality.GOOD)
        return {"quality": quality.astype(np.uint8), "reason": reason.astype(np.uint16)}, ~alike | backfilled

    def find(self, number: Numbers, at_ms: Ints) -> Ints:
        """Row held of each list at each time, or -1."""
        row = self.lists["last"][number]
        if not len(self.rows):
            return row
        at, previous = self.rows["read_at_ms"], self.rows["previous"]
        while (later := (row >= 0) & (at[row] > at_ms)).any():
            row[later] = previous[row[later]]
        return np.where((row >= 0) & (at[row] == at_ms), row, -1)

    def same(self, held: Ints, swath: Swath, rows: Ints) -> Bools:
        """Which rows of a swath say what rows held say, by the same receipt and no later sequence."""
        equal: Bools = (self.rows["ticks"][held] == swath.ticks[rows]).all(axis=1)
        equal &= self.rows["received_at_s"][held] == swath.rows["received_at_s"][rows]
        return equal & (self.rows["sequence"][held] >= swath.rows["sequence"][rows])

    def put(self, swath: Swath) -> Laid:
        """Keep rows that are all new; each is linked with the one before it in time."""
        n, first = len(swath), len(self.rows)
        number, times = compact(swath.rows["number"])
        oldest = np.full(len(number), 2**62)
        np.minimum.at(oldest, times, swath.rows["read_at_ms"])
        said = {"ticks": swath.ticks, "sent": swath.sent} if self.converted else {"ticks": swath.ticks}
        self.rows.append(swath.rows | {"previous": np.full(n, -1)} | said)
        later, link = self._later(self.lists["last"][number], oldest)
        index = np.append(later, first + np.arange(n))
        index = index[np.lexsort((self.rows["read_at_ms"][index], self.rows["number"][index]))]
        own = self.rows["number"][index]
        starts = starts_of(own)
        before = np.roll(index, 1)
        before[starts] = link
        self.rows["previous"][index] = before
        self.lists["last"][number] = index[np.append(starts[1:], len(index)) - 1]
        return Laid(first, number, oldest, link, later)

    def _later(self, last: Ints, than_ms: Ints) -> tuple[Ints, Ints]:
        """Rows of lists later than a time each, in no order; and of each list the newest row that is not, or -1."""
        found: list[Ints] = [np.empty(0, np.int64)]
        at, previous, row = self.rows["read_at_ms"], self.rows["previous"], last.copy()
        while (later := (row >= 0) & (at[row] > than_ms)).any():
            found.append(row[later])
            row[later] = previous[row[later]]
        return np.concatenate(found), row

    def around(self, fresh: Ints, laid: Laid) -> Ints:
        """Some rows that were laid, and all others of their lists in the same hours, by list and time."""
        number, at = self.rows["number"], self.rows["read_at_ms"]
        wanted = np.zeros(len(self.listings) + 1, bool)
        wanted[number[fresh]] = True
        some = wanted[laid.number]
        earlier, _ = self._later(laid.link[some], laid.oldest_ms[some] // HOUR_MS * HOUR_MS - 1)
        later = laid.later[wanted[number[laid.later]]]
        if len(later):
            hour = at // HOUR_MS + (number.astype(np.int64) << TIME_BITS)
            later = later[np.isin(hour[later], hour[fresh])]
        index = np.concatenate([earlier, later, fresh])
        return index[np.lexsort((at[index], number[index]))]

    def sheaf(self, rows: Columns, ticks: Ints, sent: Ints) -> Sheaf:
        """Rows as a sheaf of the lists they fill."""
        used, place = compact(rows["number"])
        listings = [self.listings[number] for number in used.tolist()]
        return Sheaf(
            lists=tuple(listing.points for listing in listings),
            row_list=place.astype(np.int32),
            read_at_ms=rows["read_at_ms"],
            received_at_s=rows["received_at_s"],
            sequence=rows["sequence"],
            position=rows["position"],
            ticks=ticks,
            sent=sent,
            units=tuple(listing.units for listing in listings),
            origin=int(self.origin),
            quality=rows["quality"],
            reason=rows["reason"],
        )

    def lift(self, numbers: Ints) -> tuple[Keys, Columns]:
        """Take the rows of some lists out, spelled out as keys and columns of the ledger."""
        wanted = np.zeros(len(self.listings) + 1, bool)
        wanted[numbers] = True
        index = np.flatnonzero(wanted[self.rows["number"]])  # the number of a row that is out is -1
        number = self.rows["number"][index]
        self.lists["last"][numbers] = -1
        self.rows["number"][index] = -1
        self._dead += len(index)
        by_row = {name: np.repeat(self.rows[name][index], self.width) for name in BY_ROW}
        ticks = self.rows["ticks"][index].ravel()
        keys = key_of(self.lists["slots"][number].ravel(), by_row["read_at_ms"], int(self.origin))
        return keys, by_row | {
            "ticks": ticks,
            "sent": self.rows["sent"][index].ravel() if self.converted else ticks,
            "sent_unit": self.lists["units"][number].ravel(),
        }

    def tidy(self) -> None:
        """Give back the room of rows that are out, once they are the greater part; places change."""
        if 2 * self._dead > len(self.rows):
            self._keep(self.rows["number"] >= 0)

    def drop(self, before_ms: int, stored: int) -> Ints:
        """Forget rows before an instant that are surely stored; for each list the time of the newest gone, or -1."""
        number, at = self.rows["number"], self.rows["read_at_ms"]
        old = (number >= 0) & (at < before_ms) & (self.rows["position"] < np.uint64(max(stored, 0)))
        newest = np.full(len(self.listings), -1, np.int64)
        np.maximum.at(newest, number[old], at[old])
        self._keep((number >= 0) & ~old)
        return newest

    def _keep(self, mask: Bools) -> None:
        """Forget rows; those of a list are forgotten oldest first, or all."""
        place = np.append(np.where(mask, np.cumsum(mask) - 1, -1), -1)
        self.rows.keep(mask)
        self.rows["previous"][:] = place[self.rows["previous"]]
        self.lists["last"][:] = place[self.lists["last"]]
        self._dead = 0


def _vectors(listing: Listing) -> dict[str, npt.NDArray[Any]]:
    """One row of a rack's lists: limits and times."""
    of = Of(*listing.limits)
    limits = of._asdict() | {"span": of.high - of.low}
    return {name: limits[name][None] for name in _LIMITS} | {
        name: np.array([time]) for name, time in listing.spread._asdict().items()
    }
