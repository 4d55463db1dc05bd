"""Point 4: stored windows beside two recomputations that share nothing with the product, on three sets of data."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import others
import recompute_polars
import recompute_sql
import rig
import steel

from nengliu.storage import connect, disconnect

DAYS, PLANTS = 20, 4
MEAN, MONTH_MEAN = 1e-9, 1e-4
"""Means agree to this share of themselves; those of months are made of whole seconds of days."""


def prove(data: Path, report: rig.Report) -> None:
    """Recompute the imported steel file, the telemetry and a simulated province."""
    for name, file, plan in (
        ("steel", steel.FILE, steel.PLAN),
        ("telemetry", others.UBC, others.MAPS / "ubc_cov.toml"),
    ):
        with rig.Installation() as installation:
            installation.import_file(data / file, plan)
            installation.flow()
            agree(installation, name, report)
    with rig.Installation() as installation:
        installation.kill("store")  # the demonstration owns its store
        simulate(installation)
        installation.store()
        agree(installation, "province", report)


def simulate(installation: rig.Installation) -> None:
    """Tell the history of a province by the product's own command."""
    home = installation.home / "province"
    words = ("demo", "--days", str(DAYS), "--enterprises", str(PLANTS), "--once")
    command = [sys.executable, "-m", "nengliu.cli", "--lang", "en", "--home", str(home), *words]
    done = subprocess.run(command, env=os.environ.copy(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"nengliu demo ended with {done.returncode}: {done.stderr[-2000:]}")
    installation.move(home)


def agree(installation: rig.Installation, name: str, report: rig.Report) -> None:
    """Compare all levels both ways."""
    client = connect(installation.settings)
    client.database = installation.settings.database
    readings = client.command("SELECT count() FROM reading")
    ways: dict[str, Callable[..., dict[str, dict[str, float]]]] = {
        "SQL": recompute_sql.compare,
        "Polars": recompute_polars.compare,
    }
    for way, compare in ways.items():
        for level, found in compare(client).items():
            wrong = int(found["alone"] + found["unequal"] + found["extremes"])
            allowed = MONTH_MEAN if level == "month" else MEAN
            report.point(
                f"4 {name} ({readings} readings), {level}, {way}",
                f"{int(found['n']) - wrong} of {int(found['n'])} windows agree; largest difference "
                f"{int(found['most_ticks'])} ticks, of {int(found['gauges'])} means {found['most_mean']:.1e}",
                holds=wrong == 0 and found["n"] > 0 and found["most_mean"] <= allowed,
            )
    disconnect(client)
