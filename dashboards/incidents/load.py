"""The load of the desk: new incidents per ten minutes, hour and day, the flood banner, and who makes most of them.

Source: EEMUA 191 and ISA-18.2 (at most one alarm per ten minutes and operator is acceptable, more than ten are a
flood; ten causes often make most of the load).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

import pandas as pd

from dashboards import data
from dashboards.charts import spark
from dashboards.i18n import DEFAULT, Text
from dashboards.incidents.filters import Wanted
from dashboards.incidents.words import Row, cause_name, link
from dashboards.ui import parts
from dashboards.ui.frame import Frame

FLOOD = 10  # more new incidents than this in ten minutes
TOP_DAYS = 7
TOP_ROWS = 10
COMMON = 3  # collectors or cities named in the banner
_OPEN = ("active_unack", "active_ack", "cleared_unack")


@dataclass(frozen=True, slots=True)
class Load:
    """Numbers of the strip: new per span, standing per state, longer than a day."""

    new: dict[str, int]
    hours: tuple[int, ...]
    states: dict[str, int]
    stale: int

    @property
    def is_flood(self) -> bool:
        """Whether more arrives than a person can look at."""
        return self.new["minutes"] > FLOOD


def load(frame: Frame, wanted: Wanted) -> Load:
    """Ask for the numbers of the strip."""
    rate = frame.asker.ask("incident_rate", live=True, **wanted.narrow)
    counts = frame.asker.ask("incident_counts", live=True, **wanted.narrow)
    states = counts.groupby("state")["count"].sum()
    by_hour = rate["count"].groupby(rate["back"] // 6).sum()
    return Load(
        new={
            name: int(rate.loc[rate["back"] < tens, "count"].sum())
            for name, tens in (("minutes", 1), ("hour", 6), ("day", 144))
        },
        hours=tuple(int(by_hour.get(hour, 0)) for hour in range(23, -1, -1)),
        states={str(state): int(n) for state, n in states.items()},
        stale=int(counts["stale"].sum()),
    )


def strip(text: Text, found: Load, muted: str) -> str:
    """Give the strip: what is new, what stands open, a small trend of the day."""
    standing = sum(found.states.get(state, 0) for state in _OPEN)
    news = "".join(
        _number(found.new[name], text(f"incidents.per_{name}"), hot=name == "minutes" and found.is_flood)
        for name in ("minutes", "hour", "day")
    )
    states = _number(standing, text("incident_state.open")) + "".join(
        _number(found.states.get(state, 0), text(f"incident_state.{state}")) for state in (*_OPEN, "shelved")
    )
    stale = (
        parts.pill("warn", "◷", text("incidents.stale_count", n=f"{found.stale:,}")) if found.stale else ""
    )
    image = spark.columns([float(n) for n in found.hours], muted)
    label = escape(text("incidents.trend"))
    return (
        f'<div class="nl-rate"><span class="g">{escape(text("incidents.fresh"))}</span>{news}'
        f'<img alt="{label}" title="{label}" src="{image}">'
        f'<span class="g">{escape(text("incidents.standing"))}</span>{states}{stale}</div>'
    )


def _number(number: int, words: str, hot: bool = False) -> str:
    return f'<span class="k"><b{" class=hot" if hot else ""}>{number:,}</b>{escape(words)}</span>'


def banner(frame: Frame, wanted: Wanted, found: Load, regions: dict[str, str]) -> str:
    """Give the flood banner with what the new incidents have in common; nothing where there is no flood."""
    if not found.is_flood:
        return ""
    text, end = frame.text, data.now()
    top = _top(frame, wanted, end - timedelta(minutes=11), end)
    named = []
    for what in ("collector", "city", "cause"):
        rows = data.records(top[top["what"] == what].head(COMMON))
        if rows:
            told = text("list.join").join(f"{_name(text, row, regions)} {row['count']:,}" for row in rows)
            named.append(text(f"incidents.common_{what}", names=told))
    said = escape(text("incidents.flood", n=found.new["minutes"], limit=FLOOD))
    rest = "".join(f"<span>{escape(words)}</span>" for words in named)
    return f'<div class="nl-flood" role="alert"><b>≋ {said}</b>{rest}</div>'


def top_lists(frame: Frame, wanted: Wanted, regions: dict[str, str]) -> str:
    """Give the ten causes and the ten enterprises that made most incidents of the week, with their share."""
    text, end = frame.text, data.now()
    top = _top(frame, wanted, end - timedelta(days=TOP_DAYS), end)
    lists = []
    for what in ("cause", "enterprise"):
        rows = data.records(top[top["what"] == what])
        if rows:
            lines = "".join(_bar(text, row, regions) for row in rows)
            lists.append(
                f"<h3>{escape(text(f'incidents.top_{what}'))}</h3>"
                f'<table class="nl-tab nl-top"><tbody>{lines}</tbody></table>'
            )
    return "".join(lists)


def top_frame(frame: Frame, wanted: Wanted) -> pd.DataFrame:
    """Give the rows behind the lists."""
    end = data.now()
    return _top(frame, wanted, end - timedelta(days=TOP_DAYS), end)


def _top(frame: Frame, wanted: Wanted, start: datetime, end: datetime) -> pd.DataFrame:
    """Ask who made most of a span; its ends are whole minutes, so that readers share the answer."""
    first, last = (
        pd.Timestamp(when, tz="Asia/Shanghai").floor("min").to_pydatetime() for when in (start, end)
    )
    return frame.asker.ask(
        "incident_top",
        live=True,
        **wanted.narrow,
        start=first,
        end=last + timedelta(minutes=1),
        limit=TOP_ROWS,
    )


def _bar(text: Text, row: Row, regions: dict[str, str]) -> str:
    share = 100 * int(row["count"]) / max(int(row["total"]), 1)
    language = "" if text.language == DEFAULT else text.language
    query = {str(row["what"]): str(row["code"]), "state": "all", "lang": language}
    name = link("incidents", _name(text, row, regions), **query)
    return (
        f'<tr><td class="n">{name}</td><td><span class="nl-bar"><i style="width:{share:.0f}%"></i></span></td>'
        f"<td>{int(row['count']):,}</td><td>{share:.0f}%</td></tr>"
    )


def _name(text: Text, row: Row, regions: dict[str, str]) -> str:
    what, code = str(row["what"]), str(row["code"])
    if what == "cause":
        return cause_name(text, int(code))
    if what == "city":
        return regions.get(code, code)
    name = text.either(str(row["name"]), str(row["name_en"])) or code.split(" / ", maxsplit=1)[0]
    return name if what == "enterprise" else f"{name} {code.split(' / ', maxsplit=1)[1]}"
