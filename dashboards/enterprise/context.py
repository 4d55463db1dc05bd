"""What one run of the page knows before it draws: reader, filters, words, look and catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import pandas as pd

from dashboards.data import Asker
from dashboards.filters import TOTAL, Filters, choice
from dashboards.i18n import Text
from dashboards.ui.theme import Item, Theme, item_order, items
from nengliu.domain.scope import Scope

GAUGE = "gauge"


@dataclass(frozen=True)
class Context:
    """Everything the parts of the page share; made once per run, never changed."""

    asker: Asker
    filters: Filters
    text: Text
    theme: Theme
    name: str
    simulated: bool
    first_at: datetime | None
    last_at: datetime | None
    points: pd.DataFrame

    @property
    def scope(self) -> Scope:
        """Give within whose scope everything is asked."""
        return self.asker.scope

    @cached_property
    def key(self) -> str:
        """Give what tells two runs apart; drawings are cached by it."""
        return repr(
            (self.asker, self.filters, self.text.language, self.theme.dark, self.seen, len(self.points))
        )

    @property
    def seen(self) -> tuple[datetime | None, datetime | None]:
        """Give the first and the newest reading of the enterprise."""
        return self.first_at, self.last_at

    @cached_property
    def point(self) -> str:
        """Give the chosen point, the first one of the list if the address names none that exists."""
        known = list(self.points["point"])
        return choice(self.filters.point, known, known[0] if known else "")

    @property
    def energy(self) -> str:
        """Give the chosen item of the bars, all energy by default."""
        return choice(self.filters.energy, self.boundary_items, TOTAL)

    @cached_property
    def boundary_items(self) -> list[str]:
        """Give the items that are metered at the boundary, in the order of the code list."""
        rows = self.points[(self.points["metering_level"] == 1) & (self.points["kind"] != GAUGE)]
        return sorted(rows["item"].unique(), key=item_order)

    def point_row(self, point: str) -> pd.Series:
        """Give the definition of a point."""
        return self.points[self.points["point"] == point].iloc[0]

    @cached_property
    def point_names(self) -> dict[str, str]:
        """Give point -> name in the reader's language; a name used twice gets its id."""
        names = {
            str(row.point): self.text.either(str(row.name_zh), str(row.name_en)) or str(row.point)
            for row in self.points.rename(columns={"name": "name_zh"}).itertuples()
        }
        twice = {n for n in names.values() if list(names.values()).count(n) > 1}
        return {p: f"{n} ({p})" if n in twice else n for p, n in names.items()}

    def item_name(self, item: str) -> str:
        """Give the name of an item in the reader's language."""
        return item_name(self.text, item)


def item_name(text: Text, slug: str) -> str:
    """Give the name of an item of the code list; the code itself where the list lacks it."""
    item: Item | None = items().get(slug)
    return text.either(item.zh, item.en) if item else slug
