"""Point 5: three files of other kinds, by maps alone; and a broken copy whose bad rows are all named."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pyarrow.parquet as pq
import rig

MAPS = Path(__file__).parents[2] / "examples" / "maps"
UBC = "ubc_heatplant_cov_2021.parquet"
EVER = {"start": "2000-01-01T00:00:00Z", "end": "2100-01-01T00:00:00Z"}
BROKEN = {  # rows put into a copy of the region's file, and the reason each must get
    "2019/03/01 00:07:00,abc": "NOT_A_NUMBER",
    "2019/03/01 00:08:00,NaN": "NOT_FINITE",
    "2019/03/01 00:09:00,": "EMPTY_VALUE",
    "2099/03/01 00:00:00,12.5": "STAMP_IN_FUTURE",
    "1.3.2019,12.5": "NOT_A_TIME",
    "2019/03/01 00:10:00,1,2,3": "RAGGED_ROW",
    "2019/03/01 00:11:00,99999999999999999999": "OUT_OF_INT64",
}


def prove(data: Path, report: rig.Report) -> None:
    """Import the files and compare with what their rows say."""
    _enernoc(data, report)
    _region(data, report)
    _telemetry(data, report)
    _broken(data, report)


def _load(installation: rig.Installation, file: Path, plan: str, rows: int, report: rig.Report) -> str:
    """Import a file, run the flows, check that every row is accounted for; the enterprise."""
    done = installation.import_file(file, MAPS / plan)
    installation.flow()
    enterprise = str(done["enterprise"])
    held = installation.ask("quarantine", enterprise=enterprise, limit=100_000, **EVER)
    tally = installation.ask("intake", enterprise=enterprise, **EVER)
    total = {
        n: sum(int(str(row[n])) for row in tally) for n in ("received", "valid", "duplicate", "quarantined")
    }
    explained = all(row["reason"] for row in held) and len(held) == done["rejected"] == total["quarantined"]
    counted = int(str(done["readings"])) + int(str(done["rejected"]))
    figure = f"{rows} rows = {done['readings']} readings + {done['rejected']} rejected; {total}"
    balanced = total["received"] == rows == total["valid"] + total["duplicate"] + total["quarantined"]
    report.point(f"5 {file.name}", figure, holds=counted == rows and explained and balanced)
    return enterprise


def _enernoc(data: Path, report: rig.Report) -> None:
    file = data / "enernoc_5min_dev.parquet"
    table = pq.read_table(file)
    own: dict[str, Decimal] = {}
    quantum = Decimal("0.0001")
    for site, value in zip(table["site_id"].to_pylist(), table["kwh_5min"].to_pylist(), strict=True):
        amount = Decimal(value).quantize(quantum, ROUND_HALF_EVEN)
        own[f"site-{int(site):03d}"] = own.get(f"site-{int(site):03d}", Decimal()) + amount
    with rig.Installation() as installation:
        enterprise = _load(installation, file, "enernoc_5min.toml", table.num_rows, report)
        rows = installation.ask("totals", level="month", enterprise=enterprise, **EVER)
        stored = {
            str(r["point"]): Decimal(int(str(r["used"]))).scaleb(-int(str(r["decimals"]))) for r in rows
        }
    right = sum(stored.get(site) == value for site, value in own.items())
    report.point(
        "5 5-minute sums of 34 sites", f"{right} of {len(own)} equal to the last digit", holds=stored == own
    )


def _region(data: Path, report: rig.Report) -> None:
    file = data / "cn_region_15min_2018_2021.csv.gz"
    with gzip.open(file, "rt", encoding="utf-8-sig") as text:
        values = [float(row[1]) for row in list(csv.reader(text))[1:]]
    with rig.Installation() as installation:
        enterprise = _load(installation, file, "cn_region.toml", len(values), report)
        rows = installation.ask("windows", level="month", enterprise=enterprise, **EVER)
    low, high = min(float(str(r["low"])) for r in rows), max(float(str(r["high"])) for r in rows)
    figure = f"lowest {low}, highest {high} kW in {len(rows)} months"
    same = abs(low - min(values)) < 1e-4 and abs(high - max(values)) < 1e-4
    report.point(
        "5 Chinese headers with BOM: extremes",
        figure,
        holds=same and sum(int(str(r["received"])) > 0 for r in rows) == 44,
    )


def _telemetry(data: Path, report: rig.Report) -> None:
    file = data / UBC
    table = pq.read_table(file)
    rows = zip(table["point"].to_pylist(), table["value"].to_pylist(), strict=True)
    own = Counter(point for point, _ in rows)
    with rig.Installation() as installation:
        enterprise = _load(installation, file, "ubc_cov.toml", table.num_rows, report)
        found = installation.ask("completeness", enterprise=enterprise, **EVER)
    counts: Counter[str] = Counter()
    for row in found:
        counts[str(row["point"])] += int(str(row["received"]))
    figure = f"{len(counts)} points, {sum(counts.values())} readings in {len(found)} point-days"
    report.point(
        "5 change-of-value telemetry, unsorted", figure, holds=sorted(counts.values()) == sorted(own.values())
    )


def _broken(data: Path, report: rig.Report) -> None:
    with gzip.open(data / "cn_region_15min_2018_2021.csv.gz", "rt", encoding="utf-8-sig") as text:
        lines = text.read().splitlines()[:2001]
    with rig.Installation() as installation:
        file = installation.home / "broken.csv"
        mixed = [lines[0]]
        for i, line in enumerate(lines[1:]):
            mixed.append(line)
            if i % 200 == 100 and i // 200 < len(BROKEN):
                mixed.append(list(BROKEN)[i // 200])
        file.write_text("\n".join(mixed), encoding="utf-8-sig")
        done = installation.import_file(file, MAPS / "cn_region.toml")
        installation.flow()
        held = installation.ask("quarantine", enterprise=str(done["enterprise"]), limit=1000, **EVER)
    reasons = Counter(str(row["reason_code"] if "reason_code" in row else row["reason"]) for row in held)
    report.point(
        "5 planted bad rows",
        f"{done['rejected']} of {len(BROKEN)} held: {dict(reasons)}",
        holds=len(held) == len(BROKEN),
    )
