"""Ranking and structure of regions, industries and enterprises, at ``/gov-ranking``."""

from __future__ import annotations

from dashboards.government.ranking import render
from dashboards.ui.frame import page

page("gov_ranking", render)
