"""Ranking of the enterprises, at ``/gov-ranking``."""

from __future__ import annotations

from dashboards.ui.frame import nothing_yet, page

page("gov_ranking", nothing_yet)
