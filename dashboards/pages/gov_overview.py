"""Overview of a region, at ``/gov-overview``."""

from __future__ import annotations

from dashboards.government.overview import render
from dashboards.ui.frame import page

page("gov_overview", render)
