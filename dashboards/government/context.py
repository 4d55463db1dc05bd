"""What one run of a government page knows before it draws: frame, places and filters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import urlencode

import streamlit as st

from dashboards.charts.base import Ink
from dashboards.data import Asker
from dashboards.government.filters import Filters, read, sentences
from dashboards.government.places import Places, places, prefix
from dashboards.i18n import DEFAULT, Text
from dashboards.ui import parts
from dashboards.ui.frame import Frame
from dashboards.ui.theme import Theme
from nengliu.domain.scope import Scope


@dataclass(frozen=True)
class Context:
    """Everything the parts of a page share; made once per run, never changed."""

    frame: Frame
    known: Places
    filters: Filters

    @property
    def text(self) -> Text:
        """Give the words of the reader's language."""
        return self.frame.text

    @property
    def theme(self) -> Theme:
        """Give the tokens of the look."""
        return self.frame.theme

    @property
    def ink(self) -> Ink:
        """Give the words and colours of charts."""
        return Ink(self.text, self.theme)

    @property
    def asker(self) -> Asker:
        """Give the way to ask within the reader's scope."""
        return self.frame.asker

    @property
    def region(self) -> str:
        """Give the digits of the region the page speaks of."""
        return prefix(self.filters.region) or self.known.root

    @property
    def of_root(self) -> Context:
        """Give the same view of everything the reader may see, all regions and industries."""
        return replace(self, filters=replace(self.filters, region="", industry=""))

    @property
    def scope(self) -> Scope:
        """Give within whose scope everything is asked."""
        return self.asker.scope

    @cached_property
    def key(self) -> str:
        """Give what tells two runs apart; what is drawn is cached by it."""
        return repr((self.asker, self.filters, self.text.language, self.theme.dark))

    def address(self, page: str = "", **changes: str) -> str:
        """Give the address of this view with some parameters changed; an empty value leaves one out."""
        filters = self.filters
        query = {
            "region": filters.region,
            "industry": filters.industry,
            "month": f"{filters.month:%Y-%m}",
            "period": str(filters.reach),
            "compare": str(filters.against),
            "lang": "" if self.text.language == DEFAULT else self.text.language,
        }
        given = {name: value for name, value in {**query, **changes}.items() if value}
        return f"{page}?{urlencode(given)}"


def context_of(frame: Frame) -> Context | None:
    """Read the context of this run; where there is nothing to draw yet, say so and give None."""
    text = frame.text
    known = places(frame.asker)
    if known.coverage.empty:
        parts.state("∅", text("state.empty"), text("state.empty_hint"), ["nengliu demo", "nengliu import"])
        return None
    if not known.months:
        parts.state("◌", text("choice.nothing_heard"), text("choice.nothing_heard_hint"), ["nengliu doctor"])
        return None
    context = Context(frame, known, read(st.query_params.to_dict(), known))
    for sentence in sentences(context.filters, text):
        st.html(parts.remark(sentence))
    return context
