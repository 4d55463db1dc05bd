"""Point 1, for real: a hundred kills of flows and store while the log grows, in three ways to run them."""

from __future__ import annotations

import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rig

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))

from plant_story import tell

from acquisition.simulator.province import key_of, province_until, told
from nengliu.storage import connect, disconnect
from schemas.messages import MISSING, Frame, Message, RowsFrame, SchemaNotice, encode
from schemas.topics import RAW

DAYS, PLANTS, STORIES = 6, 6, 40
END_MS = 1_764_518_400_000
PAUSE_S = 0.0, 1.2
PROMPT_S = 600
"""What came within this of its stamp came in one frame with the others of that stamp."""
LOOK_S, PATIENCE_S = 0.1, 40.0
TOTALS = ("total_15min", "total_hour", "total_day", "total_month")


@dataclass(frozen=True, slots=True)
class Way:
    """How the flows run: the parts that are killed, with their commands, and how often."""

    name: str
    parts: dict[str, tuple[str, ...]]
    kills: int


WAYS = (
    Way("one process, one worker", {"flow": ("flow", "all")}, 40),
    Way("one process, two workers", {"flow": ("flow", "all", "--workers", "2")}, 30),
    Way("a process per flow", {"ingest": ("flow", "ingest"), "rollups": ("flow", "rollups")}, 30),
)


def prove(report: rig.Report, seed: int) -> None:
    """Compare each way with a calm run over the same log."""
    messages = load(seed)
    with rig.Installation() as calm:
        append(calm, messages)
        calm.flow()
        tables = kept(calm)
        expected = calm.fingerprints(tables)
    report.note(
        f"calm run: {len(messages)} messages, {expected['reading'][0]} readings, {expected['window_15min'][0]} "
        f"quarter-hours; seed {seed}"
    )
    for way in WAYS:
        found = killed(way, messages, tables, seed, report)
        different = [table for table in tables if expected[table] != found[table]]
        rows = sum(count for count, _ in found.values())
        figure = f"{way.kills} kills -9, {rows} FINAL rows in {len(tables)} tables, different: {different or 'none'}"
        report.point(f"1 kills, {way.name}", figure, holds=rows > 0 and not different)


def load(seed: int) -> list[tuple[str, bytes]]:
    """A week of a simulated province, woven with stories in which everything happens that can."""
    province = province_until(seed, END_MS, DAYS, PLANTS)
    widths: dict[tuple[str, int], int] = {}
    found = [(key_of(message), value) for message in told(province) for value in cut(message, widths)]
    rng = random.Random(seed)
    step = len(found) // STORIES
    events = [(event.key, event.value) for event in tell(seed).events]
    for number, event in enumerate(events):
        found.insert(
            min(len(found), 20 + number * max(1, step * STORIES // len(events)) + rng.randrange(3)), event
        )
    return found


def cut(message: Message, widths: dict[tuple[str, int], int]) -> list[bytes]:
    """A frame for each time and receipt of loose readings, as a collector sends them; other messages stay whole."""
    if isinstance(message, SchemaNotice):
        widths[message.value.enterprise, message.value.schema] = len(message.value.columns)
    if not isinstance(message, RowsFrame):
        return [encode(message)]
    prompt = message.received_at_s - message.read_at_ms // 1000 < PROMPT_S
    times = np.stack([np.where(prompt, 0, message.received_at_s), message.read_at_ms])
    return [
        encode(_frame(message, np.flatnonzero((times == time[:, None]).all(0)), widths))
        for time in np.unique(times, axis=1).T
    ]


def _frame(rows: RowsFrame, some: np.ndarray, widths: dict[tuple[str, int], int]) -> Frame:
    """The readings of one time and receipt as a frame; a column that is not among them is missing."""
    width = widths[rows.enterprise, rows.schema]
    values, quality = np.full((1, width), MISSING, np.int64), np.zeros((1, width), np.uint8)
    values[0, rows.column[some]], quality[0, rows.column[some]] = rows.values[some], rows.quality[some]
    fixed = rows.enterprise, rows.schema, rows.source, rows.sequence
    at, received = rows.read_at_ms[some[:1]], int(rows.received_at_s[some].max())
    return Frame(*fixed, received, at, values, quality if quality.any() else None)


def append(installation: rig.Installation, messages: list[tuple[str, bytes]]) -> None:
    """Put all messages into a log."""
    with installation.log() as log:
        log.append(RAW, messages)


def kept(installation: rig.Installation) -> tuple[str, ...]:
    """Tables that are compared: totals too, where there are such."""
    client = connect(installation.settings)
    query = f"SELECT name FROM system.tables WHERE database = '{installation.settings.database}'"
    names = {row[0] for row in client.query(query).result_rows}
    disconnect(client)
    return (*rig.KEPT, *(name for name in TOTALS if name in names))


def killed(
    way: Way, messages: list[tuple[str, bytes]], tables: tuple[str, ...], seed: int, report: rig.Report
) -> dict[str, tuple[int, int]]:
    """Kill parts while the log grows, each time with messages in flight; then let the flows finish."""
    rng = random.Random(f"{seed} {way.name}")
    edges = [len(messages) * i // (2 * way.kills) for i in range(2 * way.kills + 1)]
    with rig.Installation() as installation, installation.log() as log:
        commands = {name: installation.command(*words) for name, words in way.parts.items()}
        for name, command in commands.items():
            installation.start(name, command)
        for number in range(1, way.kills + 1):
            log.append(RAW, messages[edges[2 * number - 2] : edges[2 * number - 1]])
            until_it_works(installation)
            log.append(RAW, messages[edges[2 * number - 1] : edges[2 * number]])
            time.sleep(rng.uniform(*PAUSE_S))
            part = rng.choice([*commands, *commands, *commands, "store"])
            told = in_flight(installation, edges[2 * number])
            report.note(f"{way.name}, kill {number:3d}: {part:7s} {told}")
            installation.kill(part)
            installation.store() if part == "store" else installation.start(part, commands[part])
            for name, command in commands.items():  # a flow may give up while the store is away
                if installation.children[name].poll() is not None:
                    installation.start(name, command)
        for name in commands:
            installation.kill(name)
        for words in way.parts.values():
            installation.run(*words, "--stop-at-end")
        return installation.fingerprints(tables)


def until_it_works(installation: rig.Installation) -> None:
    """Wait until more is stored than before, so that every kill interrupts work."""
    before, end = installation.stored(), time.monotonic() + PATIENCE_S
    while time.monotonic() < end and installation.stored() <= before:
        time.sleep(LOOK_S)


def in_flight(installation: rig.Installation, appended: int) -> str:
    """Say what is between the log and the store at this moment."""
    query = "SELECT count(), sum(received) FROM {0}.intake FINAL"
    windows = "SELECT count(), sum(received) FROM {0}.window_day FINAL"
    try:
        client = connect(installation.settings)
        tallied, readings = client.query(query.format(installation.settings.database)).result_rows[0]
        days, counted = client.query(windows.format(installation.settings.database)).result_rows[0]
        client.close()
    except Exception:  # noqa: BLE001 - it may have been killed just now, that is the point
        return f"{appended} messages in the log, the store is away"
    return f"{appended} messages in the log, {tallied} tallied ({readings} readings), {counted} of them in {days} days"
