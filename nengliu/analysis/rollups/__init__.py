"""Rollups: accepted readings become the windows of points, measured or computed (docs/decisions/0011, 0021, 0025)."""
