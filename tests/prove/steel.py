"""Point 2: the steel file, its gold sums, and what this proof finds in the file by its own few lines."""

from __future__ import annotations

import csv
import gzip
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import rig

CHINA = timezone(timedelta(hours=8))
FILE = "steel_kr_2018_15min.csv.gz"
PLAN = Path(__file__).parents[2] / "examples" / "maps" / "steel_kr_2018.toml"
GOLD_MONTHS = (  # data.md, section 3 item 4 [kWh]
    "126238.29", "91497.34", "80230.41", "78769.80", "79059.28", "65404.64",
    "81674.41", "68559.43", "57883.07", "84665.65", "86217.61", "59436.78",
)  # fmt: skip
GOLD_YEAR, GOLD_MAX, GOLD_MAX_AT = Decimal("959636.71"), Decimal("157.18"), "2018-11-22T09:30:00+08:00"
SPAN = {"start": "2018-01-01T00:00:00+08:00", "end": "2019-01-01T00:00:00+08:00"}


def truth(data: Path) -> dict[datetime, Decimal]:
    """Amount of each quarter-hour by its true start: row order is the clock."""
    start = datetime(2018, 1, 1, tzinfo=CHINA)
    with gzip.open(data / FILE, "rt", encoding="utf-8-sig") as file:
        rows = [Decimal(row["Usage_kWh"]) for row in csv.DictReader(file)]
    return {start + i * timedelta(minutes=15): value for i, value in enumerate(rows)}


def months_of(amounts: dict[datetime, Decimal]) -> dict[str, Decimal]:
    """Sum by civil month."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for at, value in amounts.items():
        found[at.strftime("%Y-%m")] += value
    return found


def windows(
    installation: rig.Installation, level: str, enterprise: str, point: str = ""
) -> dict[datetime, dict[str, object]]:
    """Stored windows of a level, by start."""
    rows = installation.ask("windows", level=level, enterprise=enterprise, point=point, **SPAN)
    return {datetime.fromisoformat(str(row["period_start"])): row for row in rows}


def exact(value: object, decimals: int = 2) -> Decimal:
    """A stored float as the decimal it stands for."""
    return Decimal(str(value)).quantize(Decimal(1).scaleb(-decimals))


def prove(data: Path, report: rig.Report) -> None:
    """Import, compare, import again."""
    amounts = truth(data)
    own_months = months_of(amounts)
    gold = dict(zip(sorted(own_months), map(Decimal, GOLD_MONTHS), strict=True))
    report.point(
        "2 the file's own months are the gold ones", sum(own_months.values()), holds=own_months == gold
    )
    with rig.Installation() as installation:
        done = installation.import_file(data / FILE, PLAN)
        installation.flow()
        enterprise = str(done["enterprise"])
        report.point("2 clock repairs reported", done["repaired"], holds=done["repaired"] == 365)
        _compare(installation, enterprise, amounts, gold, report)
        before = installation.fingerprints()
        installation.import_file(data / FILE, PLAN)
        installation.flow()
        after = installation.fingerprints()
        watched = [table for table in rig.KEPT if table not in ("intake", "import_run")]
        changed = [table for table in watched if before[table] != after[table]]
        rows = sum(after[table][0] for table in watched)
        report.point(
            "2 a second import changes no row",
            f"{rows} rows, changed: {changed or 'none'}",
            holds=not changed,
        )
        tally = installation.ask(
            "intake", enterprise=enterprise, start="2000-01-01T00:00:00Z", end="2100-01-01T00:00:00Z"
        )
        total = {
            name: sum(int(str(row[name])) for row in tally)
            for name in ("received", "valid", "duplicate", "quarantined")
        }
        balanced = total == {"received": 70080, "valid": 35040, "duplicate": 35040, "quarantined": 0}
        report.point("2 every reading is tallied", total, holds=balanced)


def _compare(
    installation: rig.Installation,
    enterprise: str,
    amounts: dict[datetime, Decimal],
    gold: dict[str, Decimal],
    report: rig.Report,
) -> None:
    quarters = {at: exact(row["used"]) for at, row in windows(installation, "15min", enterprise).items()}
    wrong = sum(quarters.get(at) != value for at, value in amounts.items())
    holds = wrong == 0 and len(quarters) == 35_040
    report.point("2 intervals in their true slots", f"{len(quarters)} stored, {wrong} wrong", holds=holds)
    months = {
        at.strftime("%Y-%m"): exact(row["used"])
        for at, row in windows(installation, "month", enterprise).items()
    }
    report.point(
        "2 month sums are gold",
        f"{sum(m == gold.get(k) for k, m in months.items())} of 12",
        holds=months == gold,
    )
    report.point("2 year sum is gold", sum(months.values()), holds=sum(months.values()) == GOLD_YEAR)
    days = sum((exact(row["used"]) for row in windows(installation, "day", enterprise).values()), Decimal())
    report.point("2 days add up to the year", days, holds=days == GOLD_YEAR)
    coal = sum(float(str(row["coal_kgce"])) for row in windows(installation, "day", enterprise).values())
    expected = float(GOLD_YEAR) * 0.1229
    report.point("2 standard coal of the days [kgce]", f"{coal:.3f}", holds=abs(coal - expected) < 1e-3)
    at, top = max(quarters.items(), key=lambda item: item[1])
    found = f"{top} at {at.astimezone(CHINA).isoformat()}"
    report.point("2 maximum is gold", found, holds=found == f"{GOLD_MAX} at {GOLD_MAX_AT}")
