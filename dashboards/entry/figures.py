"""Figures of production: a form for a month or a day, what stands, and how it came to be known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from dashboards import data
from dashboards.entry import send, words
from dashboards.entry.context import Context
from dashboards.entry.papers import offer, papers
from dashboards.entry.values import on_the_way
from dashboards.export import Sheet
from dashboards.formats import stamp, unit_label
from dashboards.periods import midnight
from dashboards.ui import parts
from nengliu.analysis.forms.production import (
    HEADS,
    NEEDED,
    TAKEN_BACK,
    activities_of,
    figure,
    measures,
    template,
)
from nengliu.analysis.forms.sheets import Line
from nengliu.analysis.notices import OF_PRODUCTS
from nengliu.errors import ContractError, InputError, LogError
from schemas.messages import Activity, RejectedRow

BACK, AHEAD = 36, 12
"""Months before this one that can be told, and after it, for plans."""
WHOLE = 0
"""The whole month among its days."""
ROWS = 400
Key = tuple[str, str]
"""Measure and product."""
_TURN, _FAILED = "figure_turn", "figure_failed"
COLUMNS = ("period", "figure", "amount", "by", "at", "source")
NARROW = {"by", "at", "source"}
"""Columns a phone leaves out."""


def draw(context: Context) -> None:
    """Draw the part: the form and the list side by side, forms on paper below."""
    text = context.text
    told = _told(context)
    left, right = st.columns([1, 1.75], gap="xsmall")
    with left, st.container(key="card_figures", height="stretch"):
        st.html(parts.title(text("entry.figures"), text("entry.figures_note")))
        period = _form(context, told)
    with right, st.container(key="card_told", height="stretch"):
        st.html(parts.title(text("entry.told"), text("entry.told_note")))
        _list(context)
    form = lambda: template([period], _products(told), chinese=context.is_chinese)  # noqa: E731
    papers(context, HEADS, NEEDED, lambda lines: _take_form(context, lines), form)


def _months() -> list[str]:
    """Months that can be told, the latest first."""
    this = pd.Period(data.now(), "M")
    return [str(this + n) for n in range(AHEAD, -BACK - 1, -1)]


def _span() -> dict[str, Any]:
    months = _months()
    after = (pd.Period(months[0], "M") + 1).start_time
    return {"start": midnight(date.fromisoformat(f"{months[-1]}-01")), "end": midnight(after.date())}


def _told(context: Context) -> pd.DataFrame:
    return context.asker.ask("activities", live=True, enterprise=context.enterprise, **_span())


def _products(told: pd.DataFrame) -> list[str]:
    """Products that were ever told of, by name."""
    return sorted({str(name) for name in told["product"]} - {""})


def _form(context: Context, told: pd.DataFrame) -> str:
    """Ask for the figures of a month or a day; give which."""
    text = context.text
    period = _period(context)
    turn = st.session_state.setdefault(_TURN, 0)  # what was sent is no more in the form of the next turn
    stands = {
        (str(row["measure"]), str(row["product"])): words.plain(row["value"])
        for row in data.records(told[told["period"] == period])
    }
    written: dict[Key, str] = {}
    plain = [(name, "") for name in measures() if name not in OF_PRODUCTS]
    products = _products(told) + ([""] if _tells_whole(told) else [])
    _fields(
        context, [*plain, *((name, p) for p in products for name in OF_PRODUCTS)], stands, period, written
    )
    fresh = st.text_input(
        text("entry.new_product"),
        key=f"product_{period}_{turn}",
        max_chars=60,
        placeholder=text("entry.product_hint"),
    ).strip()
    if fresh and fresh in products:
        st.info(parts.plain(text("entry.product_known", name=fresh)))
    elif fresh not in products:
        _fields(context, [(name, fresh) for name in OF_PRODUCTS], stands, period, written, new=True)
    source = st.text_input(
        text("entry.source"), key=f"source_{turn}", max_chars=200, placeholder=text("entry.source_hint")
    )
    changed = {key: value for key, value in written.items() if value != stands.get(key, "")}
    _say_withdrawn(context, [key for key, value in changed.items() if not value])
    if st.button(text("entry.send"), key="figures_send", type="primary"):
        _send(context, period, changed, source)
    if failed := st.session_state.pop(_FAILED, ""):
        st.error(parts.plain(failed))
    return period


def _tells_whole(told: pd.DataFrame) -> bool:
    """Say whether output is told without naming products: as long as no product is named."""
    of_products = told[told["measure"].isin(OF_PRODUCTS)]
    return bool((of_products["product"] == "").any()) or of_products.empty


def _period(context: Context) -> str:
    text, months = context.text, _months()
    left, right = st.columns(2)
    with left:
        month = st.selectbox(text("entry.month"), months, index=AHEAD + 1, key="figure_month")
    days = pd.Period(month, "M").days_in_month
    with right:
        day = st.selectbox(
            text("entry.day"),
            range(days + 1),
            format_func=lambda n: text("entry.day_n", n=n) if n else text("entry.whole_month"),
            key=f"figure_day_{days}",
        )
    return month if day == WHOLE else f"{month}-{day:02d}"


def _fields(
    context: Context,
    keys: Sequence[Key],
    stands: dict[Key, str],
    period: str,
    written: dict[Key, str],
    *,
    new: bool = False,
) -> None:
    """Draw a field per figure, two in a row, and write down what stands in them."""
    turn = st.session_state[_TURN]
    for start in range(0, len(keys), 2):
        for place, (measure, product) in zip(st.columns(2), keys[start : start + 2], strict=False):
            unit = unit_label(context.text, measures()[measure].unit)
            name = words.figure_name(context.text, measure, "" if new else product)
            key = f"figure_{measure}_{'' if new else product}_{period}_{turn}_{new}"
            with place:
                value = st.text_input(
                    parts.plain(context.text("entry.with_unit", name=name, unit=unit)),
                    value=stands.get((measure, product), ""),
                    key=key,
                    max_chars=24,
                )
            if not new or value.strip():
                written[measure, product] = value.strip()


def _say_withdrawn(context: Context, keys: Sequence[Key]) -> None:
    """Say what would be taken back."""
    if keys:
        names = context.text("list.join").join(words.figure_name(context.text, *key) for key in keys)
        st.warning(parts.plain(context.text("entry.taken_back", names=names)))


def _send(context: Context, period: str, changed: dict[Key, str], source: str) -> None:
    """Send the figures that differ from what stands; say in the form what is wrong with one."""
    found: list[Activity] = []
    failed = "" if changed else context.text("entry.unchanged")
    for (measure, product), value in changed.items():
        try:
            found.append(figure(measure, product, period, value or TAKEN_BACK[1], source.strip()))
        except ContractError as error:
            name = words.figure_name(context.text, measure, product)
            why = words.sentence(context.text, words.rejected(error, "", value))
            failed = failed or context.text("entry.of_figure", name=name, why=why)
    if not failed:
        failed = _told_now(context, found)
    if not failed:
        st.session_state[_TURN] += 1
    st.session_state[_FAILED] = failed
    st.rerun()


def _told_now(context: Context, found: Sequence[Activity]) -> str:
    """Send figures; say why not, nothing where they were sent."""
    try:
        send.send_figures(context, found, "entered")
    except (LogError, InputError) as error:
        return context.text("entry.not_sent", why=str(error))
    return ""


def _take_form(context: Context, lines: Sequence[Line]) -> list[RejectedRow]:
    """Send the figures of a form, all or none; give what is wrong with it."""
    found, rejected = activities_of(lines)
    if found and not rejected:
        send.send_figures(context, found, "imported")
    return rejected


@st.fragment(run_every="5s")
def _list(context: Context) -> None:
    """Show every figure that stands or stood, the latest told first; what is on its way above it."""
    text = context.text
    found = context.asker.ask("activity_versions", live=True, enterprise=context.enterprise, **_span())
    sent = send.last_sent(context)
    if sent is not None:
        here = (found["at"].astype("datetime64[s]").astype("int64") - 8 * 3600 == sent.at_s).any()
        on_the_way(context, sent, arrived=bool(here))
    if found.empty:
        parts.nothing(text("entry.none_told"), text("entry.none_told_hint"), 160)
        return
    ordered = found.sort_values(["stands", "period", "known_at"], ascending=False, kind="stable")
    rows = "".join(_row(context, row) for row in data.records(ordered.head(ROWS)))
    head = "".join(f"<th{_class(key)}>{escape(text(f'entry.column_{key}'))}</th>" for key in COLUMNS)
    table = f'<table class="nl-tab nl-entries"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    st.html(f'<div class="nl-scroll" tabindex="0" role="region">{table}</div>')
    offer(context, "activities", lambda: _sheet(context, ordered))


def _row(context: Context, row: dict[str, Any]) -> str:
    text = context.text
    unit = unit_label(text, str(row["unit"]))
    value = f"{words.figure(row['value'])} <span class='q'>{escape(unit)}</span>"
    old = "" if row["stands"] else parts.pill("flat", "⇄", text("entry.replaced"))
    back = parts.pill("flat", "∅", text("entry.back")) if pd.isna(row["value"]) else ""
    written = {
        "period": escape(str(row["period"])),
        "figure": f"<b>{escape(words.figure_name(text, str(row['measure']), str(row['product'])))}</b>",
        "amount": f"{value} {back or old}",
        "by": _by(text.get(f"entry_origin.{row['origin']}", ""), str(row["by"])),
        "at": stamp(row["known_at"] if pd.isna(row["at"]) else row["at"])[2:],
        "source": escape(str(row["source"])),
    }
    cells = "".join(f"<td{_class(key)}>{written[key]}</td>" for key in COLUMNS)
    return f"<tr{'' if row['stands'] else ' class=old'}>{cells}</tr>"


def _by(origin: str, login: str) -> str:
    """Write how a figure came to be known, and by whom."""
    said = f"<span class='q'>{escape(origin)}</span>"
    return f"{escape(login)} {said}" if login else said


def _class(column: str) -> str:
    kinds = [*("h",) * (column in NARROW), *("n w",) * (column in ("figure", "source", "by"))]
    left = ["l"] * (column in ("figure", "by", "source"))
    return f" class='{' '.join(kinds + left)}'" if kinds or left else ""


def _sheet(context: Context, found: pd.DataFrame) -> Sheet:
    """Make the table of figures as people take it away: it can be filled in and handed back."""
    text = context.text
    chinese = 0 if context.is_chinese else 1
    known = measures()
    told = found.assign(
        measure=[text.either(known[name].zh, known[name].en) for name in found["measure"]],
        unit=[unit_label(text, unit) for unit in found["unit"]],
        value=[words.plain(value) for value in found["value"]],
        origin=[text.get(f"entry_origin.{origin}", "") for origin in found["origin"]],
    )
    names = {name: heads[chinese] for name, heads in HEADS.items()}
    names |= {name: text(f"entry.column_{name}") for name in ("origin", "by", "at", "known_at", "stands")}
    source = text("entry.source_line", name=context.name, at=f"{data.now():%Y-%m-%d %H:%M}")
    file = f"{context.enterprise}_activities_{data.now():%Y%m%d}"
    return Sheet(file, text("entry.told"), source, told[list(names)].rename(columns=names))
