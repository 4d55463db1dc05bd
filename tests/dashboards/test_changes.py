"""The card of corrections: what changed after its time, by how much and why, to read and to take away."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from dashboards import data
from dashboards.data import Questions, Value
from nengliu.domain.scope import Scope
from nengliu.domain.times import CHINA
from tests.dashboards.conftest import PAGE
from tests.dashboards.plant import PLANT

AT = datetime(2026, 3, 10, tzinfo=CHINA)
ROWS = {
    "enterprise": [PLANT, PLANT],
    "point": ["E01", "G01"],
    "period_start": [AT, AT],
    "old": [1000.5, 20.0],
    "new": [1250.75, 20.0],
    "difference": [250.25, 0.0],
    "unit": ["kWh", "m3"],
    "coal_difference_kgce": [30.8, -1.5],
    "why": ["late,correction", "factor"],
    "position": [7, 8],
    "received_at": [AT, None],
    "known_at": [AT, AT],
}


class Corrected:
    """Answers as the plant's store does, with two corrections."""

    def __init__(self, inner: Questions) -> None:
        self.inner = inner
        self.wanted: Mapping[str, Value] = {}

    def ask(self, name: str, scope: Scope, as_of: date | None, parameters: Mapping[str, Value]) -> pa.Table:
        """Answer as the class says."""
        if name != "revisions":
            return self.inner.ask(name, scope, as_of, parameters)
        self.wanted = parameters
        times = {
            name: pa.timestamp("ms", "Asia/Shanghai") for name in ("period_start", "received_at", "known_at")
        }
        return pa.table({name: pa.array(values, times.get(name)) for name, values in ROWS.items()})


def shown(page: AppTest) -> str:
    """Give what a reader of the page is sent, styles left out."""
    assert not page.exception, page.exception
    return "\n".join(str(e.proto.body) for e in page.get("html") if "<style>" not in str(e.proto.body))


def test_corrections_stand_on_the_page_with_their_reasons(
    store: Questions, answering: pytest.MonkeyPatch
) -> None:
    """Two causes are two marks; where only the factor changed, the difference is one of coal."""
    corrected = Corrected(store)
    answering.setattr(data, "open_store", lambda settings: corrected)
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.query_params["enterprise"], page.query_params["lang"] = PLANT, "en"
    body = shown(page.run())
    assert "1,000.50</td><td class='h'>1,250.75</td><td>+250.25 <span class='q'>kWh</span>" in body
    assert "late data" in body
    assert "another value" in body
    assert "-1.5 <span class='q'>kgce</span>" in body
    assert corrected.wanted["settled_s"] == data.SETTLED_S


def test_corrections_can_be_taken_away(store: Questions, answering: pytest.MonkeyPatch) -> None:
    """The numbers behind the card are the same rows, with written columns and reasons."""
    answering.setattr(data, "open_store", lambda settings: Corrected(store))
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    page.query_params["enterprise"], page.query_params["lang"] = PLANT, "en"
    page.run()
    page.button(key="numbers_changes").click().run()
    (table,) = [element.value for element in page.dataframe]
    assert list(table["Why"]) == ["late data, another value", "factor"]
    assert list(table["Difference"]) == [250.25, 0.0]


def test_period_without_corrections_says_so(page: AppTest) -> None:
    """An empty list is good news, in one sentence."""
    page.query_params["enterprise"], page.query_params["lang"] = PLANT, "en"
    assert "No number of this period was corrected later" in shown(page.run())
