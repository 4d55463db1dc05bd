"""Prove the points of the live edge by the product's own parts: a line per point, exit code 1 if any falls short."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="seed of plant, kills and spans")
    parser.add_argument("--only", nargs="*", default=["2", "3", "4", "5", "figures"], help="points to prove")
    chosen = parser.parse_args()
    if (reason := why_no_broker()) is not None:
        print(f"{reason}; points 2 to 4 want a real broker: install a JVM and Maven", file=sys.stderr)
        return 2
    report, seed = rig.Report(), chosen.seed
    proofs: dict[str, Callable[[Broker], None]] = {
        "2": lambda broker: two_weeks.prove({"sqlite": "", "kafka": broker.bootstrap}, report, seed),
        "3": lambda broker: joints.prove(broker, report, seed),
        "4": lambda broker: cuts.prove(broker, report, seed),
        "5": lambda _: seen.prove(report),
        "figures": lambda broker: figures.prove(broker, report, seed),
    }
    for name in chosen.only:
        start = time.monotonic()
        with (
            tempfile.TemporaryDirectory(prefix="nengliu-broker-") as folder,
            Broker(Path(folder) / "b") as broker,
        ):
            proofs[name](broker)
        report.note(f"{name} took {time.monotonic() - start:.0f} s, seed {seed}")
    print(f"{len(report.failed)} of the points fall short" if report.failed else "all points hold")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
