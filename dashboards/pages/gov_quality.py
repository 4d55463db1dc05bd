"""Quality of the data, at ``/gov-quality``."""

from __future__ import annotations

from dashboards.government.quality import render
from dashboards.ui.frame import page

page("gov_quality", render)
