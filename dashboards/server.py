"""The one ASGI application: log-in, pages, and the place where the data interface will be mounted."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.pages_manager import PagesManager

from dashboards.auth.door import root, sessions
from dashboards.auth.gate import Gate
from dashboards.auth.routes import routes
from dashboards.middleware import ShellLanguage
from dashboards.ready import attended
from dashboards.ui.frame import broken

# A folder named `pages` beside the script switches on the old automatic navigation until `st.navigation` has
# run once, so the first reader of a deep link would see it; we navigate ourselves from the first run on.
PagesManager.uses_pages_directory = False

app = st.App(
    Path(__file__).with_name("app.py"),
    routes=routes(sessions(), root()),
    middleware=[Middleware(Gate, sessions=sessions(), root=root()), Middleware(ShellLanguage)],
    lifespan=attended,
    on_script_error=broken,
)
