"""What one run of the page knows before it draws: for which enterprise, which part, and which points it has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from dashboards.data import Asker
from dashboards.i18n import Text
from dashboards.ui.frame import Frame
from nengliu.analysis.forms.values import can_take, points_of
from nengliu.domain.points import Point

VALUES, FIGURES = "values", "figures"
PARTS = (VALUES, FIGURES)


@dataclass(frozen=True)
class Context:
    """Everything the parts of the page share; made once per run, never changed."""

    frame: Frame
    asker: Asker
    enterprise: str
    name: str
    part: str

    @property
    def text(self) -> Text:
        """Give the words of the reader's language."""
        return self.frame.text

    @property
    def is_chinese(self) -> bool:
        """Say whether forms are written in Chinese."""
        return self.text.language.startswith("zh")

    @cached_property
    def points(self) -> list[Point]:
        """Give the points of the enterprise that take entries."""
        answer = self.asker.ask("definitions", enterprise=self.enterprise)
        return [point for point in points_of(answer["definition"]) if can_take(point)]

    def point_name(self, point: Point) -> str:
        """Name a point with its id."""
        name = self.text.either(point.name, point.name_en) or point.point
        return name if name == point.point else f"{name} ({point.point})"
