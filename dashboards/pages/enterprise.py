"""Page of one energy-using unit, at ``/enterprise``."""

from __future__ import annotations

from dashboards.enterprise.page import render
from dashboards.ui.frame import page

page("enterprise", render)
