"""Point 3: the steel import cut by 20 kills of flow or store, and a control that must fail."""

from __future__ import annotations

import random
import sys
import threading
import time
from pathlib import Path

import numpy as np
import rig
import steel

from nengliu.bus import Log
from schemas.messages import RowsFrame, decode, encode
from schemas.topics import RAW

KILLS, CONTROL_KILLS, CONTROL_TRIES = 20, 5, 3
ROWS_PER_MESSAGE = 24
APPEND_S = 0.05
"""Pause between two appends: the log grows for about a minute and a quarter while parts die."""


def messages_of(installation: rig.Installation) -> list[tuple[str, bytes]]:
    """What the import put into the log, its frames cut small so that a kill finds many of them in flight."""
    log, found = installation.log(), []
    for partition in range(rig.PARTITIONS):
        for record in _records(log, partition):
            message = decode(record.value)
            if record.key.startswith("book-"):
                continue  # every log has its own book
            found += [
                (record.key, part)
                for part in ([record.value] if not isinstance(message, RowsFrame) else cut(message))
            ]
    log.close()
    return found


def _records(log: Log, partition: int) -> list:
    return log.read(RAW, partition, 0, 10**9)


def cut(rows: RowsFrame, size: int = ROWS_PER_MESSAGE) -> list[bytes]:
    """Cut a message of rows into several."""
    names = ("column", "read_at_ms", "values", "received_at_s", "quality", "reason")
    found = []
    for start in range(0, len(rows.column), size):
        arrays = {name: np.asarray(getattr(rows, name))[start : start + size] for name in names}
        fixed = (rows.enterprise, rows.schema, rows.source, rows.sequence)
        found.append(encode(RowsFrame(*fixed, **arrays, origin=rows.origin)))
    return found


def prove(data: Path, report: rig.Report, seed: int) -> None:
    """Compare killed runs with a calm one over the same messages."""
    with rig.Installation() as installation:
        installation.import_file(data / steel.FILE, steel.PLAN)
        messages = messages_of(installation)
    with rig.Installation() as calm:
        log = calm.log()
        log.append(RAW, messages)
        log.close()
        calm.flow()
        expected = calm.fingerprints()
    report.note(
        f"calm run: {expected['reading'][0]} readings, {expected['window_15min'][0]} quarter-hours; seed {seed}"
    )
    found, done = killed_run(messages, KILLS, seed, report, lying=False)
    different = [table for table in rig.KEPT if expected[table] != found[table]]
    rows = sum(count for count, _ in found.values())
    figure = f"{done} kills, {rows} FINAL rows in {len(rig.KEPT)} tables, different: {different or 'none'}"
    report.point("3 FINAL rows equal the calm run", figure, holds=not different and done >= KILLS)
    for attempt in range(CONTROL_TRIES):
        found, done = killed_run(messages, CONTROL_KILLS, seed + 1 + attempt, report, lying=True)
        missing = expected["reading"][0] - found["reading"][0]
        if expected != found:
            break
    figure = f"{done} kills, {missing} readings missing"
    report.point(
        "3 the control that acknowledges before it writes is caught", figure, holds=expected != found
    )


def killed_run(
    messages: list[tuple[str, bytes]], kills: int, seed: int, report: rig.Report, *, lying: bool
) -> tuple[dict[str, tuple[int, int]], int]:
    """Let the log grow while flow and store are killed; then let the flow finish."""
    rng = random.Random(seed)
    with rig.Installation() as installation:
        command = (
            [sys.executable, str(Path(__file__).parent / "lying_flow.py")]
            if lying
            else installation.command("flow", "all")
        )
        appended = [0]
        growing = threading.Thread(target=_grow, args=(installation, messages, appended, kills))
        growing.start()
        installation.start("flow", command)
        done = 0
        while done < kills:
            time.sleep(rng.uniform(1.2, 4.0))
            done += 1
            part = "flow" if lying else rng.choice(["flow", "flow", "store"])
            stored = installation.stored()
            report.note(
                f"{'control ' if lying else ''}kill {done:2d}: {part:5s} with {appended[0]} of {len(messages)} "
                f"messages in the log, {stored} readings stored"
            )
            installation.kill(part)
            installation.store() if part == "store" else installation.start("flow", command)
            if installation.children["flow"].poll() is not None:  # a flow may give up while the store is away
                installation.start("flow", command)
        growing.join()
        if lying:
            time.sleep(8)
        installation.kill("flow")
        if not lying:
            installation.flow()
        return installation.fingerprints(), done


def _grow(
    installation: rig.Installation, messages: list[tuple[str, bytes]], appended: list[int], kills: int
) -> None:
    log = installation.log()
    step = max(1, int(len(messages) * APPEND_S / (kills * 3.5)))
    for start in range(0, len(messages), step):
        log.append(RAW, messages[start : start + step])
        appended[0] = min(start + step, len(messages))
        time.sleep(APPEND_S)
    log.close()
