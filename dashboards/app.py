"""Navigation: which pages exist for this reader; the default page only routes."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboards.i18n import current_text

_HERE = Path(__file__).parent
_text = current_text()

st.set_page_config(
    page_title=_text("app.title"),
    page_icon=str(_HERE / "static" / "favicon.svg"),
    layout="wide",
    initial_sidebar_state="collapsed",
)
_pages = [
    st.Page(_HERE / "pages" / "home.py", title=_text("app.name"), default=True, visibility="hidden"),
    st.Page(_HERE / "pages" / "enterprise.py", title=_text("enterprise.title"), url_path="enterprise"),
]
st.navigation(_pages, position="hidden").run()
