"""The way up: centres, their orders, and the time."""
