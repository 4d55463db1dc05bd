"""Prove the points of the acquisition: a line per point with its figure, exit code 1 if any falls short.

Point 2 is `virtual` and `real`.
"""

from __future__ import annotations

import sys

import by_tests
import fifteen_days
import forty
import late_answers
import rig


def main() -> int:
    """Run the points asked for."""
    chosen = rig.parser(__doc__, "1", "virtual", "real", "3", "4").parse_args()
    report, seed = rig.Report(), chosen.seed
    proofs = {
        "1": lambda: by_tests.prove(report, "1", "tests/acquisition/codecs/test_vectors.py"),
        "virtual": lambda: forty.prove(report, seed, ["virtual"]),
        "real": lambda: forty.prove(report, seed, ["real"]),
        "3": lambda: fifteen_days.prove(report, seed),
        "4": lambda: late_answers.prove(report, seed),
    }
    return rig.prove(proofs, chosen, report)


if __name__ == "__main__":
    sys.exit(main())
