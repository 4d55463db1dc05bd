"""What the benchmark prints and writes: table, JSON, chart, and the measured parts of a Markdown file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from math import log10
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import psutil

from nengliu import __version__

DEFAULT, TUNED, LIMIT = (
    "stock Bytewax windows",
    "stock Bytewax windows, tuned",
    "limit: memcpy of the columns",
)
UNIT = "readings/CPU-s"


@dataclass(frozen=True, slots=True)
class Figure:
    """A path of the benchmark: readings it took and the CPU that cost; `goal` is the least rate wanted.

    `missing` says why there is no figure.
    """

    name: str
    readings: int = 0
    cpu_s: float = 0.0
    goal: float | None = None
    note: str = ""
    missing: str = ""

    @property
    def rate(self) -> float:
        """Readings per CPU-second."""
        return self.readings / self.cpu_s


@dataclass(frozen=True, slots=True)
class Fact:
    """Another measured number with its goal: at least so much, or at most where `most`."""

    name: str
    value: float
    unit: str
    goal: float | None = None
    most: bool = False

    @property
    def holds(self) -> bool:
        """Whether the goal is reached."""
        return self.goal is None or (self.value <= self.goal if self.most else self.value >= self.goal)


def facts_of(figures: Sequence[Figure]) -> list[Fact]:
    """The figures as numbers with goals, and the first path with a goal beside the peers and the limit."""
    measured = {figure.name: figure for figure in figures if not figure.missing}
    facts = [Fact(f.name, f.rate, UNIT, f.goal) for f in measured.values()]
    first = next((f for f in measured.values() if f.goal is not None), None)
    for peer, goal in ((DEFAULT, 2000.0), (TUNED, None)):
        if first is not None and peer in measured:
            facts.append(Fact(f"{first.name}: times {peer}", first.rate / measured[peer].rate, "x", goal))
    if first is not None and LIMIT in measured:
        facts.append(Fact(f"{first.name}: share of memcpy", first.rate / measured[LIMIT].rate, ""))
    return facts


def table(figures: Sequence[Figure]) -> str:
    """The figures as Markdown, beside the peers and the limit that are among them."""
    measured = {figure.name: figure.rate for figure in figures if not figure.missing}
    lines = [
        "| path | readings | CPU s | readings/CPU-s | x stock | x tuned | of memcpy | wanted | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in figures:
        if one.missing:
            lines.append(f"| {one.name} | | | {one.missing} | | | | | |")
            continue
        times = [_ratio(one.rate, measured.get(peer), ".1f") for peer in (DEFAULT, TUNED)]
        share = _ratio(one.rate, measured.get(LIMIT), ".4f")
        goal = f"{one.goal:,.0f}" if one.goal else ""
        shown = f"{one.readings:,} | {one.cpu_s:.3f} | **{one.rate:,.0f}**"
        lines.append(f"| {one.name} | {shown} | {times[0]} | {times[1]} | {share} | {goal} | {one.note} |")
    return "\n".join(lines)


def fact_table(facts: Sequence[Fact]) -> str:
    """Other numbers as Markdown."""
    lines = ["| what | measured | wanted |", "|---|---|---|"]
    for fact in facts:
        bound = "at most" if fact.most else "at least"
        wanted = "" if fact.goal is None else f"{bound} {fact.goal:,g} {fact.unit}"
        lines.append(f"| {fact.name} | {_short(fact.value)} {fact.unit} | {wanted} |")
    return "\n".join(lines)


def as_json(facts: Sequence[Fact]) -> str:
    """The numbers for a program: ``{"machine", "measured_on", "rows": [{name, value, unit, goal, holds, equal}]}``."""
    rows = [_row(fact) for fact in facts]
    return json.dumps({"machine": machine(), "measured_on": today(), "rows": rows}, ensure_ascii=False)


def _row(fact: Fact) -> dict[str, Any]:
    """A number as it is told; there would be none if the windows had not been equal."""
    row = asdict(fact)
    return row | {"value": float(_short(fact.value).replace(",", "")), "holds": fact.holds, "equal": True}


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _ratio(rate: float, peer: float | None, form: str) -> str:
    return "" if peer is None else format(rate / peer, f",{form}")


def headline(command: str) -> str:
    """When, by which command and on what it was measured."""
    return f"Measured {today()} by `{command}`, nengliu {__version__}, {machine()}."


def today() -> str:
    """Today's date, UTC."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def machine() -> str:
    """Processor, memory and Python of this machine."""
    names = [line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")]
    memory = psutil.virtual_memory().total / 2**30
    kind = names[0] if names else platform.machine()
    return f"{kind}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def _cpuinfo() -> list[str]:
    file = Path("/proc/cpuinfo")
    return file.read_text().splitlines() if file.is_file() else []


def write(target: Path, name: str, text: str) -> None:
    """Replace the measured part `name` of a Markdown file, between its two marks; add it where there is none."""
    opening, closing = f"<!-- bench {name} -->", f"<!-- /bench {name} -->"
    old = target.read_text(encoding="utf-8") if target.is_file() else "# Benchmarks\n"
    if opening not in old:
        old += f"\n{opening}\n{closing}\n"
    head, _, rest = old.partition(opening)
    _, _, tail = rest.partition(closing)
    target.write_text(f"{head}{opening}\n{text}\n{closing}{tail}", encoding="utf-8")


# -- chart ----------------------------------------------------------------------------------------

BAR, GAP, LEFT, WIDTH, TOP = 18, 8, 450, 520, 34
OURS, PEER = "#0072B2", "#9AA5AE"
"""Colours of our paths and of all others."""
_SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">'


def chart(figures: Sequence[Figure]) -> str:
    """The rates as bars on a logarithmic axis: an SVG picture, ours and others told apart by colour and word."""
    shown = [one for one in figures if not one.missing]
    low = int(log10(min(one.rate for one in shown)))
    high = int(log10(max(one.rate for one in shown))) + 1
    scale = WIDTH / (high - low)
    height = TOP + len(shown) * (BAR + GAP) + 30
    parts = [
        _SVG.format(width=LEFT + WIDTH + 130, height=height),
        "<title>Readings per CPU-second, logarithmic</title>",
        f'<rect width="100%" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="16" fill="#333">{UNIT}, each line ten times the one before</text>',
    ]
    for power in range(low, high + 1):
        x = LEFT + (power - low) * scale
        parts.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{TOP - 8}" y2="{height - 24}" stroke="#d5d9dd"/>')
        parts.append(
            f'<text x="{x:.0f}" y="{height - 8}" text-anchor="middle" fill="#333">{10**power:,}</text>'
        )
    for number, one in enumerate(shown):
        y, length = TOP + number * (BAR + GAP), (log10(one.rate) - low) * scale
        colour, middle = OURS if is_ours(one) else PEER, y + BAR - 5
        parts += [
            f'<text x="{LEFT - 8}" y="{middle}" text-anchor="end" fill="#111">{escape(one.name)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{length:.0f}" height="{BAR}" fill="{colour}"/>',
            f'<text x="{LEFT + length + 6:.0f}" y="{middle}" fill="#111">{one.rate:,.0f}</text>',
        ]
    return "\n".join([*parts, "</svg>\n"])


def is_ours(figure: Figure) -> bool:
    """Whether a path is this product's."""
    return figure.name.startswith("nengliu")
