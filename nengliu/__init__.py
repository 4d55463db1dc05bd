"""Nengliu 能流: online energy-consumption monitoring as a stream of trustworthy windows."""

__version__ = "0.1.0"
