"""Router: sends the reader to the first page of his role (one role, one page so far)."""

from __future__ import annotations

import streamlit as st

st.switch_page("pages/enterprise.py", query_params=dict(st.query_params))
