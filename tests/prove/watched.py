"""Point 2: the injected faults by their published score, and the real outages of a heating plant."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import injected
import pandas as pd
import rig

from schemas.topics import RAW

UBC = "ubc_heatplant_cov_2021.parquet"
GOALS = {"inj_dev": (0.814, 0.66), "inj_dev_hard": (0.772, 0.33)}
"""F1 with the right class, and false incidents per meter-month: the baseline of data.md 5d."""
CONTROL_AT_MOST = 0.1
EDGE_S = 900
GROUP = (("2021-04-06 17:00", "2021-04-07 01:55"), ("2021-04-07 02:17", "2021-04-08 04:55"))
SINGLE = (("2021-03-19 06:51", "2021-04-01 06:58"),)


def prove(data: Path, report: rig.Report) -> None:
    """Let the product's flow take the sets in, and score what `nengliu query incidents` says."""
    scorer = _scorer(data)
    for name, (least, most) in GOALS.items():
        labels, meters = (pd.read_csv(data / f"{name}_{part}.csv") for part in ("labels", "meters"))
        rows = incidents(injected.messages(data, name))
        figures, table = scorer.score(injected.scored(rows), labels, meters)
        f1, false = figures["F1_right_class"], figures["false_per_meter_month"]
        said = f"F1 {f1:.3f} (goal {least}), {false:.2f} false per meter-month (at most {most})"
        report.point(
            f"2 {name}: rules", f"{said}, {len(rows)} incidents", holds=f1 >= least and false <= most
        )
        found = "  ".join(f"{kind[1]} {row.right_class:.2f}" for kind, row in table.iterrows())
        report.note(f"found with the right class: {found}")
        control = scorer.control(labels, meters)["F1_right_class"]
        report.point(
            f"2 {name}: an alarm that is always on", f"F1 {control:.3f}", holds=control < CONTROL_AT_MOST
        )
    _outages(incidents(injected.messages(data, "ubc")), report)


def incidents(messages: injected.Messages) -> list[dict[str, object]]:
    """Rows of the incidents the product finds in some messages."""
    with rig.Installation() as installation:
        log = installation.log()
        log.append(RAW, [(key, value) for key, value in messages])
        log.close()
        installation.flow()
        return installation.ask("incidents")


def _outages(rows: list[dict[str, object]], report: rig.Report) -> None:
    links = [row for row in rows if row["class"] == "link"]
    groups = sorted((row for row in links if len(row["members"]) > 1), key=lambda row: str(row["opened_at"]))  # type: ignore[arg-type]
    singles = [row for row in links if len(row["members"]) == 1]  # type: ignore[arg-type]
    for name, expected, got in (("group", GROUP, groups), ("single-point", SINGLE, singles)):
        said = "; ".join(f"{row['opened_at']} to {row['cleared_at']}" for row in got)
        report.point(f"2 UBC: {name} link incidents", f"{len(got)}: {said}", holds=_at(got, expected))
    inside = [
        row for row in rows if row["class"] == "meter" and any(_overlaps(row, group) for group in groups)
    ]
    report.point("2 UBC: meter faults inside the outages", len(inside), holds=not inside)
    report.note(f"UBC: {len(rows)} incidents in all")


def _at(rows: list[dict[str, object]], expected: tuple[tuple[str, str], ...]) -> bool:
    """Whether the incidents are as many as expected, each edge within a quarter of an hour."""
    if len(rows) != len(expected):
        return False
    edges = [
        (abs(_s(row["opened_at"]) - _utc(a)), abs(_s(row["cleared_at"]) - _utc(b)))
        for row, (a, b) in zip(rows, expected, strict=True)
    ]
    return all(edge <= EDGE_S for pair in edges for edge in pair)


def _overlaps(row: dict[str, object], group: dict[str, object]) -> bool:
    end = _s(row["cleared_at"]) or 2**40
    return _s(row["opened_at"]) < _s(group["cleared_at"]) and end > _s(group["opened_at"])


def _s(value: object) -> float:
    """Second of an instant as the query writes it; 0 for none."""
    return pd.Timestamp(str(value)).timestamp() if value else 0.0


def _utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _scorer(data: Path) -> ModuleType:
    """The score that came with the data, as it is."""
    spec = importlib.util.spec_from_file_location("score_inject", data / "tools" / "score_inject.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
