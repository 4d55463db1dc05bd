"""Entry by hand, at ``/entry``."""

from __future__ import annotations

from dashboards.entry.page import render
from dashboards.ui.frame import page

page("entry", render)
