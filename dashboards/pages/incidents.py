"""Incidents, at ``/incidents``."""

from __future__ import annotations

from dashboards.incidents.desk import render
from dashboards.ui.frame import page

page("incidents", render)
