"""A database as a feed: a query with a watermark, read again over an overlap, each row handed in once.

Rows are written late and out of order in every plant database, so each look begins an
overlap before the newest watermark.  A row is new if it did not stand there at the look
before: what was changed in place comes again (the later value wins), what was only read
again does not.  Watermark and the rows seen are kept with the rows that were handed in.
Source: TC 4.3.5 (systems with an SQL interface); overlap and memory are ours.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from hashlib import blake2b

import msgspec
import numpy as np

from acquisition.drivers.clock import Clock
from acquisition.drivers.errand import Errand
from acquisition.drivers.sources.database import Database, Page
from acquisition.drivers.sources.feed import FeedDesk, FeedLink, Source, hand_in, look_for_ever
from acquisition.drivers.sources.plans import FeedPlan, SqlTable
from acquisition.drivers.sources.watermark import Watermark, before, read, spelled, taken
from acquisition.files.reader import Cells, Chunk
from acquisition.files.rows import Interpreter
from nengliu.errors import LinkError, nearest

MOST_ROWS = 1_000_000
"""Rows of one watermark that are asked for at a time; more would fill the memory."""
DIGEST = 8


class _Memory(msgspec.Struct):
    """Where the next look begins, and the rows that stood in its overlap."""

    kind: str = ""
    watermark: str = ""
    seen: str = ""


class SqlFeed:
    """Looks at a database every so often, for ever.

    Raises
    ------
    InputError
        As `Database`.
    """

    def __init__(self, plan: FeedPlan, clock: Clock) -> None:
        assert isinstance(plan.told, SqlTable)
        self._plan, self._told, self._clock = plan, plan.told, clock
        self._database = Database(plan)
        self._source = Source(plan.name, plan.schema.schema, plan.points)
        self._errand = Errand()
        self._mark: Watermark | None = plan.told.start if plan.told.start != "" else None
        self._seen: set[bytes] = set()
        self._begun = False

    @property
    def name(self) -> str:
        """Name of the feed."""
        return self._plan.name

    async def run(self, desk: FeedDesk) -> None:
        """Hand in what is new, for ever: until cancelled."""
        self.remember(desk)
        link = FeedLink(self.name, self._clock, desk, self._told.silent_s)
        await look_for_ever(lambda: self.look(desk), link, self._clock, self._told.every_s)

    async def sample(self, desk: FeedDesk, within_s: float) -> None:
        """Hand in the first page, for the eye."""
        page = await asyncio.wait_for(self._page(self._mark, self._told.page), within_s)
        if page.rows:
            self._hand_in(desk, page.names, page.rows)

    async def look(self, desk: FeedDesk) -> bool:
        """Read from an overlap before the watermark to the end; say whether there was anything new.

        Raises
        ------
        LinkError
            LINE_DOWN: the database cannot be asked; CONFIG: it lacks a column; TIMEOUT: no answer in time.
        """
        scan = _Scan(self._seen)
        since = (
            before(self._mark, self._told.overlap) if self._begun and self._mark is not None else self._mark
        )
        rows, new = self._told.page, 0
        while True:
            page = await self._page(since, rows)
            marks, fresh = self._sift(page, scan)
            if fresh:
                self._hand_in(desk, page.names, fresh)
                new += len(fresh)
            if marks:
                self._mark, self._begun = marks[-1], True
                scan.forget(before(marks[-1], self._told.overlap))
            if fresh:
                self._keep(desk, scan.known())
            if len(page.rows) < rows:
                break
            if marks[-1] == since:  # more rows of one watermark than a page holds
                rows = self._more(rows)
            since = marks[-1]
        if scan.rows != self._seen:
            self._seen = scan.rows
            self._keep(desk, scan.rows)
        return bool(new)

    async def idle(self) -> None:
        """Return when no query runs."""
        await self._errand.done()

    async def _page(self, since: Watermark | None, rows: int) -> Page:
        if self._errand.in_flight:
            raise self._slow()
        try:
            job = self._errand.run(lambda: self._database.page(since, rows))
            page = await asyncio.wait_for(asyncio.shield(job), self._told.timeout_s)
        except TimeoutError:
            raise self._slow() from None
        if isinstance(page, LinkError):
            raise page
        for name in (*self._plan.map.columns(), self._told.watermark):
            if name not in page.names:
                told = f"expected a column {name!r}, got {', '.join(page.names)}; {nearest(name, page.names)}"
                raise LinkError("CONFIG", f"feed {self.name}: {told}", got=told)
        return page

    def _slow(self) -> LinkError:
        told = f"expected an answer within {self._told.timeout_s} s, got none"
        return LinkError("TIMEOUT", f"feed {self.name}: {told}; see why the query is slow", got=told)

    def _more(self, rows: int) -> int:
        if rows >= MOST_ROWS:
            told = f"expected fewer than {MOST_ROWS} rows of one watermark, got more; choose a finer one"
            raise LinkError("CONFIG", f"feed {self.name}: {told}", got=told)
        return 2 * rows

    def _sift(self, page: Page, scan: _Scan) -> tuple[list[Watermark], list[tuple[object, ...]]]:
        """Tell the rows that did not stand there before from those that did."""
        at = page.names.index(self._told.watermark)
        wanted = [page.names.index(name) for name in self._plan.map.columns()]
        marks, fresh = [], []
        for row in page.rows:
            mark = taken(row[at], self._told.watermark)
            marks.append(mark)
            if scan.is_new(mark, repr([row[n] for n in wanted]).encode()):
                fresh.append(row)
        return marks, fresh

    def _hand_in(self, desk: FeedDesk, names: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
        received_at_s = -(-self._clock.now_ms() // 1000)
        interpreter = Interpreter(self._plan.map, received_at_s)
        place = {name: names.index(name) for name in self._plan.map.columns()}
        cells: dict[str, Cells] = {name: [row[n] for row in rows] for name, n in place.items()}
        parts = [interpreter.add(Chunk(np.arange(1, len(rows) + 1), cells)), interpreter.finish()]
        hand_in(desk, self._plan, self._source, parts)

    # -- what is kept -----------------------------------------------------------------------

    def remember(self, desk: FeedDesk) -> None:
        """Take up what was kept; once, before the first look."""
        kept = desk.state(f"feed/{self.name}")
        if kept is None:
            return
        memory = msgspec.json.decode(kept[0], type=_Memory)
        digests = base64.b85decode(memory.seen)
        self._mark, self._begun = read(memory.kind, memory.watermark), True
        self._seen = {digests[n : n + DIGEST] for n in range(0, len(digests), DIGEST)}

    def _keep(self, desk: FeedDesk, seen: set[bytes]) -> None:
        assert self._mark is not None
        digests = base64.b85encode(b"".join(sorted(seen))).decode()
        memory = msgspec.json.encode(_Memory(*spelled(self._mark), digests)).decode()
        desk.put_state(f"feed/{self.name}", memory, self._clock.now_ms())


class _Scan:
    """One look: which rows stood in the overlap at the look before, and which stand there now."""

    def __init__(self, known: set[bytes]) -> None:
        self._known = known
        self._marks: dict[bytes, Watermark] = {}

    @property
    def rows(self) -> set[bytes]:
        """Rows that the next look may meet again."""
        return set(self._marks)

    def is_new(self, mark: Watermark, row: bytes) -> bool:
        """Take note of a row; rows come in the order of their marks."""
        digest = blake2b(row, digest_size=DIGEST).digest()
        seen = self._marks.pop(digest, None) is not None
        self._marks[digest] = mark
        return not seen and digest not in self._known

    def known(self) -> set[bytes]:
        """What to remember if the look ends here: what it saw, and what it has not come to."""
        return self.rows | self._known

    def forget(self, mark: Watermark) -> None:
        """Forget rows before a mark: no look will meet them again."""
        for digest, at in list(self._marks.items()):
            if at >= mark:  # type: ignore[operator]  # of one column, so of one kind
                break
            del self._marks[digest]
