"""The registry: every detector the watch runs, by name; a snapshot keeps each one's state under it."""

from __future__ import annotations

from nengliu.analysis.watch.arrivals import Arrivals
from nengliu.analysis.watch.detector import Detector
from nengliu.analysis.watch.power import Power
from nengliu.analysis.watch.registers import Registers
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.standstill import Standstill
from nengliu.analysis.watch.values import Values


def detectors(settings: WatchSettings) -> dict[str, Detector]:
    """Every detector with its settings; evidence of one reading is taken in this order."""
    return {
        "arrivals": Arrivals(settings),
        "registers": Registers(settings),
        "standstill": Standstill(settings),
        "values": Values(settings),
        "power": Power(),
    }
