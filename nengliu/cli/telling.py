"""The story of the demonstration's province: what of it lies in the log, how it gets there and into the store."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from nengliu.cli.facts import ask, received
from nengliu.cli.language import say
from nengliu.cli.supervise import TICK_S
from nengliu.cli.up import COLLECTOR, Installation, part_name
from nengliu.domain.times import DAY_MS, QUARTER_MS
from nengliu.errors import InputError, StorageError
from schemas.topics import RAW

if TYPE_CHECKING:
    from acquisition.simulator.province import Message, Province
    from nengliu.bus import Log
    from nengliu.settings import Settings

SEED = 20170930
"""Day the document that ordered the monitoring was issued (NDRC-2017); any number would do."""
BATCH = 500
"""Messages per append; the file takes all of them or none, so a start knows by them where the last one ended."""
POLL_S = 2.0
POINTS = 10
"""Points of a plant, by which the length of the story is known before it is told."""
LINE_S = 15.0
"""Without a terminal the progress is a line so often."""


@dataclass(frozen=True, slots=True)
class Told:
    """What of the province's story lies in the log; kept in ``HOME/demo.json``, so nothing is told twice.

    `last_ms` is the instant up to which the output was booked [ms, UTC].
    """

    seed: int
    start_ms: int
    days: int
    enterprises: int
    messages: int = 0
    readings: int = 0
    complete: bool = False
    last_ms: int = 0

    @property
    def province(self) -> Province:
        """The province this story is of."""
        from acquisition.simulator.province import Province

        return Province(self.seed, self.start_ms, self.days, self.enterprises)

    @property
    def expected(self) -> int:
        """Readings of the whole story: nearly, until it is told."""
        return (
            self.readings if self.complete else self.enterprises * POINTS * self.days * DAY_MS // QUARTER_MS
        )


def begin(file: Path, days: int | None, enterprises: int | None, *, default: tuple[int, int]) -> Told:
    """Give the story of this folder, or begin one; what was not asked for is as it is, or else the default.

    Raises
    ------
    InputError
        The story of this folder is another one than was asked for, or its data are no story of ours.
    """
    from acquisition.simulator.province import province_until

    told = read_told(file)
    if told is None:
        _check_untouched(file.parent)
        wanted = days or default[0], enterprises or default[1]
        province = province_until(SEED, time.time_ns() // 1_000_000, *wanted)
        told = Told(SEED, province.start_ms, *wanted, last_ms=province.end_ms)
        write_told(file, told)
    if (days or told.days, enterprises or told.enterprises) != (told.days, told.enterprises):
        about = {"days": told.days, "enterprises": told.enterprises, "home": file.parent}
        raise InputError(say("error.other_days", **about))
    return told


def _check_untouched(home: Path) -> None:
    """Refuse a folder in which somebody keeps data of his own: invented readings do not belong among them."""
    found = [name for name in ("log.sqlite", "store") if (home / name).exists()]
    if found:
        raise InputError(say("error.other_home", home=home, found=", ".join(found)))


def tell(installation: Installation, told: Told, console: Console) -> Told:
    """Write what was not told yet while the flows read it, and watch until all of it is in the store."""
    file = installation.settings.home / "demo.json"
    with _Bar(installation, console, told) as bar:
        if not told.complete:
            for step in append_story(installation.settings, told):
                write_told(file, step)
                told = step
                bar.look(told)
        while bar.look(told) < told.readings:
            time.sleep(TICK_S)
    return told


def append_story(settings: Settings, told: Told) -> Iterator[Told]:
    """Append what was not told yet, a batch at a time; each item says how far the story is now."""
    from acquisition.simulator import province
    from acquisition.simulator.story import readings_of
    from nengliu.bus.open import open_log

    log = open_log(settings)
    try:
        rest = itertools.islice(province.told(told.province), told.messages, None)
        is_noted = False
        for batch in iter(lambda: list(itertools.islice(rest, BATCH)), []):
            records = _records(batch)
            if is_noted or not _stands(log, records):
                log.append(RAW, records)
            is_noted = True
            count = sum(map(readings_of, batch))
            told = replace(told, messages=told.messages + len(batch), readings=told.readings + count)
            yield told
        yield replace(told, complete=True)
    finally:
        log.close()


def _records(messages: Iterable[Message]) -> list[tuple[str, bytes]]:
    """Make records of messages of the province, each under its own key."""
    from acquisition.simulator.province import key_of
    from schemas.messages import encode

    return [(key_of(message), encode(message)) for message in messages]


def _stands(log: Log, records: list[tuple[str, bytes]]) -> bool:
    """Whether a batch is at the end of the log already: who was killed after writing it had not noted it yet."""
    held: set[bytes] = set()
    for partition in range(log.partitions(RAW)):
        # Twice as many: what visitors did about incidents meanwhile may stand among them.
        first = max(0, log.bounds(RAW, partition).end - 2 * BATCH)
        held |= {record.value for record in log.read(RAW, partition, first, 2 * BATCH)}
    return all(value in held for _, value in records)


def read_told(file: Path) -> Told | None:
    """Read how far the story is; None if it never began."""
    try:
        return Told(**json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise InputError(say("error.demo_file", file=file, error=error)) from error


def write_told(file: Path, told: Told) -> None:
    """Write how far the story is, whole or not at all."""
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(told)), encoding="utf-8")
    fresh.replace(file)


class Booking:
    """Books the amounts that no meter shows, once after each quarter-hour, and remembers it."""

    def __init__(self, file: Path, told: Told, log: Log) -> None:
        self._file, self._told, self._log = file, told, log
        self._plants = told.province.plants
        self._boot_s, self._numbers = int(time.time()), itertools.count(1)

    def __call__(self, now_ms: int) -> None:
        """Tell what was not told yet at an instant [ms, UTC]."""
        from acquisition.simulator.story import booked

        last_ms = self._told.last_ms
        if now_ms // QUARTER_MS == last_ms // QUARTER_MS:
            return
        number = next(self._numbers)
        frames = (booked(plant, last_ms, now_ms, self._boot_s, number) for plant in self._plants)
        self._log.append(RAW, _records(frame for frame in frames if frame is not None))
        self._told = replace(self._told, last_ms=now_ms)
        write_told(self._file, self._told)


class _Bar:
    """Shows how many readings of the story are in the store, and keeps the parts alive meanwhile."""

    def __init__(self, installation: Installation, console: Console, told: Told) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(show_speed=True))
        more = (
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        )
        self._installation, self._console, self._start_ms = installation, console, told.start_ms
        self._progress = Progress(*columns, *more, console=console, transient=True)
        self._task = self._progress.add_task(say("demo.loading"), total=told.expected, rate="")
        self._arrived, self._asked_at, self._told_at = 0, 0.0, time.monotonic()
        self._shown = False
        self._mourned: set[str] = set()
        self._began_at = time.monotonic()

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def look(self, told: Told) -> int:
        """Show how many readings have arrived, asking every `POLL_S`; say it."""
        self._installation.supervisor.tick()
        self._tell_dead()
        now = time.monotonic()
        if now - self._asked_at > POLL_S:
            self._arrived = readings_in_store(self._installation.settings, told)
            self._asked_at = time.monotonic()
            rate = say("demo.rate", rate=f"{self._arrived / (now - self._began_at):,.0f}")
            self._progress.update(self._task, completed=self._arrived, total=told.expected, rate=rate)
            self._tell_line(told)
        return self._arrived

    def _tell_dead(self) -> None:
        """Say of a part that died, once, where to read why: without it the history does not come."""
        states = self._installation.supervisor.states()
        dead = {name for name, state in states.items() if state == "waiting" and name != COLLECTOR}
        for name in sorted(dead - self._mourned):
            file = self._installation.supervisor.log_file(name)
            self._console.print(f"{part_name(name)} ✗  {say('up.dead', file=file)}", soft_wrap=True)
        self._mourned |= dead

    def _tell_line(self, told: Told) -> None:
        """Say where the page is once there is something on it, and without a terminal how far we are."""
        if self._arrived and not self._shown and self._installation.page_answers():
            self._console.print(say("demo.first_data", address=self._installation.address))
            self._shown = True
        if not self._console.is_terminal and time.monotonic() - self._told_at > LINE_S:
            self._told_at = time.monotonic()
            share = f"{self._arrived / max(told.expected, 1):.0%}"
            self._console.print(say("demo.so_far", share=share, readings=f"{self._arrived:,}"))


def readings_in_store(settings: Settings, told: Told) -> int:
    """Count the readings of the history that the store has taken in, whatever became of them."""
    try:
        rows = ask(settings, "intake", **received(told.province))
    except StorageError:  # it starts, or was killed and comes back
        return 0
    return sum(row["received"] for row in rows)
