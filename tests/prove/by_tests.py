"""Points that are tests of the suite, slow ones included: a line for each of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import rig

ROOT = Path(__file__).parents[2]


def prove(report: rig.Report, point: str, file: str) -> None:
    """Run the tests of a file and report each."""
    with rig.Scratch() as folder:
        said = folder / "said.xml"
        words = ["-q", "-m", "slow or not slow", f"--junitxml={said}", file]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if not said.is_file():
            report.point(f"{point} {file}", done.stdout[-500:], holds=False)
            return
        cases = list(ElementTree.parse(said).getroot().iter("testcase"))
        if done.returncode or not cases:
            report.point(f"{point} {file}", f"pytest ended with {done.returncode}", holds=False)
        for case in cases:
            faults = (case.find(what) for what in ("failure", "error", "skipped"))
            fault = next((one for one in faults if one is not None), None)
            name = str(case.get("name")).removeprefix("test_").replace("_", " ")
            figure = (
                f"{float(case.get('time') or 0):.1f} s" if fault is None else str(fault.get("message"))[:200]
            )
            report.point(f"{point} {name}", figure, holds=fault is None)
