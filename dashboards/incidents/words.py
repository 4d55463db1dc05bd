"""Words of an incident: cause, class, state, place and evidence, made from codes in the reader's language."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

import pandas as pd

from dashboards.formats import DASH, stamp, unit_label
from dashboards.i18n import Text
from dashboards.ui.parts import pill
from nengliu.domain.quality import Quality
from nengliu.domain.times import CHINA

Row = dict[str, Any]
CLASSES = {"link": "⇄", "meter": "◎", "configuration": "≠", "power": "↯"}
SEVERITIES = {1: ("bad", "■"), 2: ("warn", "▲"), 3: ("good", "●")}
STATES = {
    "active_unack": ("bad", "○"),
    "active_ack": ("flat", "✓"),
    "cleared_unack": ("good", "◌"),
    "shelved": ("warn", "‖"),
    "closed": ("flat", "×"),
}
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?")  # with a leading zero it is a name
_AMOUNT = re.compile(r"(-?\d{1,18}(?:\.\d+)?) (\S{1,12})")
NAMED = 6  # members named in a line; the others are counted


@dataclass(frozen=True, slots=True)
class CauseWords:
    """One line of the code list of causes."""

    id: int
    code: str
    kind: str
    severity: int
    names: tuple[str, str]
    advice: tuple[str, str]


@cache
def causes() -> dict[int, CauseWords]:
    """Read the code list of causes, by number."""
    return {
        int(row["id"]): CauseWords(
            int(row["id"]),
            row["code"],
            row["class"],
            int(row["severity"]),
            (row["zh"], row["en"]),
            (row["advice_zh"], row["advice_en"]),
        )
        for row in _read("causes.csv")
    }


@cache
def evidences() -> dict[str, tuple[str, str]]:
    """Read the code list of evidence: the sentence of each code in Chinese and English."""
    return {row["code"]: (row["zh"], row["en"]) for row in _read("evidence.csv")}


def _read(name: str) -> list[dict[str, str]]:
    source = files("schemas").joinpath("codes", name).read_text(encoding="utf-8")
    return list(csv.DictReader(source.splitlines()))


def cause_name(text: Text, cause: int) -> str:
    """Name a cause; a number the list does not know stands for itself."""
    known = causes().get(int(cause))
    return text.either(*known.names) if known else str(cause)


def advice(text: Text, cause: int) -> str:
    """Say what to do about a cause; nothing for one the list does not know."""
    known = causes().get(int(cause))
    return text.either(*known.advice) if known else ""


def class_pill(text: Text, kind: str) -> str:
    """Give the label of a class: shape, word and colour say the same."""
    return pill(f"of-{kind}" if kind in CLASSES else "flat", CLASSES.get(kind, ""), class_name(text, kind))


def class_name(text: Text, kind: str) -> str:
    """Name a class."""
    return text.get(f"incident_class.{kind}", kind)


def severity_pill(text: Text, severity: int) -> str:
    """Give the label of a severity."""
    kind, mark = SEVERITIES.get(int(severity), ("flat", ""))
    return pill(kind, mark, text.get(f"incident_severity.{severity}", str(severity)))


def state_of(row: Row) -> str:
    """Give the state that is shown: shelved hides the state below it."""
    return "shelved" if row["shelved"] else str(row["state"])


def state_name(text: Text, state: str) -> str:
    """Name a state."""
    return text.get(f"incident_state.{state}", state)


def state_pill(text: Text, state: str) -> str:
    """Give the label of a state."""
    return pill(*STATES.get(state, ("flat", "")), state_name(text, state))


def unit_name(text: Text, row: Row) -> str:
    """Name the enterprise of a row; its code where it has no name."""
    return text.either(str(row["name"] or ""), str(row["name_en"] or "")) or str(row["enterprise"])


def place(text: Text, row: Row) -> str:
    """Say where it is: the root with what it hangs on.

    >>> place(Text("en"), {"root": "meter", "source": "gw-1", "line": "rs485-1", "meter": "103", "point": ""})
    'Meter gw-1 / rs485-1 / 103'
    """
    root = str(row["root"])
    if root == "enterprise":
        return text("incident_root.enterprise")
    name = text.either(str(row.get("point_name") or ""), str(row.get("point_name_en") or ""))
    if root == "point":
        path = name or str(row["point"])
    else:
        path = " / ".join(str(row[level]) for level in ("source", "line", "meter") if row[level])
        path = f"{name} · {path}" if name and root == "meter" else path
    return f"{text.get(f'incident_root.{root}', root)} {path}".strip()


def folded(text: Text, row: Row) -> str:
    """Count what is folded under an incident; nothing for a single point."""
    count = len(row["members"])
    return text("incidents.members", n=f"{count:,}") if count > 1 else ""


def evidence_list(row: Row) -> list[Row]:
    """Give the evidence of an incident, newest last; nothing where the store holds no list."""
    try:
        found = json.loads(str(row["evidence"]) or "[]")
    except json.JSONDecodeError:
        return []
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def evidence_line(text: Text, row: Row) -> str:
    """Give the newest evidence in one sentence."""
    found = evidence_list(row)
    return evidence_words(text, found[-1]) if found else DASH


def evidence_words(text: Text, item: Row) -> str:
    """Write one piece of evidence; a code the list does not know stands with its parameters."""
    code, given = str(item.get("code", "")), item.get("parameters")
    values = (
        {str(name): written(text, str(name), value) for name, value in given.items()}
        if isinstance(given, dict)
        else {}
    )
    known = evidences().get(code)
    if known is None:
        return " ".join([code, *(f"{name}={value}" for name, value in values.items())])
    return text.either(*known).format_map(_Lenient(values))


class _Lenient(dict[str, str]):
    """Parameters of a sentence; one that is not given is a dash, never an error."""

    def __missing__(self, key: str) -> str:
        return DASH


def written(text: Text, name: str, value: object) -> str:
    """Write a parameter of evidence: instants, reasons, amounts with their unit, plain numbers.

    >>> given = (("since", "1773797400000"), ("value", "12345.60 m3"), ("meter", "07"), ("seconds", 14400))
    >>> [written(Text("en"), *each) for each in given]
    ['2026-03-18 09:30', '12,345.60 m³', '07', '4 h']
    """
    told = str(value)
    if name == "reason":
        return reason_words(text, told)
    if name == "quality":
        return _quality(text, told)
    if name == "seconds" and _NUMBER.fullmatch(told):
        return lasting(text, float(told))
    if found := _AMOUNT.fullmatch(told):
        return f"{_thousands(found[1])} {unit_label(text, found[2])}"
    if not _NUMBER.fullmatch(told):
        return told
    if float(told) > 1e11:
        return stamp(datetime.fromtimestamp(float(told) / 1000, UTC).astimezone(CHINA))
    return _thousands(told)


def lasting(text: Text, seconds: float) -> str:
    """Write a length of time in the largest unit that leaves at least two of it, with one decimal where it counts.

    >>> [lasting(Text("en"), s) for s in (20, 900, 4500, 107_100, 200_000, 864_000)]
    ['20 s', '15 min', '75 min', '29.8 h', '2.3 d', '10 d']
    """
    unit, size = next(
        (
            (unit, size)
            for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60))
            if seconds >= 2 * size
        ),
        ("seconds", 1),
    )
    return text(f"old.{unit}", n=f"{seconds / size:,.1f}".removesuffix(".0"))


def _thousands(figure: str) -> str:
    """Part the thousands of a number written out, its decimals as they are."""
    whole, dot, rest = figure.partition(".")
    return f"{int(whole):,}{dot}{rest}"


def reason_words(text: Text, reason: str) -> str:
    """Name a reason, given by its code or number: in the short words of the pages, else in those of the code list."""
    code = _reasons().get(reason, (reason,))[0]
    sentence = reason_sentence(text, reason).format_map(_Lenient())
    return text.get(f"reason.{code}", text.get(f"held.{code}", sentence))


def reason_sentence(text: Text, reason: str) -> str:
    """Give the sentence of the code list for a reason, its parameters open; its code where the list lacks it."""
    code, *names = _reasons().get(reason, (reason, "", ""))
    return text.either(*names) or code


@cache
def _reasons() -> dict[str, tuple[str, str, str]]:
    rows = _read("reasons.csv")
    return {row[key]: (row["code"], row["zh"], row["en"]) for row in rows for key in ("id", "code")}


def _quality(text: Text, quality: str) -> str:
    names = {str(member.value): member.name.lower() for member in Quality}
    return text.get(f"quality.{names.get(quality, quality.lower())}", quality)


def member_words(text: Text, row: Row, names: dict[str, str]) -> str:
    """Name the first members and count the others."""
    told = [names.get(str(point), str(point)) for point in row["members"]]
    more = text("link.more", n=len(told) - NAMED) if len(told) > NAMED else ""
    return text("list.join").join(told[:NAMED]) + more


def moment(when: object, at: datetime) -> str:
    """Write an instant without its year where that is the present one; a dash where there is none."""
    if not isinstance(when, datetime) or pd.isna(when):
        return DASH
    return stamp(when)[5:] if when.year == at.year else stamp(when)


def link(page: str, words: str, **query: str) -> str:
    """Give a link to a page of ours; words and parameters are escaped."""
    address = urlencode({name: value for name, value in query.items() if value})
    return f'<a href="{page}?{escape(address)}" target="_self">{escape(words)}</a>'
