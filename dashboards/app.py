"""Navigation: which pages exist for this reader; the default page only routes."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboards.i18n import current_text
from dashboards.identity import LoggedOut, current_reader
from dashboards.navigation import PAGES, PLACES, places

_text = current_text()
try:
    _places = places(current_reader().role)
except LoggedOut:
    _places = PLACES  # whichever page is open says itself that the session is over
_home = st.Page(PAGES / "home.py", title=_text("app.name"), default=True, visibility="hidden")
_page = st.navigation([_home, *(place.page(_text) for place in _places)], position="hidden")
st.set_page_config(
    page_title=f"{_page.title} · {_text('app.name')}",
    page_icon=str(Path(__file__).parent / "static" / "favicon.svg"),
    layout="wide",
    initial_sidebar_state="collapsed",
)
_page.run()
