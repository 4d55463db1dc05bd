"""The bar of filters; the address is the only memory, widgets are set from it and write to it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pandas as pd
import streamlit as st

from dashboards.filters import FIRST_DAY, LAST_DAY, Filters
from dashboards.i18n import Text
from dashboards.periods import Compare, Grain, shift


def put(name: str, key: str) -> None:
    """Write a widget's value into the address; an emptied widget removes its parameter."""
    value = st.session_state.get(key)
    if value is None or value == "":
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value.isoformat() if isinstance(value, date) else str(value)


def bound(name: str, value: object) -> dict[str, Any]:
    """Set a widget from the address before it is made, and let it write back on change."""
    key = f"w_{name}"
    if st.session_state.get(key, ...) != value:
        st.session_state[key] = value
    return {"key": key, "on_change": put, "args": (name, key)}


def toolbar(filters: Filters, enterprises: pd.DataFrame, text: Text) -> None:
    """Draw the bar: unit, period, comparison and day of knowledge."""
    with st.container(key="toolbar", horizontal=True, vertical_alignment="center", gap="small"):
        _enterprise(filters, enterprises, text)
        _period(filters, text)
        _compare(filters, text)
        _as_of(filters, text)


def _enterprise(filters: Filters, enterprises: pd.DataFrame, text: Text) -> None:
    names = {
        str(row.enterprise): text.either(str(row.name_zh), str(row.name_en)) or str(row.enterprise)
        for row in enterprises.rename(columns={"name": "name_zh"}).itertuples()
    }
    st.selectbox(
        text("filter.enterprise"),
        list(names),
        format_func=lambda code: names.get(code, code),
        label_visibility="collapsed",
        placeholder=text("filter.enterprise"),
        width=250,
        **bound("enterprise", filters.enterprise),
    )


def _period(filters: Filters, text: Text) -> None:
    st.segmented_control(
        text("filter.period"),
        [str(g) for g in Grain],
        format_func=lambda g: text(f"period.{g}"),
        required=True,
        label_visibility="collapsed",
        **bound("period", str(filters.grain)),
    )
    with st.container(key="days", horizontal=True, vertical_alignment="center", gap=None, width="content"):
        _step("chevron_left", text("filter.earlier"), filters, -1)
        st.date_input(
            text("filter.date"),
            min_value=FIRST_DAY,
            max_value=LAST_DAY,
            format="YYYY-MM-DD",
            label_visibility="collapsed",
            width=122,
            **bound("date", filters.day),
        )
        _step("chevron_right", text("filter.later"), filters, 1)


def _step(icon: str, words: str, filters: Filters, steps: int) -> None:
    target = shift(filters.grain, filters.day, steps)
    st.button(
        f":material/{icon}:",
        key=f"step_{icon}",
        help=words,
        type="tertiary",
        on_click=_go,
        args=(target,),
    )


def _go(day: date) -> None:
    st.query_params["date"] = day.isoformat()


def _compare(filters: Filters, text: Text) -> None:
    options = [c for c in Compare if not (c is Compare.CYCLE and filters.grain is Grain.YEAR)]
    named: Callable[[str], str] = lambda c: text(f"compare.{filters.grain}_{c}")  # noqa: E731
    chosen = filters.compare if filters.compare in options else Compare.PREVIOUS
    st.selectbox(
        text("filter.compare"),
        [str(c) for c in options],
        format_func=named,
        label_visibility="collapsed",
        width=142,
        **bound("compare", str(chosen)),
    )


def _as_of(filters: Filters, text: Text) -> None:
    label = (
        text("as_of.newest") if filters.as_of is None else text("as_of.day", day=filters.as_of.isoformat())
    )
    with st.popover(label, icon=":material/history:", width="content"):
        st.caption(text("as_of.help"))
        st.date_input(
            text("filter.as_of"),
            value=None,
            min_value=FIRST_DAY,
            max_value=LAST_DAY,
            format="YYYY-MM-DD",
            **bound("as_of", filters.as_of),
        )
