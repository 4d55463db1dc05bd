"""Router: sends the reader to the first page of his role."""

from __future__ import annotations

import streamlit as st

from dashboards.i18n import current_text
from dashboards.identity import LoggedOut, current_reader
from dashboards.navigation import PAGES, start
from dashboards.ui.frame import ended

try:
    _first = PAGES / f"{start(current_reader().role).key}.py"
except LoggedOut:
    ended(current_text())
else:
    st.switch_page(str(_first), query_params=dict(st.query_params))
