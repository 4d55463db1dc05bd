"""Power: a point that answers but shows no voltage or power while its parent is dead too has no supply: no fault.

A parent is the nearest point above in the place path; where there is none, a voltage of zero is enough.
Source: domain.md 6.2 (停电: live communication and a dead parent).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nengliu.analysis.watch.detector import Findings
from nengliu.analysis.watch.settings import WatchSettings
from nengliu.analysis.watch.slots import GAUGE, NEVER, Columns
from nengliu.analysis.watch.sweep import Sweep, Walk
from nengliu.domain.causes import Evidence
