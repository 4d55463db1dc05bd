"""Point 1, in process: thousands of random plants, each run in several ways beside an independent judge."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections import Counter
from pathlib import Path

import rig

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))

from plant_laws import broken

SHOWN = 5
CHUNK = 20


def prove(report: rig.Report, cases: int, seed: int) -> None:
    """Judge `cases` stories in two processes."""
    start, failed, laws = time.monotonic(), 0, Counter[str]()
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.imap_unordered(_one, range(seed, seed + cases), CHUNK)
        for done, (number, wrong) in enumerate(found, 1):
            if wrong:
                failed += 1
                laws.update({line.partition(":")[0] for line in wrong})
                if failed <= SHOWN:
                    report.note(f"story {number}: {wrong[0][:300]}")
            if done % 1000 == 0:
                report.note(f"{done} stories, {failed} broken, {time.monotonic() - start:.0f} s")
    figure = f"{cases} random plants from seed {seed}, {failed} broken {dict(laws) or ''}"
    report.point(
        "1 laws 1-5, 7 and 9 over random plants, cuts, crashes and workers", figure, holds=failed == 0
    )


def _one(seed: int) -> tuple[int, list[str]]:
    try:
        return seed, broken(seed)
    except Exception as error:  # noqa: BLE001 - law 6: whatever is raised is a broken program, and is counted
        return seed, [f"law 6: {type(error).__name__}: {error}"]
