"""Words of the page: why a row was refused, what became of an entry, how an amount is written."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from html import escape
from typing import Any

import pandas as pd

from dashboards.formats import DASH, unit_label
from dashboards.i18n import Text
from dashboards.incidents.words import reason_sentence
from dashboards.ui import parts
from nengliu.analysis.forms.production import measures
from nengliu.domain.quality import Reason
from nengliu.errors import ContractError
from schemas.messages import RejectedRow

SHOWN = 12
"""Mistakes of a form that are shown; the head says how many there are."""
STATES = {
    "counts": ("good", "●"),
    "beside": ("flat", "◐"),
    "corrected": ("flat", "⇄"),
    "refused": ("bad", "✕"),
    "waiting": ("warn", "◷"),
}


def why(text: Text, reason: str, parameters: dict[str, str]) -> str:
    """Say why something was refused, in the sentence of the code list."""
    return reason_sentence(text, reason).format_map(defaultdict(lambda: DASH, parameters))


def sentence(text: Text, one: RejectedRow) -> str:
    """Say why a value was refused."""
    return _why(text, one)


def rejected(error: ContractError, point: str, got: str) -> RejectedRow:
    """Make of an error what a form says of a row."""
    return RejectedRow(0, int(Reason[error.reason]), point, got, error.parameters)


def moved(one: RejectedRow, row: int) -> RejectedRow:
    """Give a mistake the number its row has in the file."""
    return RejectedRow(row, one.reason, one.point, one.text, one.parameters)


def mistakes(text: Text, rejected: Sequence[RejectedRow]) -> str:
    """Give the mistakes of a form, row by row."""
    rows = "".join(
        f"<tr><td>{one.row}</td><td class='n w l'>{escape(_why(text, one))}</td>"
        f"<td class='n h l'>{escape(one.text)}</td></tr>"
        for one in rejected[:SHOWN]
    )
    heads = (
        (text("entry.row"), ""),
        (text("entry.mistake"), " class='l'"),
        (text("entry.text"), " class='h l'"),
    )
    head = "".join(f"<th{kind}>{escape(words)}</th>" for words, kind in heads)
    said = escape(text("entry.refused", n=f"{len(rejected):,}"))
    table = f'<table class="nl-tab"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
    return f'<p class="nl-notice" role="alert">{said}</p><div class="nl-scroll">{table}</div>'


def _why(text: Text, one: RejectedRow) -> str:
    parameters = {"point": one.point} | one.parameters
    if "field" in parameters:
        parameters["field"] = text.get(f"entry.column_{parameters['field']}", parameters["field"])
    return why(text, Reason(one.reason).name, parameters)


def state(text: Text, row: dict[str, Any]) -> str:
    """Give what became of an entry as a pill; for a refused one why, for one beside the automatic value that."""
    name = str(row["state"])
    pill = parts.pill(*STATES[name], text(f"entry_state.{name}"))
    more = detail(text, row)
    return f'{pill}<span class="q">{escape(more)}</span>' if more else pill


def detail(text: Text, row: dict[str, Any]) -> str:
    """Say what is to be said of the state of an entry; nothing of one that simply counts."""
    if row["state"] == "refused":
        return why(text, str(row["reason"]), json.loads(str(row["parameters"]) or "{}"))
    if row["state"] == "beside":
        told = amount(text, row["automatic"], str(row["automatic_unit"]), int(row["automatic_decimals"]))
        return text("entry.automatic_told", value=told)
    return ""


def amount(text: Text, value: float, unit: str, decimals: int) -> str:
    """Write a value with the digits it was sent with, and its unit."""
    return f"{value:,.{decimals}f} {unit_label(text, unit)}".strip()


def figure_name(text: Text, measure: str, product: str) -> str:
    """Name a figure of production, with its product."""
    known = measures()[measure]
    name = text.either(known.zh, known.en)
    return text("entry.of_product", measure=name, product=product) if product else name


def figure(value: float | None) -> str:
    """Write a figure of production with the digits it has, thousands parted; a dash for one that was taken back."""
    return DASH if value is None or pd.isna(value) else f"{Decimal(repr(float(value))).normalize():,f}"


def plain(value: float | None) -> str:
    """Write a figure of production as it stands in a form; nothing for one that was taken back."""
    return "" if value is None or pd.isna(value) else f"{Decimal(repr(float(value))).normalize():f}"
