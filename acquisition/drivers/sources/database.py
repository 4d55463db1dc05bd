"""Pages of a query: the only place that speaks SQL.

The query of the user is wrapped, never changed: ``SELECT * FROM (query) WHERE watermark >=
... ORDER BY watermark``, in the manner of each database.  Each page opens a connection of its own
and closes it: a database that was restarted is no event of ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from acquisition.drivers.sources.plans import FeedPlan, SqlTable
from acquisition.drivers.sources.watermark import Watermark
from nengliu.errors import InputError, LinkError


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in the order of the watermark; `names` are the columns."""

    names: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]


class Database:
    """A database and the query that is asked of it.

    Raises
    ------
    InputError
        The URL is none, or the package of its driver is missing; the message names it.
    """

    def __init__(self, plan: FeedPlan) -> None:
        assert isinstance(plan.told, SqlTable)
        self._told, self._where = plan.told, f"feed {plan.name}"
        self._engine = self._opened(plan)
        self._source = sa.text(plan.told.query).columns().subquery("source")

    def page(self, since: Watermark | None, rows: int) -> Page | LinkError:
        """Give the first `rows` rows from `since` on; failures come as a value.

        A thread runs this: see `acquisition.drivers.errand`.
        """
        mark: sa.ColumnClause[object] = sa.column(self._told.watermark)
        asked = sa.select(sa.text("*")).select_from(self._source).where(mark.is_not(None))
        if since is not None:
            asked = asked.where(mark >= sa.bindparam("since", since))
        try:
            with self._engine.connect() as connection:
                found = connection.execute(asked.order_by(mark).limit(rows))
                return Page(tuple(found.keys()), [tuple(row) for row in found])
        except DBAPIError as error:
            return self._lost(str(error.orig))
        except (SQLAlchemyError, OSError, ValueError) as error:
            return self._lost(str(error))

    def _lost(self, got: str) -> LinkError:
        told = f"{self._where}: expected rows of its query, got: {got}; try the query at the database"
        return LinkError("LINE_DOWN", told, got=" ".join(got.split()))

    def _opened(self, plan: FeedPlan) -> sa.Engine:
        try:
            url = sa.make_url(self._told.url)
            url.get_dialect().import_dbapi()
            if url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:"):
                file = quote(str(plan.path(str(url.database)).absolute()))
                url = url.set(database=f"file:{file}").update_query_dict({"mode": "ro", "uri": "true"})
            if self._told.password_file:
                url = url.set(password=plan.password())
            return sa.create_engine(url, poolclass=sa.NullPool)
        except ArgumentError:  # its words may hold the password
            told = f"{self._where}: url: expected dialect+driver://user@host/database, got {self._told.url!r}"
            raise InputError(told) from None
        except (NoSuchModuleError, ImportError) as error:
            told = f"{self._where}: url: {error}; install the driver of that database beside nengliu"
            raise InputError(told) from error
