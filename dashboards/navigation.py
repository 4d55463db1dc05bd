"""Which pages there are, and for whom: paths, roles and order of the top bar."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from dashboards.i18n import DEFAULT, Text

PAGES = Path(__file__).with_name("pages")
GOVERNMENT = ("operator", "analyst", "enforcement")
EVERYONE = (*GOVERNMENT, "enterprise")
WRITERS = ("operator", "enterprise")


@dataclass(frozen=True, slots=True)
class Place:
    """One page: its key names the file of `pages`, the texts and, with hyphens, the path.

    Parameters
    ----------
    key
        Name in the code.
    roles
        Who may open it.
    above
        Key of the page it is a part of; only pages without one stand in the bar.
    """

    key: str
    roles: tuple[str, ...]
    above: str = ""

    @property
    def path(self) -> str:
        """Path of the address."""
        return self.key.replace("_", "-")

    def page(self, text: Text) -> st.Page:
        """Give the page as Streamlit knows it; within a run only."""
        return st.Page(PAGES / f"{self.key}.py", title=text(f"nav.{self.key}"), url_path=self.path)


PLACES = (
    Place("gov_overview", GOVERNMENT),
    Place("gov_ranking", GOVERNMENT),
    Place("incidents", EVERYONE),
    Place("incident", EVERYONE, above="incidents"),
    Place("gov_quality", GOVERNMENT),
    Place("enterprise", EVERYONE),
    Place("entry", WRITERS),
)
START = {"analyst": "gov_overview", "operator": "gov_overview", "enforcement": "incidents"}


def places(role: str) -> tuple[Place, ...]:
    """Give the pages of a role in the order of the bar; none for a role nobody knows."""
    return tuple(place for place in PLACES if role in place.roles)


def start(role: str) -> Place:
    """Give the page a reader sees first.

    >>> start("enforcement").path, start("enterprise").path
    ('incidents', 'enterprise')
    """
    key = START.get(role, "enterprise")
    return next(place for place in PLACES if place.key == key)


def kept(text: Text) -> dict[str, str]:
    """Give the parameters of the address that go along to another page."""
    return {} if text.language == DEFAULT else {"lang": text.language}
