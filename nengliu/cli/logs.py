"""`nengliu logs`: what all parts wrote, merged by time; reads files only, so it works while nothing runs.

A line that opens with a time opens a record; lines without one (a traceback, a table) belong to the record before
them.  Files that were set aside are read first.
"""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import click

from nengliu import settings as settings_of
from nengliu.cli.language import examples, say
from nengliu.errors import InputError

POLL_S = 0.5
COLOURS = ("cyan", "green", "yellow", "blue", "magenta", "bright_cyan", "bright_green", "bright_blue")
LEVELS = ("debug", "info", "warning", "error")
_OPENING = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?)(Z?) (?:(DEBUG|INFO|WARNING|ERROR|CRITICAL) )?(.*)",
    re.DOTALL,
)
_SINCE = re.compile(r"(\d+)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of one part's log: when [s since 1970], how grave, and its text, which may have several lines."""

    at_s: float
    part: str
    level: str
    text: str


@click.command(help=say("command.logs"), epilog=examples("logs"))
@click.argument("parts", nargs=-1, metavar="[PART]...")
@click.option("--follow", "-f", is_flag=True, help=say("option.follow"))
@click.option("--since", default=None, metavar="10m", help=say("option.since"))
@click.option("--level", type=click.Choice(LEVELS), default="debug", help=say("option.level"))
@click.option("--json", "as_json", is_flag=True, help=say("option.logs_json"))
def logs(parts: tuple[str, ...], since: str | None, level: str, *, follow: bool, as_json: bool) -> None:
    """Show the merged log."""
    folder = settings_of.load().home / "logs"
    after_s = time.time() - seconds_of(since) if since else 0.0
    wanted = choose(folder, parts)
    tails = {part: Tail(part, folder) for part in wanted}
    show(read(tails), after_s, level, as_json=as_json)
    while follow:
        time.sleep(POLL_S)
        tails |= {part: Tail(part, folder) for part in choose(folder, parts) if part not in tails}
        show(read(tails), after_s, level, as_json=as_json)


def choose(folder: Path, parts: Sequence[str]) -> list[str]:
    """Name the parts whose logs are wanted: those that were asked for, or else all that ever wrote.

    Raises
    ------
    InputError
        A part that was asked for never wrote anything.
    """
    known = sorted(file.stem for file in folder.glob("*.log"))
    for part in parts:
        if part not in known:
            raise InputError(say("error.no_log", part=part, folder=folder, known=", ".join(known) or "-"))
    return [part for part in known if not parts or part in parts]


def read(tails: Mapping[str, Tail]) -> Iterator[Entry]:
    """Merge by time what the parts wrote since the last call."""
    return heapq.merge(*(tail.entries() for tail in tails.values()), key=lambda entry: entry.at_s)


def show(entries: Iterable[Entry], after_s: float, level: str, *, as_json: bool) -> None:
    """Print the entries that are young and grave enough."""
    least = logging.getLevelNamesMapping()[level.upper()]
    for entry in entries:
        if entry.at_s >= after_s and logging.getLevelNamesMapping()[entry.level] >= least:
            click.echo(_as_json(entry) if as_json else _as_line(entry))


def seconds_of(text: str) -> int:
    """Read a span such as ``90s``, ``10m``, ``2h`` or ``3d`` [s].

    >>> seconds_of("10m")
    600
    """
    found = _SINCE.fullmatch(text)
    if found is None:
        raise InputError(say("error.since", text=text))
    return int(found[1]) * _SECONDS[found[2]]


class Tail:
    """Reads the log of one part: what was set aside, what is there, and later what was added."""

    def __init__(self, part: str, folder: Path) -> None:
        """Begin at the beginning."""
        self.part = part
        self._file = folder / f"{part}.log"
        self._aside = folder / f"{part}.log.1"
        self._node = self._offset = 0
        self._last = Entry(0.0, part, "INFO", "")

    def entries(self) -> Iterator[Entry]:
        """Give the records written since the last call, in their order; times never run backwards."""
        pending: Entry | None = None
        for line in self._lines():
            opened = self._open(line)
            if opened is None and pending is not None:
                pending = _joined(pending, line)
                continue
            if pending is not None:
                yield pending
            pending = self._last = opened or replace(self._last, text=line, level=_gravity(self._last, line))
        if pending is not None:
            self._last = pending
            yield pending

    def _open(self, line: str) -> Entry | None:
        """Read the opening line of a record; None if the line opens none."""
        found = _OPENING.fullmatch(line)
        if found is None:
            return None
        at = datetime.fromisoformat(found[1].replace(",", "."))
        at_s = at.replace(tzinfo=UTC).timestamp() if found[2] else at.timestamp()
        return Entry(max(at_s, self._last.at_s), self.part, found[3] or "INFO", found[4])

    def _lines(self) -> Iterator[str]:
        """Give the lines that are complete; of a file that was set aside meanwhile the rest comes first."""
        about = self._file.stat() if self._file.exists() else None
        node, size = (about.st_ino, about.st_size) if about else (0, 0)
        if node != self._node or size < self._offset:
            if self._aside.exists():
                yield from self._from(self._aside)
            self._node, self._offset = node, 0
        if about:
            yield from self._from(self._file)

    def _from(self, file: Path) -> Iterator[str]:
        if self._last.at_s == 0.0:
            self._last = replace(self._last, at_s=self._first_s(file))
        with file.open("rb") as stream:
            stream.seek(self._offset)
            for raw in itertools.takewhile(lambda line: line.endswith(b"\n"), stream):
                self._offset += len(raw)
                yield raw.decode(errors="replace").rstrip("\r\n")

    def _first_s(self, file: Path) -> float:
        """When a file begins whose first lines bear no time: at its first line that does, or when it was written."""
        with file.open(encoding="utf-8", errors="replace") as stream:
            first = next((entry for line in stream if (entry := self._open(line.rstrip("\n")))), None)
        return first.at_s if first else file.stat().st_mtime


def _joined(entry: Entry, line: str) -> Entry:
    return replace(entry, text=f"{entry.text}\n{line}", level=_gravity(entry, line))


def _gravity(entry: Entry, line: str) -> str:
    """A traceback is an error, whatever it follows."""
    return "ERROR" if line.startswith("Traceback ") else entry.level


def _as_line(entry: Entry) -> str:
    at = datetime.fromtimestamp(entry.at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    colour = COLOURS[sum(entry.part.encode()) % len(COLOURS)]
    grave = entry.level in {"ERROR", "CRITICAL"}
    level = click.style(f"{entry.level:<8}", fg="red" if grave else None)
    text = entry.text.replace("\n", "\n    ")
    return f"{at} {click.style(f'{entry.part:<10}', fg=colour)} {level} {text}"


def _as_json(entry: Entry) -> str:
    at = datetime.fromtimestamp(entry.at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps(
        {"at": at, "part": entry.part, "level": entry.level, "text": entry.text}, ensure_ascii=False
    )
