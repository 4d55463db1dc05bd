"""Prove the points of the rollups: a line per point with its figure, exit code 1 if any falls short."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import by_tests
import kills_d
import laws
import recomputed
import rig
import rollup_figures
import steel

CASES = 10_000


def main() -> int:
    """Run the points asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data files")
    parser.add_argument("--cases", type=int, default=CASES, help="random plants for the laws")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="seed of plants and kills")
    parser.add_argument(
        "--only",
        nargs="*",
        default=["laws", "kills", "2", "3", "4", "5"],
        help="points to prove (1: laws kills)",
    )
    chosen = parser.parse_args()
    if not (chosen.data / steel.FILE).is_file():
        print(
            f"{chosen.data}: expected the data files, {steel.FILE} among them; give the folder with DATA=",
            file=sys.stderr,
        )
        return 2
    report, seed = rig.Report(), chosen.seed
    proofs: dict[str, Callable[[], None]] = {
        "laws": lambda: laws.prove(report, chosen.cases, seed),
        "kills": lambda: kills_d.prove(report, seed),
        "2": lambda: by_tests.prove(report, "2", "tests/flows/test_correctness_cases.py"),
        "3": lambda: rollup_figures.prove(report),
        "4": lambda: recomputed.prove(chosen.data, report),
        "5": lambda: by_tests.prove(report, "5", "tests/cli/test_audit.py"),
    }
    for name in chosen.only:
        start = time.monotonic()
        proofs[name]()
        report.note(f"{name} took {time.monotonic() - start:.0f} s, seed {seed}")
    print(f"{len(report.failed)} of the points fall short" if report.failed else "all points hold")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
