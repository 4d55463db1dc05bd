"""`nengliu acquire events`: what collectors saw that is no value, as sentences, newest first."""

from __future__ import annotations

import csv
import functools
import json
import time
from collections import defaultdict
from contextlib import closing
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from nengliu import settings as settings_of
from nengliu.cli.language import examples, language, say
from nengliu.cli.query import FORMATS, show
from nengliu.domain.scope import SYSTEM
from nengliu.errors import InputError

HOUR_MS = 3_600_000


@click.command(help=say("acquire.events"), epilog=examples("acquire_events"))
@click.option("--enterprise", default="", help=say("sources.events_of"))
@click.option(
    "--hours", type=click.IntRange(1), default=24, show_default=True, help=say("sources.events_hours")
)
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help=say("sources.events_limit")
)
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", help=say("option.format"))
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help=say("option.output"))
def events(enterprise: str, hours: int, limit: int, form: str, output: Path | None) -> None:
    """Show link events of the last hours."""
    from nengliu import storage

    if form == "xlsx" and output is None:
        raise InputError(say("error.xlsx_needs_file"))
    end = time.time_ns() // 1_000_000 + 60_000
    start = end - hours * HOUR_MS
    with closing(storage.connect(settings_of.load())) as client:
        asked = partial(storage.ask, client, "link_events", SYSTEM, enterprise=enterprise)
        rows = asked(start=start, end=end, limit=limit).to_pylist()
    names = say("sources.events_columns").split("|")
    cells = [(row["at"], row["source"], row["line"], row["meter"], said(row)) for row in rows]
    columns = list(zip(*cells, strict=True)) or [()] * len(names)
    show(pa.table(dict(zip(names, map(list, columns), strict=True))), form, output)


def said(event: dict[str, Any]) -> str:
    """Say an event of `link_events` as a sentence in the reader's language.

    >>> said({"kind": "LINE_UP", "line": "north", "meter": "", "parameters": "{}"}) in (
    ...     "The line north can be reached", "线路 north 恢复")
    True
    """
    told = json.loads(event["parameters"] or "{}") | {"line": event["line"], "meter": event["meter"]}
    return _sentences()[event["kind"]][language()].format_map(defaultdict(lambda: "?", told))


@functools.cache
def _sentences() -> dict[str, dict[str, str]]:
    text = resources.files("schemas").joinpath("codes/links.csv").read_text(encoding="utf-8")
    return {row["code"]: row for row in csv.DictReader(text.splitlines())}
