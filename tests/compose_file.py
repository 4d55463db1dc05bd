"""The compose file as its tests read it: variables filled in from an environment, anchors and merges resolved."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docker-compose.yml"
SECRETS = {"CLICKHOUSE_PASSWORD": "c1ickhouse", "NENGLIU_BUS_PASSWORD": "br0ker"}
"""What `.env` must give; the values of these tests."""
PRODUCT = ("migrate", "ingest", "rollups", "anomaly", "tick", "audit", "collector", "page")
_VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")


class MissingVariable(Exception):
    """A required variable is not set."""


def interpolate(text: str, environ: Mapping[str, str]) -> str:
    """Fill in ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}`` as the Compose specification says."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if environ.get(name):
            return environ[name]
        if kind == "?":
            raise MissingVariable(f"{name}: {rest}")
        return rest or ""

    return _VARIABLE.sub(value, text)


def load(environ: Mapping[str, str] = SECRETS) -> dict[str, Any]:
    """Read the file as Compose would with this environment."""
    found: dict[str, Any] = yaml.safe_load(interpolate(FILE.read_text(encoding="utf-8"), environ))
    return found


def services() -> dict[str, dict[str, Any]]:
    """Services of the file, by name."""
    found: dict[str, dict[str, Any]] = load()["services"]
    return found
