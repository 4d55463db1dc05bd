"""Totals: what the nodes of enterprises used, from the windows of their points (docs/decisions/0026)."""
