"""Prove the points of the watch by the product's own parts: a line per point, exit code 1 if any falls short."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import first_minutes
import replayed
import rig
import sixty_four
import watched


def main() -> int:
    """Run the points asked for."""
    chosen = rig.parser(__doc__, "2", "3", "4", "figures", file=watched.UBC).parse_args()
    report, data, seed = rig.Report(), chosen.data, chosen.seed
    proofs = {
        "2": lambda: watched.prove(data, report),
        "3": lambda: sixty_four.prove(report, seed),
        "4": lambda: replayed.prove(data, report, seed),
        "figures": lambda: first_minutes.prove(report),
    }
    return rig.prove(proofs, chosen, report)


if __name__ == "__main__":
    sys.exit(main())
