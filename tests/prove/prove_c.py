"""Prove the points of the watch by the product's own parts: a line per point, exit code 1 if any falls short."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import first_minutes
import replayed
import rig
import sixty_four
import watched


def main() -> int:
    """Run the points asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data files")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="seed of plants and kills")
    parser.add_argument("--only", nargs="*", default=["2", "3", "4", "figures"], help="points to prove")
    chosen = parser.parse_args()
    if not (chosen.data / watched.UBC).is_file():
        print(
            f"{chosen.data}: expected the data files, {watched.UBC} among them; give the folder with DATA=",
            file=sys.stderr,
        )
        return 2
    report, seed = rig.Report(), chosen.seed
    proofs: dict[str, Callable[[], None]] = {
        "2": lambda: watched.prove(chosen.data, report),
        "3": lambda: sixty_four.prove(report, seed),
        "4": lambda: replayed.prove(chosen.data, report, seed),
        "figures": lambda: first_minutes.prove(report),
    }
    for name in chosen.only:
        start = time.monotonic()
        proofs[name]()
        report.note(f"{name} took {time.monotonic() - start:.0f} s, seed {seed}")
    print(f"{len(report.failed)} of the points fall short" if report.failed else "all points hold")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
