"""One incident, at ``/incident``."""

from __future__ import annotations

from dashboards.incidents.detail import render
from dashboards.ui.frame import page

page("incident", render)
