"""Runs the real page on the fixture's answers: ``python -m tests.dashboards.fake_server PORT [ISO-TIME|none]``."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from streamlit.web.cli import main

from dashboards import data, launch
from nengliu.settings import Settings
from tests.dashboards.fake import FakeQuestions, NoStore
from tests.dashboards.plant import UNTIL, tables


def serve(port: int, until: str) -> None:
    """Serve the page; never returns."""
    questions = NoStore() if until == "none" else FakeQuestions(tables(datetime.fromisoformat(until)))
    data.open_store = lambda settings: questions
    arguments = launch.command(Settings(home=Path("/nonexistent"), port=port))
    sys.argv = ["streamlit", *arguments[3:]]
    main()


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else UNTIL.isoformat())
