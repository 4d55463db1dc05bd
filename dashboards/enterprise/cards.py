"""The cards of the page: head with its choices, drawing, and foot with source and numbers."""

from __future__ import annotations

from datetime import datetime
from html import escape

import pandas as pd
import streamlit as st

from dashboards import data, export
from dashboards.cache import LIVE, STILL, kept
from dashboards.enterprise import sheets, views
from dashboards.enterprise.context import GAUGE, Context
from dashboards.enterprise.live import completeness_mark, freshness_mark
from dashboards.enterprise.toolbar import bound
from dashboards.filters import SPANS, TOTAL, Basis
from dashboards.formats import DASH, age, amount, percent, stamp
from dashboards.ui import parts
from dashboards.ui.theme import item_colour

CURVE_HEIGHT = 330
BARS_HEIGHT = 268
RING_HEIGHT = 164


def curve_card(context: Context) -> None:
    """Draw the quarter-hours of one point."""
    text, filters = context.text, context.filters
    names = context.point_names
    look = views.look(context)
    with st.container(key="card_curve", height="stretch"):
        with st.container(key="head_curve", horizontal=True, vertical_alignment="center"):
            st.html(parts.title(text("card.curve")), width="content")
            st.selectbox(
                text("filter.point"),
                list(names),
                format_func=lambda p: names.get(p, p),
                label_visibility="collapsed",
                width=230,
                **bound("point", context.point),
            )
            st.segmented_control(
                text("filter.days"),
                [str(n) for n in SPANS],
                format_func=lambda n: text("curve.days", n=n),
                required=True,
                label_visibility="collapsed",
                **bound("days", str(filters.days)),
            )
            span = views.curve_span(filters)
            days = f"{filters.day}" if filters.days == 1 else f"{span.first:%m-%d} {DASH} {filters.day:%m-%d}"
            st.html(f'<div class="nl-ttl"><small>{look.unit} · {days}</small></div>')
        drawing = views.curve(context)
        alt = text("alt.curve", name=look.name, days=days, unit=look.unit)
        _draw(context, drawing, CURVE_HEIGHT, alt, "curve")
        foot(context, "curve", drawing.known_at)


def structure_card(context: Context) -> None:
    """Draw the ring of energy and its table in both kinds of standard coal."""
    text, filters = context.text, context.filters
    with st.container(key="card_structure", height="stretch"):
        with st.container(key="head_structure", horizontal=True, vertical_alignment="center"):
            st.html(parts.title(text("card.structure")), width="stretch")
            st.segmented_control(
                text("filter.basis"),
                [str(b) for b in Basis],
                format_func=lambda b: text(f"basis.{b}"),
                required=True,
                label_visibility="collapsed",
                **bound("basis", str(filters.basis)),
            )
        drawing = views.structure(context)
        _draw(
            context,
            drawing,
            RING_HEIGHT,
            text("alt.structure", basis=text(f"basis.{filters.basis}")),
            "structure",
        )
        if written := structure_table(context):
            st.html(written)
        foot(context, "structure", drawing.known_at)


@kept(STILL)
def structure_table(context: Context) -> str:
    """Give the items with their amounts as a small table; nothing where there are none."""
    text, filters = context.text, context.filters
    frame = data.structure(context.asker, views.level_of(filters.grain), filters.enterprise, filters.span)
    if frame.empty:
        return ""
    rows = []
    for row in data.records(frame):
        used, unit = amount(text, row["used"], str(row["unit"]))
        dot = parts.dot(item_colour(row["item"], context.theme.dark))
        rows.append(
            f'<tr><td class="n">{dot}&ensp;<b>{escape(context.item_name(str(row["item"])))}</b></td>'
            f'<td>{used} <span class="q">{escape(unit)}</span></td>'
            f"<td>{_tce(row['coal_kgce'])}</td><td>{_tce(row['coal_equal_kgce'])}</td></tr>"
        )
    rows.append(
        f'<tr class="sum"><td>{escape(text("table.sum"))}</td><td></td>'
        f"<td>{_tce(frame['coal_kgce'].sum(min_count=1))}</td>"
        f"<td>{_tce(frame['coal_equal_kgce'].sum(min_count=1))}</td></tr>"
    )
    head = "".join(
        f"<th>{escape(text(k))}</th>" for k in ("column.item", "column.used", "table.tce", "table.tce_equal")
    )
    return f'<table class="nl-tab"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _tce(kgce: float) -> str:
    return DASH if pd.isna(kgce) else f"{kgce / 1000:,.2f}"


