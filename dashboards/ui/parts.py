"""Wrappers around Streamlit's commands: every chart and table must say what it shows (`alt`)."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboards.charts.base import Spec
from dashboards.formats import DASH

_STATIC = Path(__file__).parents[1] / "static"


def chart(spec: Spec, *, height: int, alt: str, key: str, canvas: bool = False) -> None:
    """Draw an ECharts option."""
    st.echarts_chart(spec, height=height, renderer="canvas" if canvas else "svg", alt=alt, key=key)


def table(frame: pd.DataFrame, *, alt: str, key: str, height: int | None = None) -> None:
    """Show a long table of numbers."""
    config = {
        str(name): st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm")
        if pd.api.types.is_datetime64_any_dtype(column)
        else st.column_config.NumberColumn(format="localized")
        for name, column in frame.items()
        if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_numeric_dtype(column)
    }
    st.dataframe(
        frame,
        hide_index=True,
        alt=alt,
        key=key,
        height=height or "auto",
        placeholder=DASH,
        column_config=config,
    )


def pill(kind: str, mark: str, words: str) -> str:
    """Give a small coloured label: shape, word and colour say the same."""
    sign = f'<span aria-hidden="true">{mark}</span>' if mark else ""
    return f'<span class="nl-pill nl-{kind}">{sign}{escape(words)}</span>'


def dot(colour: str) -> str:
    """Give the small square that carries the colour of an item."""
    return f'<span class="nl-dot" style="background:{colour}"></span>'


def title(words: str, note: str = "") -> str:
    """Give the head line of a card with its unit and rule at the right."""
    small = f"<small>{escape(note)}</small>" if note else ""
    return f'<div class="nl-ttl"><h2>{escape(words)}</h2>{small}</div>'


def remark(words: str) -> str:
    """Give a plain sentence above the cards: something in the address was not as it should be."""
    return f'<div class="nl-remark" role="status">{escape(words)}</div>'


def nothing(words: str, hint: str, height: int) -> None:
    """Show in a card that there is nothing to draw, in the room the chart would take."""
    st.html(
        f'<div class="nl-none" style="--h:{height}px"><b>{escape(words)}</b><span>{escape(hint)}</span></div>'
    )


def state(
    mark: str,
    words: str,
    hint: str,
    commands: list[str],
    detail: str = "",
    link: tuple[str, str] | None = None,
) -> None:
    """Show a whole page's empty or error state: what is wrong, and what to start; `link` is address and words."""
    codes = "".join(f"<code>{escape(c)}</code>" for c in commands)
    small = f'<p class="d">{escape(detail)}</p>' if detail else ""
    if link:
        codes += f'<a class="go" href="{escape(link[0])}" target="_self">{escape(link[1])}</a>'
    st.html(
        f'<div class="nl-state" role="status"><div class="i" aria-hidden="true">{escape(mark)}</div>'
        f"<h2>{escape(words)}</h2><p>{escape(hint)}</p><p>{codes}</p>{small}</div>"
    )


def plain(words: str) -> str:
    r"""Keep a name from being read as markdown, in labels and notes of Streamlit's own.

    >>> plain("*a*")
    '\\*a\\*'
    """
    return "".join(f"\\{c}" if c in "\\`*_{}[]()#+-.!|~<>$:" else c for c in words)


def logo() -> str:
    """Give the mark of the product as an image element."""
    data = base64.b64encode((_STATIC / "favicon.svg").read_bytes()).decode()
    return f'<img alt="" src="data:image/svg+xml;base64,{data}">'
