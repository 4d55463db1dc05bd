"""Intake: records of the log become accepted readings, evidence and tallies (docs/decisions/0004 and 0023)."""
