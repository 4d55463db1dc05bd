"""The one ASGI application: pages, and the place where login and the data interface are mounted."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.pages_manager import PagesManager

from dashboards.middleware import ShellLanguage

# A folder named `pages` beside the script switches on the old automatic navigation until `st.navigation` has
# run once, so the first reader of a deep link would see it; we navigate ourselves from the first run on.
PagesManager.uses_pages_directory = False

app = st.App(Path(__file__).with_name("app.py"), middleware=[Middleware(ShellLanguage)])
