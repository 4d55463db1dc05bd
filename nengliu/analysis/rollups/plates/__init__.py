"""Plates: windows of frames as matrices; the fast way through the rollups (docs/decisions/0021)."""
