"""Prove the points of the floor by the product's own commands: a line per point, exit code 1 if any falls short."""

from __future__ import annotations

import sys

import kills
import others
import register
import rig
import steel


def main() -> int:
    """Run the points asked for."""
    chosen = rig.parser(__doc__, "2", "3", "4", "5", file=steel.FILE).parse_args()
    report, data, seed = rig.Report(), chosen.data, chosen.seed
    proofs = {
        "2": lambda: steel.prove(data, report),
        "3": lambda: kills.prove(data, report, seed),
        "4": lambda: register.prove(data, report, seed),
        "5": lambda: others.prove(data, report),
    }
    return rig.prove(proofs, chosen, report)


if __name__ == "__main__":
    sys.exit(main())
