"""The live part: headline with freshness, and the indicator cards; asked anew every ten seconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

import pandas as pd
import streamlit as st

from dashboards import data
from dashboards.cache import LIVE, kept
from dashboards.charts import spark
from dashboards.enterprise.context import Context
from dashboards.enterprise.links import troubles
from dashboards.enterprise.views import level_of
from dashboards.filters import Basis
from dashboards.formats import age, amount, percent, stamp
from dashboards.i18n import Text
from dashboards.periods import Grain, Span, shift, span_of, trailing
from dashboards.ui import parts
from dashboards.ui.parts import pill
from dashboards.ui.theme import is_energy, item_colour

NOT_ENERGY_CARDS = {"product", "active_power", "measurement"}
MOST_ITEMS = 4
FRESH = timedelta(hours=1)  # four quarters: one may be on its way, one late, and a pause
SILENT = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Indicator:
    """One card: label, number with unit, a pill, a line below, and a small trend."""

    label: str
    value: tuple[str, str]
    pill: str
    line: str
    image: str
    dot: str = ""


@st.fragment(run_every="10s")
def live(context: Context) -> None:
    """Draw headline and indicators; runs by itself every ten seconds."""
    st.html(_written(context))


@kept(LIVE)
def _written(context: Context) -> str:
    return headline(context, data.now()) + indicators(context)


def headline(context: Context, at: datetime) -> str:
    """Give the line of name, mark of simulation, freshness and coverage."""
    text = context.text
    fresh = data.freshness(context.asker, context.filters.enterprise)
    last = fresh["last_read_at"].max() if len(fresh) else pd.NaT
    words = [f"<h1>{escape(context.name)}</h1>"]
    if context.simulated:
        words.append(pill("sim", "◇", text("enterprise.simulated")))
    if pd.isna(last):
        words.append(f"<span>{escape(text('head.never'))}</span>")
    else:
        kind, mark = freshness_mark(at - last)
        until = text("head.until", at=stamp(last))
        words.append(f"<span>{escape(until)}</span>{pill(kind, mark, age(text, at - last))}")
        alive = int((last - fresh["last_read_at"] <= FRESH).sum())
        words.append(f"<span>{escape(text('head.points'))} <b>{alive}</b> / {len(context.points)}</span>")
    days = data.owed(
        data.completeness(
            context.asker, context.filters.enterprise, context.filters.span, context.seen, live=True
        )
    )
    part = percent(data.share(float(days["received"].sum()), float(days["due"].sum())))
    words.append(f"<span>{escape(text('head.complete'))} <b>{part}</b></span>")
    words += [_links(text, data.links(context.asker, context.filters.enterprise))]
    if context.asker.as_of:
        words.append(pill("warn", "◷", text("as_of.shown", day=context.asker.as_of.isoformat())))
    return f'<div class="nl-head">{"".join(words)}</div>'


def _links(text: Text, frame: pd.DataFrame) -> str:
    """Give the pill of the collection; nothing where no collector has ever spoken."""
    number, wrong = troubles(data.records(frame))
    if not number:
        return ""
    return (
        pill("bad", "■", text("link.troubled", n=wrong)) if wrong else pill("good", "●", text("link.healthy"))
    )


def freshness_mark(passed: timedelta) -> tuple[str, str]:
    """Give kind and shape for an age: fresh, delayed, silent, or simply history."""
    if passed <= FRESH:
        return "good", "●"
    if passed <= SILENT:
        return "warn", "▲"
    return ("bad", "■") if passed <= timedelta(days=60) else ("flat", "◌")


def indicators(context: Context) -> str:
    """Give the cards as one grid."""
    frames = Frames.ask(context)
    cards = [_main(context, frames)]
    items = [i for i in context.boundary_items if i not in NOT_ENERGY_CARDS][:MOST_ITEMS]
    cards += [_card(_item(context, frames, item)) for item in items]
    cards += [_card(_carbon(context, frames)), _card(_complete(context, frames))]
    return f'<div class="nl-kpis" style="--n:{len(cards) - 1}">{"".join(cards)}</div>'


@dataclass(frozen=True)
class Frames:
    """The answers all cards share."""

    current: pd.DataFrame
    wider: pd.DataFrame
    other: pd.DataFrame | None
    trend: pd.DataFrame
    starts: list[pd.Timestamp]
    days: pd.DataFrame
    whole: bool
    wider_key: str

    @staticmethod
    def ask(context: Context) -> Frames:
        """Ask once for all cards."""
        filters, asker = context.filters, context.asker
        level = level_of(filters.grain)
        wider, wider_level, key = _wider(filters.grain, filters.span)
        other = filters.compared_span
        trend_level, trend_span = trailing(filters.grain, filters.day)
        unit = filters.enterprise
        freq = "D" if trend_level == "day" else "MS"
        return Frames(
            current=data.structure(asker, level, unit, filters.span, live=True),
            wider=data.structure(asker, wider_level, unit, wider, live=True),
            other=None if other is None else data.structure(asker, level, unit, other),
            trend=data.by_item(asker, trend_level, unit, trend_span, live=True),
            starts=list(pd.date_range(trend_span.first, trend_span.after, freq=freq, inclusive="left")),
            days=data.completeness(asker, unit, filters.span, context.seen, live=True),
            whole=data.closed(filters.span, context.last_at),
            wider_key=key,
        )


def _wider(grain: Grain, span: Span) -> tuple[Span, str, str]:
    """Give the period in the second line of a card: month to date, year to date, or the year before."""
    if grain is Grain.DAY:
        return Span(span.first.replace(day=1), span.after), "day", "kpi.month"
    if grain is Grain.MONTH:
        return Span(span.first.replace(month=1), span.after), "month", "kpi.year"
    return span_of(Grain.YEAR, shift(Grain.YEAR, span.first, -1)), "month", "kpi.last_year"


def _of(frame: pd.DataFrame | None, column: str, item: str = "") -> float | None:
    """Give the total of a column, of one item or of all; None where nothing is known."""
    if frame is None:
        return None
    rows = frame[frame["item"] == item] if item else frame
    total = rows[column].sum(min_count=1)
    return None if pd.isna(total) else float(total)


def _trend(frames: Frames, column: str, item: str = "", *, whole_only: bool = True) -> list[float | None]:
    """Give the small trend; a running period would look like a fall and is left out of a line."""
    rows = frames.trend[frames.trend["item"] == item] if item else frames.trend
    sums = rows.groupby("period_start")[column].sum(min_count=1)
    values = [None if s not in sums.index or pd.isna(sums[s]) else float(sums[s]) for s in frames.starts]
    return values if whole_only is False or frames.whole else [*values[:-1], None]


def _change(frames: Frames, text: Text, value: float | None, before: float | None) -> str:
    """Give the pill of change; an open period is not compared with a whole one."""
    if not frames.whole and value is not None:
        return pill("flat", "", text("kpi.open"))
    if value is None or not before:
        return ""
    change = value / before - 1
    if abs(change) < 0.0005:
        return pill("flat", "", "±0%")
    return pill("bad" if change > 0 else "good", "↑" if change > 0 else "↓", f"{change:+.1%}")


def _main(context: Context, frames: Frames) -> str:
    text, basis = context.text, context.filters.basis
    first, second = (
        ("coal_kgce", "coal_equal_kgce") if basis is Basis.CALORIFIC else ("coal_equal_kgce", "coal_kgce")
    )
    value = _of(frames.current, first)
    pair = "".join(
        f'<div class="v">{n}<small>{u} {escape(text(f"basis.{key}"))}</small></div>'
        for column in (first, second)
        for n, u in [amount(text, _of(frames.current, column), "kgce")]
        for key in ["calorific" if column == "coal_kgce" else "equal"]
    )
    change = _change(frames, text, value, _of(frames.other, first))
    line = _wider_line(context, frames, first, "kgce")
    lacking = [
        i
        for i, v in zip(frames.current["item"], frames.current[first], strict=True)
        if pd.isna(v) and is_energy(i)
    ]
    if lacking:
        line = text("kpi.without", names=text("list.join").join(context.item_name(i) for i in lacking))
    image = spark.columns(_trend(frames, first, whole_only=False), context.theme.primary)
    return (
        f'<div class="nl-kpi main"><div class="l"><span class="t">{escape(text("kpi.total"))} · '
        f"{escape(period_words(context))}</span>{change}</div>"
        f'<div class="two">{pair}</div><div class="s">{escape(line)}</div>'
        f"{_img(image, text('kpi.total'), text)}</div>"
    )


def _wider_line(context: Context, frames: Frames, column: str, unit: str, item: str = "") -> str:
    written, label = amount(context.text, _of(frames.wider, column, item), unit)
    return context.text(frames.wider_key, value=f"{written} {label}")


def period_words(context: Context) -> str:
    """Write the chosen period: 2026-11-21, 2026-11 or 2026."""
    day = context.filters.day
    return {Grain.DAY: f"{day:%m-%d}", Grain.MONTH: f"{day:%Y-%m}", Grain.YEAR: f"{day:%Y}"}[
        context.filters.grain
    ]


def _item(context: Context, frames: Frames, item: str) -> Indicator:
    text = context.text
    unit = str(context.points.loc[context.points["item"] == item, "unit"].iloc[0])
    value = _of(frames.current, "used", item)
    colour = item_colour(item, context.theme.dark)
    return Indicator(
        label=context.item_name(item),
        value=amount(text, value, unit),
        pill=_change(frames, text, value, _of(frames.other, "used", item)),
        line=_wider_line(context, frames, "used", unit, item),
        image=spark.area(_trend(frames, "used", item), colour),
        dot=colour,
    )


def _carbon(context: Context, frames: Frames) -> Indicator:
    text = context.text
    value = _of(frames.current, "co2_kg")
    return Indicator(
        label=text("kpi.co2"),
        value=amount(text, value, "kgCO2"),
        pill=_change(frames, text, value, _of(frames.other, "co2_kg")),
        line=_wider_line(context, frames, "co2_kg", "kgCO2"),
        image=spark.area(_trend(frames, "co2_kg"), context.theme.muted),
    )


def _complete(context: Context, frames: Frames) -> Indicator:
    text = context.text
    days = data.owed(frames.days)
    received, due = float(days["received"].sum()), float(days["due"].sum())
    part = data.share(received, due)
    kind, mark = completeness_mark(part)
    colour = {"good": "#2F8F80", "warn": "#D9982B", "bad": "#C8402F"}.get(kind, context.theme.muted)
    sums = data.owed(frames.trend).groupby("period_start")[["received", "due"]].sum()
    trend = [
        data.share(*sums.loc[s].to_numpy(dtype=float)) if s in sums.index else None for s in frames.starts
    ]
    trend = trend if frames.whole else [*trend[:-1], part]
    written = percent(part)
    return Indicator(
        label=text("kpi.complete"),
        value=(written.removesuffix("%"), "%" if written.endswith("%") else ""),
        pill=pill(kind, mark, text(f"complete.{kind}")) if part is not None else "",
        line=text("kpi.received", received=f"{received:,.0f}", due=f"{due:,.0f}"),
        image=spark.columns(trend, colour, last=False),
    )


def completeness_mark(part: float | None) -> tuple[str, str]:
    """Give kind and shape of a completeness; 98 % is the usual wish, 90 % the platform's floor."""
    if part is None:
        return "flat", "◌"
    return ("good", "●") if part >= 0.98 else ("warn", "▲") if part >= 0.9 else ("bad", "■")


def _card(card: Indicator) -> str:
    number, unit = card.value
    dot = parts.dot(card.dot) if card.dot else ""
    return (
        f'<div class="nl-kpi"><div class="l">{dot}<span class="t">{escape(card.label)}</span>'
        f"{card.pill}</div>"
        f'<div class="v">{number}<small>{escape(unit)}</small></div><div class="s">{escape(card.line)}</div>'
        f'<img alt="{escape(card.label)}" src="{card.image}"></div>'
    )


def _img(image: str, label: str, text: Text) -> str:
    return f'<img alt="{escape(text("kpi.trend", name=label))}" src="{image}">'
