"""The filters of the desk: read from the address, checked, wrong ones replaced by the nearest that exists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dashboards.government.places import Places, prefix
from dashboards.incidents.words import CLASSES, causes

STATES = ("open", "active_unack", "active_ack", "cleared_unack", "shelved", "closed", "all")
ORDERS = ("severity", "newest")
PAGE_ROWS = 20
LONGEST_TEXT = 60
LAST_PAGE = 5000  # 100,000 incidents; beyond it an address was made up
_CHECKED = ("state", "class", "cause", "region", "industry", "order", "page")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which incidents are wanted; every field but the last two is a parameter of the address.

    Parameters
    ----------
    wrong
        Words of the address that name nothing; what they should have chosen is left open.
    foreign
        Whether the address names an enterprise the reader has no part in, or none at all.
    """

    state: str = "open"
    kind: str = ""
    cause: int = 0
    region: str = ""
    industry: str = ""
    enterprise: str = ""
    text: str = ""
    order: str = "severity"
    page: int = 1
    wrong: tuple[str, ...] = ()
    foreign: bool = False

    @property
    def narrow(self) -> dict[str, str]:
        """Give the limits all questions of the desk share."""
        return {"enterprise": self.enterprise, "region": prefix(self.region), "industry": self.industry}

    @property
    def listed(self) -> dict[str, Any]:
        """Give the parameters of the queue, all pages."""
        return {
            **self.narrow,
            "class": self.kind,
            "cause": self.cause,
            "state": self.state,
            "text": self.text,
            "newest": int(self.order == "newest"),
        }

    @property
    def hidden(self) -> int:
        """Count the filters that are set and not seen at a glance."""
        return sum(map(bool, (self.cause, self.region, self.industry, self.enterprise)))


def read(query: Mapping[str, str], codes: tuple[str, ...], known: Places) -> Wanted:
    """Read the filters.

    Parameters
    ----------
    query
        Parameters of the address.
    codes
        Enterprises the reader may see.
    known
        Regions and industries there are to choose from.
    """
    cause, page = _whole(query.get("cause", "")), _whole(query.get("page", "1"))
    found = Wanted(
        state=_one_of(query.get("state", ""), STATES),
        kind=_among(query.get("class", ""), tuple(CLASSES)),
        cause=cause if cause in causes() else 0,
        region=_among(query.get("region", ""), tuple(known.children)),
        industry=_among(query.get("industry", ""), tuple(known.industries)),
        enterprise=_among(query.get("enterprise", ""), codes),
        text=" ".join(query.get("text", "").split())[:LONGEST_TEXT],
        order=_one_of(query.get("order", ""), ORDERS),
        page=min(max(page, 1), LAST_PAGE),
    )
    taken = {"state": found.state, "class": found.kind, "cause": str(found.cause), "region": found.region}
    taken |= {"industry": found.industry, "order": found.order, "page": str(found.page)}
    wrong = tuple(query[name] for name in _CHECKED if query.get(name) and query[name] != taken[name])
    return replace(found, wrong=wrong, foreign=bool(query.get("enterprise")) and not found.enterprise)


def _one_of(given: str, known: tuple[str, ...]) -> str:
    return given if given in known else known[0]


def _among(given: str, known: tuple[str, ...]) -> str:
    return given if given in known else ""


def _whole(given: str) -> int:
    """Give a whole number, 0 for anything else."""
    return int(given) if given.isascii() and given.isdigit() and len(given) < 9 else 0
