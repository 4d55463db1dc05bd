"""Prove the points of the rollups: a line per point with its figure, exit code 1 if any falls short.

Point 1 is `laws` and `kills`.
"""

from __future__ import annotations

import sys

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
    words = rig.parser(__doc__, "laws", "kills", "2", "3", "4", "5", file=steel.FILE)
    words.add_argument("--cases", type=int, default=CASES, help="random plants for the laws")
    chosen = words.parse_args()
    report, seed = rig.Report(), chosen.seed
    proofs = {
        "laws": lambda: laws.prove(report, chosen.cases, seed),
        "kills": lambda: kills_d.prove(report, seed),
        "2": lambda: by_tests.prove(report, "2", "tests/flows/test_correctness_cases.py"),
        "3": lambda: rollup_figures.prove(report),
        "4": lambda: recomputed.prove(chosen.data, report),
        "5": lambda: by_tests.prove(report, "5", "tests/cli/test_audit.py"),
    }
    return rig.prove(proofs, chosen, report)


if __name__ == "__main__":
    sys.exit(main())
