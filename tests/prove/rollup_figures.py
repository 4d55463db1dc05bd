"""Point 3: the figures of `nengliu bench rollups`, which checks that results are equal before it prints a speed.

Those of the load of a country are of `nengliu bench national`, which waits for the totals that its readings make.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import rig


def prove(report: rig.Report) -> None:
    """Run the benchmarks and hold each figure that has a goal against it."""
    for name in ("rollups", "national"):
        _prove(report, name)


def _prove(report: rig.Report, name: str) -> None:
    command = [sys.executable, "-P", "-m", "nengliu.cli", "--lang", "en", "bench", name, "--json", "-"]
    done = subprocess.run(command, env=os.environ.copy(), capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1][:300]
        report.point(f"3 nengliu bench {name}", f"ended with {done.returncode}: {last}", holds=False)
        return
    rows = json.loads(done.stdout)["rows"]
    if not any(row.get("goal") for row in rows):
        report.point(f"3 nengliu bench {name}", "no figure has a goal", holds=False)
    for row in rows:
        figure = f"{row['value']:,} {row['unit']}"
        if row.get("goal") is None:
            report.note(f"3 {row['name']}: {figure}")
            continue
        goal = f"{row['goal']:,} {row['unit']}"
        report.point(
            f"3 {row['name']}", f"{figure} (goal {goal})", holds=bool(row["holds"]) and bool(row["equal"])
        )
