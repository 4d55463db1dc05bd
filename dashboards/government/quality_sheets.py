"""The numbers behind the cards of the quality page, to take away."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape

import pandas as pd
import streamlit as st

from dashboards import data, export
from dashboards.export import Sheet
from dashboards.government import trust
from dashboards.government.context import Context
from dashboards.government.quality_tables import reason_sentence
from dashboards.incidents.words import cause_name, class_name
from dashboards.ui import parts

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def foot(context: Context, card: str) -> None:
    """Write where the numbers of a card come from; offer the numbers themselves."""
    text = context.text
    with st.container(key=f"foot_{card}", horizontal=True, vertical_alignment="center"):
        st.html(f'<div class="nl-src">{escape(text(f"trust.source_{card}"))}</div>', width="stretch")
        if st.button(
            text("numbers.show"), key=f"numbers_{card}", type="tertiary", icon=":material/table_rows:"
        ):
            numbers(context, card)


def numbers(context: Context, card: str) -> None:
    """Open the numbers behind a card, with both kinds of file."""
    text = context.text

    def body() -> None:
        made = sheet(context, card)
        st.caption(made.source)
        if made.frame.empty:
            parts.nothing(text("empty.title"), "", 160)
            return
        height = 460 if len(made.frame) > 12 else None
        parts.table(made.frame, alt=made.heading, key=f"table_{card}", height=height)
        with st.container(horizontal=True, vertical_alignment="center"):
            for kind, build, mime in (("csv", export.csv, "text/csv"), ("xlsx", export.xlsx, _XLSX)):
                st.download_button(
                    text(f"numbers.{kind}"),
                    data=partial(build, made),
                    file_name=f"{made.name}.{kind}",
                    mime=mime,
                    key=f"get_{kind}_{card}",
                    icon=":material/download:",
                    on_click="ignore",
                )
            st.caption(text("numbers.rows", n=f"{len(made.frame):,}"))

    st.dialog(text(f"trust.{_TITLES.get(card, card)}"), width="large")(body)()


def sheet(context: Context, card: str) -> Sheet:
    """Make the table of a card with written column names."""
    text, span = context.text, context.filters.span
    frame = MAKERS[card](context)
    source = f"{text(f'trust.source_{card}')} · {span.first} {span.after}"
    if context.known.within(context.region, context.filters.industry)["simulated"].sum():
        source = f"{source} · {text('enterprise.simulated')}"
    named = frame.rename(columns={name: text(f"trust_column.{name}") for name in frame.columns})
    return Sheet(
        f"quality_{card}_{span.first:%Y%m%d}", text(f"trust.{_TITLES.get(card, card)}"), source, named
    )


def _days(context: Context) -> pd.DataFrame:
    known, frame = trust.names(context), trust.days(context)
    return frame.assign(name=[known.get(str(code), str(code)) for code in frame["enterprise"]])


def _units(context: Context) -> pd.DataFrame:
    known, frame = trust.names(context), trust.by_unit(trust.days(context))
    shares = ["complete", "late_share", "estimated_share", "suspect_share"]
    percents = (frame[shares].astype(float) * 100).round(2)
    return frame.assign(name=[known.get(str(code), str(code)) for code in frame["enterprise"]]).assign(
        **{str(name): percents[name] for name in shares}
    )


def _online(context: Context) -> pd.DataFrame:
    frame = trust.online(context)
    both = [
        trust.grouped(context, frame, by).assign(by=context.text(f"trust.by_{by}"))
        for by in ("city", "industry")
    ]
    return pd.concat(both, ignore_index=True)[
        ["by", "code", "name", "enterprises", "heard", "points", "points_heard"]
    ]


def _matrix(context: Context) -> pd.DataFrame:
    text, frame = context.text, trust.matrix(context)
    return frame.assign(
        region=[context.known.name(str(code), text) for code in frame["region"]],
        **{"class": [class_name(text, str(kind)) for kind in frame["class"]]},
        cause=[cause_name(text, int(cause)) for cause in frame["cause"]],
    )


def _silent(context: Context) -> pd.DataFrame:
    text = context.text
    rows = [
        {
            **{name: row[name] for name in ("enterprise", "point", "last_received_at", "silent_s")},
            "name": text.either(str(row["name"]), str(row["name_en"])),
            "point_name": text.either(str(row["point_name"]), str(row["point_name_en"])),
        }
        for row in data.records(trust.silent(context))
    ]
    return pd.DataFrame(
        rows, columns=["enterprise", "name", "point", "point_name", "last_received_at", "silent_s"]
    )


def _held(context: Context) -> pd.DataFrame:
    frame = trust.quarantined(context)
    return frame.assign(reason=[reason_sentence(context, str(code)) for code in frame["reason"]])


_TITLES = {"days": "heat"}
MAKERS: dict[str, Callable[[Context], pd.DataFrame]] = {
    "days": _days,
    "units": _units,
    "online": _online,
    "matrix": _matrix,
    "silent": _silent,
    "held": _held,
}
