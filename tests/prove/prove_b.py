"""Prove the points of the live edge by the product's own parts: a line per point, exit code 1 if any falls short."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import cuts
import figures
import joints
import rig
import seen
import two_weeks
from broker.server import Broker, why_no_broker


def main() -> int:
    """Run the points asked for."""
    chosen = rig.parser(__doc__, "2", "3", "4", "5", "figures").parse_args()
    if (reason := why_no_broker()) is not None:
        print(f"{reason}; points 2 to 4 want a real broker: install a JVM and Maven", file=sys.stderr)
        return 2
    report, seed = rig.Report(), chosen.seed

    def beside(proof: Callable[[Broker], None]) -> Callable[[], None]:
        """Give a proof a broker of its own."""

        def run() -> None:
            with rig.Scratch(prefix="nengliu-broker-") as folder, Broker(folder / "b") as broker:
                proof(broker)

        return run

    proofs = {
        "2": beside(lambda broker: two_weeks.prove({"sqlite": "", "kafka": broker.bootstrap}, report, seed)),
        "3": beside(lambda broker: joints.prove(broker, report, seed)),
        "4": beside(lambda broker: cuts.prove(broker, report, seed)),
        "5": lambda: seen.prove(report),
        "figures": beside(lambda broker: figures.prove(broker, report, seed)),
    }
    return rig.prove(proofs, chosen, report)


if __name__ == "__main__":
    sys.exit(main())
