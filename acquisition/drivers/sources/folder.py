"""A drop folder as a feed: tables that somebody lays into it become readings, once.

A file is taken when nobody has written to it for a while, and read as its map says, in a
thread beside the loop.  What it gives is handed in piece by piece, each with how far it has
come, so that a collector that was stopped in the middle goes on from there.  Then the file
goes to ``done``, or to ``failed`` with a text that says why.  The same content is never read
twice, whatever it is called.
Source: TC 4.3.5-2, 4.3.5-3 (tables beside meters); the rules are ours.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import TypeVar

import msgspec

from acquisition.drivers.clock import Clock
from acquisition.drivers.errand import Errand
from acquisition.drivers.sources.feed import (
    FeedDesk,
    FeedLink,
    Source,
    hand_in,
    keep_last,
    look_for_ever,
    rows_of,
)
from acquisition.drivers.sources.plans import FeedPlan, FolderTable
from acquisition.files.rows import Interpreter, Understood, interpret, join
from acquisition.files.tables import digest_of, open_table
from nengliu.domain.quality import Reason
from nengliu.errors import InputError, LinkError
from schemas.messages import RejectedRow

DONE, FAILED = "done", "failed"
UNFINISHED = (".tmp", ".part", ".partial", ".filepart", ".crdownload", ".swp", "~")
"""Names that programs give what they are still writing."""
PIECE = 500
"""Rows that are handed in, and made durable, at a time."""
MOST_VALUES = 1_000_000
"""Values of one file; they are held in memory, 43 bytes each."""
T = TypeVar("T")


class _Progress(msgspec.Struct):
    """The file that is being read: its digest, when it was begun, and the rows that were handed in."""

    digest: str
    begun_s: int
    rows: int


@dataclass(slots=True)
class _Seen:
    """How a file looked, and since when it looks so [ms, steady]."""

    size: int
    changed_ns: int
    since_ms: int


class FolderFeed:
    """Looks into a folder every so often, for ever."""

    def __init__(self, plan: FeedPlan, clock: Clock) -> None:
        assert isinstance(plan.told, FolderTable)
        self._plan, self._told, self._clock = plan, plan.told, clock
        self._folder = plan.path(plan.told.folder)
        self._source = Source(plan.name, plan.schema.schema, plan.points)
        self._errand = Errand()
        self._seen: dict[Path, _Seen] = {}

    @property
    def name(self) -> str:
        """Name of the feed."""
        return self._plan.name

    async def run(self, desk: FeedDesk) -> None:
        """Hand in what is laid into the folder, for ever: until cancelled."""
        link = FeedLink(self.name, self._clock, desk, self._told.silent_s)
        await look_for_ever(lambda: self.look(desk), link, self._clock, self._told.every_s)

    async def sample(self, desk: FeedDesk, within_s: float) -> None:
        """Hand in what the oldest file gives, for the eye; it stays where it is."""
        del within_s  # a file is there or is not
        try:
            ready = sorted(self._files(), key=lambda file: (file.stat().st_mtime_ns, file.name))
        except OSError as error:
            raise self._lost(error) from error
        if ready:
            hand_in(desk, self._plan, self._source, [self._read(ready[0], -(-self._clock.now_ms() // 1000))])

    async def look(self, desk: FeedDesk) -> bool:
        """Take the files that are ready, the oldest first; say whether there was one.

        Raises
        ------
        LinkError
            LINE_DOWN: the folder cannot be read, or a file not be moved.
        """
        await self._errand.done()
        ready = await self._errand.run(lambda: _tried(self._ready))
        if isinstance(ready, Exception):
            raise self._lost(ready)
        for file in ready:
            await self._take(file, desk)
        return bool(ready)

    # -- which files ------------------------------------------------------------------------

    def _ready(self) -> list[Path]:
        """Name the files that nobody writes to, the oldest first."""
        for aside in (DONE, FAILED):
            (self._folder / aside).mkdir(exist_ok=True)
        now_ms, seen = self._clock.steady_ms(), {}
        for file in self._files():
            try:
                found = file.stat()
            except FileNotFoundError:  # taken away meanwhile
                continue
            looks = _Seen(found.st_size, found.st_mtime_ns, now_ms)
            before = self._seen.get(file)
            if before and (before.size, before.changed_ns) == (looks.size, looks.changed_ns):
                looks = before
            seen[file] = looks
        self._seen = seen
        ready = [
            file for file, looks in seen.items() if now_ms - looks.since_ms >= self._told.settle_s * 1000
        ]
        return sorted(ready, key=lambda file: (seen[file].changed_ns, file.name))

    def _files(self) -> Iterator[Path]:
        for file in self._folder.iterdir():
            wanted = fnmatch.fnmatch(file.name, self._told.pattern)
            unfinished = file.name.startswith((".", "~$")) or file.name.endswith(UNFINISHED)
            if wanted and not unfinished and file.is_file():
                yield file

    # -- one file ---------------------------------------------------------------------------

    async def _take(self, file: Path, desk: FeedDesk) -> None:
        """Read a file, hand in what it gives, and lay it aside."""
        digest = await self._errand.run(lambda: _tried(lambda: digest_of(file, self._plan.map)))
        if isinstance(digest, Exception):
            raise self._lost(digest)
        if desk.state(f"feed/{self.name}/{digest}") is None:
            progress = self._progress(digest, desk)
            found = await self._errand.run(lambda: _tried(lambda: self._read(file, progress.begun_s)))
            if isinstance(found, OSError):
                raise self._lost(found)
            if isinstance(found, InputError):
                await self._fail(file, found, desk)
                return
            await self._hand_in(found, progress, desk)
            desk.put_state(f"feed/{self.name}/{digest}", file.name, self._clock.now_ms())
            await desk.durable()
        self._lay_aside(file, DONE)

    def _read(self, file: Path, begun_s: int) -> Understood:
        """Read a whole file; the same file gives the same, row for row.

        Raises
        ------
        InputError
            It is no table as the map describes it, nothing in it can be understood, or it is too large.
        """
        interpreter = Interpreter(self._plan.map, begun_s)
        table = open_table(file, self._plan.map)
        parts = []
        try:
            for part in interpret(table.chunks(self._plan.map.columns()), interpreter):
                parts.append(part)
                if interpreter.counts.values > MOST_VALUES:
                    raise InputError(
                        f"{file.name}: expected at most {MOST_VALUES} values, got more; read it by nengliu import"
                    )
        finally:
            table.close()
        rejected = [one for part in parts for one in part.rejected]
        if rejected and not interpreter.counts.readings:
            raise InputError(
                f"{file.name}: row {rejected[0].row}: expected values as the map describes them, got "
                f"{len(rejected)} of which none can be understood (the first: {rejected[0].text!r}); "
                "correct the map, and lay the file into the folder again"
            )
        return Understood(join([part.readings for part in parts]), rejected)

    async def _hand_in(self, found: Understood, progress: _Progress, desk: FeedDesk) -> None:
        """Hand in what was not handed in before, piece by piece."""
        rows = islice(rows_of(found.readings, self._plan.points), progress.rows, None)
        for start in range(0, len(found.rejected) if not progress.rows else 0, PIECE):
            desk.reject(self.name, tuple(found.rejected[start : start + PIECE]))
        while piece := list(islice(rows, PIECE)):
            for row in piece:
                row.hand_in(desk, self._source, self._plan.origin)
            keep_last(desk, self.name, piece)
            progress.rows += len(piece)
            desk.put_state(f"feed/{self.name}", msgspec.json.encode(progress).decode(), self._clock.now_ms())
            await desk.durable()

    def _progress(self, digest: str, desk: FeedDesk) -> _Progress:
        kept = desk.state(f"feed/{self.name}")
        if kept:
            found = msgspec.json.decode(kept[0], type=_Progress)
            if found.digest == digest:
                return found
        return _Progress(digest, -(-self._clock.now_ms() // 1000), 0)

    # -- where it goes ----------------------------------------------------------------------

    async def _fail(self, file: Path, error: InputError, desk: FeedDesk) -> None:
        """Lay a file aside that is none of ours, and say why, there and in the quarantine."""
        told = {"field": file.name[:64], "got": str(error)[:200]}
        desk.reject(self.name, (RejectedRow(0, int(Reason.BAD_FIELD), "", file.name, told),))
        await desk.durable()
        laid = self._lay_aside(file, FAILED)
        try:
            laid.with_name(f"{laid.name}.txt").write_text(f"{error}\n", encoding="utf-8")
        except OSError as gone:
            raise self._lost(gone) from gone

    def _lay_aside(self, file: Path, where: str) -> Path:
        """Move a file, under another name if that is taken."""
        goal = self._folder / where / file.name
        for n in count(1):
            if not goal.exists():
                break
            goal = goal.with_name(f"{file.stem}-{n}{file.suffix}")
        self._seen.pop(file, None)
        try:
            return file.rename(goal)
        except OSError as error:
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> LinkError:
        told = (
            f"feed {self.name}: {self._folder}: expected a folder to read and to lay aside in, got: {error}"
        )
        return LinkError("LINE_DOWN", told, got=str(error))


def _tried(job: Callable[[], T]) -> T | InputError | OSError:
    """Give a failure as a value: a thread runs the job."""
    try:
        return job()
    except (InputError, OSError) as error:
        return error
