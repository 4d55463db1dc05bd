"""What every page stands in: style sheet, top bar, and the plain sentence when something is away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

import streamlit as st

from dashboards import data, identity
from dashboards.data import Asker
from dashboards.i18n import DEFAULT, Text, current_text
from dashboards.identity import LoggedOut, Reader
from dashboards.navigation import PLACES, Place, kept, places
from dashboards.ui import css, parts
from dashboards.ui.theme import Theme, theme
from nengliu.errors import NengliuError


@dataclass(frozen=True, slots=True)
class Frame:
    """What a page is given: words, look, reader, and the way to ask within the reader's scope."""

    text: Text
    theme: Theme
    reader: Reader
    asker: Asker


def page(name: str, draw: Callable[[Frame], None]) -> None:
    """Draw a page: style sheet, top bar, then what `draw` draws.

    Parameters
    ----------
    name
        Key of the page in `dashboards.navigation.PLACES`.
    draw
        Draws the page within its frame.
    """
    text = current_text()
    look = theme(st.context.theme.type == "dark")
    st.html(css.sheet(look))
    here = next(place for place in PLACES if place.key == name)
    try:
        reader = identity.current_reader()
        _bar(here, reader, text)
        _stand(reader)
        if reader.role in here.roles:
            draw(Frame(text, look, reader, Asker(reader.scope)))
        else:
            parts.state("∅", text("frame.not_for_you"), text("frame.not_for_you_hint"), [])
    except LoggedOut:
        ended(text, here.path)
    except NengliuError as error:
        parts.state("⏻", text("state.store"), text("state.store_hint"), ["nengliu up"], str(error))
        _recover()


def ended(text: Text, path: str = "") -> None:
    """Say that the session is over, with the way back in."""
    query = urlencode(st.query_params.to_dict())
    again = urlencode({"next": f"/{path}?{query}" if query else f"/{path}", "lang": text.language})
    parts.state(
        "⏻",
        text("frame.ended"),
        text("frame.ended_hint"),
        [],
        link=(f"auth/login?{again}", text("frame.again")),
    )


def not_yours(text: Text) -> None:
    """Say that what the address names is not the reader's or not known; which of both is nobody's business."""
    st.html(f'<p class="nl-notice" role="status">{escape(text("frame.not_yours"))}</p>')


def nothing_yet(frame: Frame) -> None:
    """Draw a page that has nothing to show yet."""
    parts.state("∅", frame.text("frame.nothing"), frame.text("frame.nothing_hint"), [])


def broken(error: Exception) -> bool:
    """Say in the reader's language that the program made a mistake; the log of the server has it whole."""
    del error
    text = current_text()
    parts.state("⚠", text("frame.broken"), text("frame.broken_hint"), ["nengliu logs dashboard"])
    return True


@st.fragment(run_every="30s")
def _stand(reader: Reader) -> None:
    """Draw the page anew when the reader is no more who he was: a page left open shows nothing further."""
    try:
        same = identity.current_reader() == reader
    except LoggedOut:
        same = False
    if not same:
        st.rerun()


@st.fragment(run_every="5s")
def _recover() -> None:
    """Draw the page again as soon as the store answers."""
    try:
        data.enterprises(Asker(identity.current_scope()))
    except NengliuError:
        return
    st.rerun()


def _bar(here: Place, reader: Reader, text: Text) -> None:
    with st.container(key="bar", horizontal=True, vertical_alignment="center", gap="small"):
        brand = f'<div class="nl-brand">{parts.logo()}<span>{escape(text("app.name"))}</span></div>'
        st.html(brand, width="content")
        with st.container(key="nav", horizontal=True, vertical_alignment="center", gap=None, width="content"):
            for place in places(reader.role):
                if not place.above:
                    _link(place, here, text)
        with st.container(key="me", width="content"):
            st.html(f'<div class="nl-me">{_me(reader, text)}{_languages(text)}</div>', width="content")


def _link(place: Place, here: Place, text: Text) -> None:
    """Draw one way of the bar; of the page one is on only the name, of the one above it a marked link."""
    if place == here:
        words = escape(text(f"nav.{place.key}"))
        st.html(f'<span class="nl-here" aria-current="page">{words}</span>', width="content")
        return
    mark = "here" if place.key == here.above else "way"
    with st.container(key=f"{mark}_{place.key}", width="content"):
        st.page_link(place.page(text), query_params=kept(text), width="content")


def _me(reader: Reader, text: Text) -> str:
    """Give who is logged in, as what, and the way out."""
    role = escape(text(f"role.{reader.role}"))
    out = f"auth/logout?{urlencode({'lang': text.language})}"
    return (
        f'<b title="{role}">{escape(reader.name)}</b><small>{role}</small>'
        f'<a href="{out}" target="_self">{escape(text("frame.logout"))}</a>'
    )


def _languages(text: Text) -> str:
    """Give the two languages as links: a reload sets the language of the HTML shell, too."""
    query = {k: v for k, v in st.query_params.items() if k != "lang"}
    links = []
    for code, words in (("zh_CN", text("language.zh_CN")), ("en", text("language.en"))):
        if code == text.language:
            links.append(f"<b>{words}</b>")
        else:
            address = urlencode({**query, "lang": code}) if code != DEFAULT else urlencode(query)
            links.append(f'<a href="?{escape(address)}" target="_self" hreflang="{code[:2]}">{words}</a>')
    return f'<span class="nl-lang">{"".join(links)}</span>'