def bars_card(context: Context) -> None:
    """Draw the days of the month or the months of the year."""
    text, filters = context.text, context.filters
    level, span = filters.bars_span
    options = [TOTAL, *context.boundary_items]
    with st.container(key="card_bars", height="stretch"):
        with st.container(key="head_bars", horizontal=True, vertical_alignment="center"):
            st.html(parts.title(text(f"card.bars_{level}")), width="content")
            st.selectbox(
                text("filter.energy"),
                options,
                format_func=lambda e: text("energy.total") if e == TOTAL else context.item_name(e),
                label_visibility="collapsed",
                width=170,
                **bound("energy", context.energy),
            )
            drawing = views.bars(context)
            basis = f" · {text(f'basis.{filters.basis}')}" if context.energy == TOTAL else ""
            period = views.period_label(level, span)
            st.html(f'<div class="nl-ttl"><small>{escape(drawing.unit)}{basis} · {period}</small></div>')
        _draw(context, drawing, BARS_HEIGHT, text("alt.bars", period=period, unit=drawing.unit), "bars")
        foot(context, "bars", drawing.known_at)


def points_card(context: Context) -> None:
    """Show each point with its newest reading, its age and its completeness."""
    text = context.text
    with st.container(key="card_points", height="stretch"):
        st.html(parts.title(text("card.points"), text("points.note", n=len(context.points))))
        st.html(f'<div class="nl-scroll" tabindex="0" role="region">{points_table(context)}</div>')
        foot(context, "points", None)


@kept(LIVE)
def points_table(context: Context) -> str:
    """Give the points as rows: name, what was used, completeness, newest reading, age."""
    text, filters, at = context.text, context.filters, data.now()
    fresh = data.freshness(context.asker, filters.enterprise).set_index("point")["last_read_at"]
    trust = views.mixture(views.trust(context, filters.span)).set_index("point")[["received", "due"]]
    used = _used(context)
    names = context.point_names
    rows = []
    for row in data.records(context.points):
        point = str(row["point"])
        last = fresh.get(point, pd.NaT)
        part = data.share(*trust.loc[point].to_numpy(dtype=float)) if point in trust.index else None
        dot = parts.dot(item_colour(row["item"], context.theme.dark))
        number, unit = amount(text, used.get(point), str(row["unit"]))
        rows.append(
            f'<tr><td class="n" title="{escape(point)}">{dot}&ensp;<b>{escape(names[point])}</b></td>'
            f'<td>{number} <span class="q">{escape(unit)}</span></td>'
            f"<td>{_part(part)}</td><td class='h'>{stamp(None if pd.isna(last) else last)[5:] or DASH}</td>"
            f"<td>{_age(context, last, at)}</td></tr>"
        )
    keys = ("table.point", "column.used", "kpi.complete", "table.last", "table.age")
    head = "".join(f"<th{' class=h' if k == 'table.last' else ''}>{escape(text(k))}</th>" for k in keys)
    return f'<table class="nl-tab"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def _used(context: Context) -> dict[str, float]:
    """Give what each point used in the period, of a gauge its mean; from the stored windows of that level."""
    filters = context.filters
    level = str(filters.grain) if filters.grain != "year" else "month"
    frame = data.windows(context.asker, level, filters.enterprise, filters.span)
    if filters.grain == "year":
        sums = frame[frame["kind"] != GAUGE].groupby("point")["used"].sum(min_count=1)
        return {str(p): float(v) for p, v in sums.items()}
    values = frame["used"].where(frame["kind"] != GAUGE, frame["mean"])
    return dict(zip(frame["point"].astype(str), values.astype(float), strict=True))


def _part(part: float | None) -> str:
    kind, _ = completeness_mark(part)
    colour = {"good": "#2F8F80", "warn": "#D9982B", "bad": "#C8402F"}.get(kind, "#8C97A5")
    width = 0 if part is None else round(part * 100)
    bar = f'<span class="nl-bar h"><i style="width:{width}%;background:{colour}"></i></span>'
    return f'{bar}<span class="nl-pc">{percent(part)}</span>'


