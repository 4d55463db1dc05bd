"""The province under watch with names that try to be something else: markup, script, formulas, directives."""

from __future__ import annotations

import json

import pandas as pd

from nengliu.settings import Settings
from tests.dashboards import watched
from tests.dashboards.province import tables
from tests.dashboards.watched import STOOD_STILL

SCRIPT = "<script>window.fallen=1</script>"
IMAGE = '"><img src=x onerror="window.fallen=1">'
MARKDOWN = "**b** [a](javascript:window.fallen=1) $x^2$ :red[r] `c` <b>h</b> ~~s~~ | # &lt;i&gt;"
TEMPLATE = "{a} {b|c} {{d}} %s {e.__class__} \\n"
FORMULA = "=cmd|' /C calc'!A0"
NASTY = (SCRIPT, IMAGE, MARKDOWN, TEMPLATE, FORMULA)
TOLD = ("shelve_reason", "comment", "closed_by", "acknowledged_by", "source", "line", "meter")
LONELY = "990400"
"""A region without enterprises."""


def settle(settings: Settings) -> None:
    """Lay the tables and write the province, every name and every word of a person spoilt in turn."""
    at = watched.now()
    incidents = watched.incidents(at)
    watched.settle(settings, at)
    watched.write(
        settings,
        {
            "region": _more_regions(_spoilt(tables(at)["region"], "name", "name_en").assign(position=90)),
            "enterprise": _spoilt(tables(at)["enterprise"], "name", "name_en").assign(position=90),
            "point": _spoilt(tables(at)["point"], "name", "name_en").assign(position=90),
            "incident": _spoilt(incidents, *TOLD).assign(
                revision=90, evidence=[_evidence(word) for word in NASTY]
            ),
            "manual_entry": _spoilt(_entries(), "by", "why"),
            "incident_event": pd.DataFrame([_event(n, word) for n, word in enumerate(NASTY)]),
        },
    )


def _entries() -> pd.DataFrame:
    """Give an entry of each enterprise for each of the words."""
    at = str(watched.now())
    rows = [(code, n) for code in tables()["enterprise"]["enterprise"] for n in range(len(NASTY))]
    given = {
        "point": "P01",
        "read_at": at,
        "sent": 1,
        "sent_unit": "kWh",
        "by": "",
        "at": at,
        "why": "",
        "known_at": at,
    }
    return pd.DataFrame([{"enterprise": code, "position": 950 + n, "item": 0, **given} for code, n in rows])


def _spoilt(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Put one of the words at both ends of the texts of some columns: formulas begin a text, markup ends one."""
    words = [NASTY[n % len(NASTY)] for n in range(len(frame))]
    changed = {
        name: [f"{word}{told}{word}" for word, told in zip(words, frame[name], strict=True)]
        for name in columns
    }
    return frame.assign(**changed)


def _more_regions(frame: pd.DataFrame) -> pd.DataFrame:
    last = {
        "region": LONELY,
        "name": "空市",
        "name_en": "Emptytown",
        "parent": "990000",
        "row": 3,
        "column": 3,
    }
    return pd.concat([frame, pd.DataFrame([last | {"position": 90}])], ignore_index=True)


def _evidence(word: str) -> str:
    given = {"value": word, "line": word, "reason": word, "seconds": word, "count": word}
    return json.dumps(
        [{"code": code, "at_ms": 1_700_000_000_000, "parameters": given} for code in ("LINE_DOWN", word)]
    )


def _event(n: int, word: str) -> dict[str, object]:
    return {
        "enterprise": watched.incidents(watched.now())["enterprise"].iloc[0],
        "incident": STOOD_STILL,
        "position": 900 + n,
        "item": 0,
        "at": str(watched.now()),
        "what": ("closed", word)[n % 2],
        "by": word,
        "cause": 203,
        "parameters": json.dumps(
            {"reason": word, "evidence": word} if n % 2 else {"reason": word, "until_s": word}
        ),
    }
