"""Prove the points of the floor by the product's own commands: a line per point, exit code 1 if any falls short."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import kills
import others
import register
import rig
import steel


def main() -> int:
    """Run the points asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data files")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="seed of the kills and the disorder"
    )
    parser.add_argument("--only", nargs="*", default=["2", "3", "4", "5"], help="points to prove")
    chosen = parser.parse_args()
    if not (chosen.data / steel.FILE).is_file():
        print(
            f"{chosen.data}: expected the data files, {steel.FILE} among them; give the folder with DATA=",
            file=sys.stderr,
        )
        return 2
    report = rig.Report()
    proofs = {
        "2": lambda: steel.prove(chosen.data, report),
        "3": lambda: kills.prove(chosen.data, report, chosen.seed),
        "4": lambda: register.prove(chosen.data, report, chosen.seed),
        "5": lambda: others.prove(chosen.data, report),
    }
    for name in chosen.only:
        start = time.monotonic()
        proofs[name]()
        report.note(f"point {name} took {time.monotonic() - start:.0f} s")
    print(f"{len(report.failed)} of the points fall short" if report.failed else "all points hold")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