def _age(context: Context, last: datetime, at: datetime) -> str:
    if pd.isna(last):
        return parts.pill("flat", "◌", context.text("points.never"))
    kind, mark = freshness_mark(at - last)
    return parts.pill(kind, mark, age(context.text, at - last, "old"))


def heat_card(context: Context) -> None:
    """Draw completeness by point and day."""
    text, names = context.text, context.point_names
    span = views.trust_span(context.filters)
    period = f"{span.first:%Y-%m}" if span.days < 32 else f"{span.first:%Y}"
    with st.container(key="card_heat", height="stretch"):
        st.html(parts.title(text("card.heat"), text("heat.note", period=period)))
        drawing = views.heat(context)
        _draw(
            context,
            drawing,
            _rows_height(len(names)),
            text("alt.heat", period=period),
            "heat",
            canvas=span.days > 60,
        )
        foot(context, "heat", drawing.known_at)


def mix_card(context: Context) -> None:
    """Draw the mix of quality by point."""
    text, names = context.text, context.point_names
    with st.container(key="card_mix", height="stretch"):
        st.html(parts.title(text("card.mix"), text("mix.note")))
        drawing = views.mix(context)
        _draw(context, drawing, _rows_height(len(names)), text("alt.mix"), "mix")
        foot(context, "mix", drawing.known_at)


def _rows_height(rows: int) -> int:
    return 62 + 23 * min(max(rows, 4), views.SHOWN_POINTS)


def _draw(
    context: Context, drawing: views.Drawing, height: int, alt: str, key: str, *, canvas: bool = False
) -> None:
    if drawing.spec is None:
        text = context.text
        hint = text("empty.hint", last=stamp(context.last_at)) if context.last_at else text("empty.never")
        parts.nothing(text("empty.title"), hint, height)
        return
    parts.chart(drawing.spec, height=height, alt=alt, key=f"chart_{key}", canvas=canvas)


def foot(context: Context, card: str, known: datetime | None) -> None:
    """Write where the numbers come from and how new they are; offer the numbers themselves."""
    text = context.text
    line = _source(context, card, known)
    with st.container(key=f"foot_{card}", horizontal=True, vertical_alignment="center"):
        st.html(f'<div class="nl-src">{escape(line)}</div>', width="stretch")
        if st.button(
            text("numbers.show"), key=f"numbers_{card}", type="tertiary", icon=":material/table_rows:"
        ):
            numbers(context, card, line)


def _source(context: Context, card: str, known: datetime | None) -> str:
    """Write the source with the newest receipt behind the numbers, where the question tells it."""
    text, table = context.text, context.text(f"source.{card}")
    if card in ("collection", "missed"):
        return text("source.live", table=table)
    if known is not None:
        return text("source.line", table=table, known=stamp(known))
    if context.filters.as_of:
        return text("source.as_of", table=table, day=context.filters.as_of.isoformat())
    return text("source.until", table=table, at=stamp(context.last_at))


def numbers(context: Context, card: str, line: str) -> None:
    """Open the numbers behind a card, with both kinds of file to take away."""
    text = context.text

    def body() -> None:
        made = sheets.sheet(context, card, line)
        st.caption(made.source)
        if made.frame.empty:
            parts.nothing(text("empty.title"), "", 160)
            return
        parts.table(
            made.frame, alt=made.heading, key=f"table_{card}", height=460 if len(made.frame) > 12 else None
        )
        with st.container(horizontal=True, vertical_alignment="center"):
            _download(made, "csv", context)
            _download(made, "xlsx", context)
            st.caption(text("numbers.rows", n=f"{len(made.frame):,}"))

    st.dialog(text(f"card.{card}"), width="large")(body)()


def _download(made: export.Sheet, kind: str, context: Context) -> None:
    """Offer a file; it is built when it is asked for, not before."""
    build = export.csv if kind == "csv" else export.xlsx
    mime = (
        "text/csv" if kind == "csv" else "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    )
    st.download_button(
        context.text(f"numbers.{kind}"),
        data=lambda: build(made),
        file_name=f"{made.name}.{kind}",
        mime=mime,
        key=f"get_{kind}_{made.name}",
        icon=":material/download:",
        on_click="ignore",
    )
