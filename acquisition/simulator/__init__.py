"""Simulator: a fictitious plant whose meters behave, and misbehave, on order, with a truth log."""
