"""Quality of the data, at ``/gov-quality``."""

from __future__ import annotations

from dashboards.ui.frame import nothing_yet, page

page("gov_quality", nothing_yet)
