"""Texts, numbers, periods and filters."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
import string
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

import dashboards
from dashboards import filters, formats, i18n, periods
from dashboards.i18n import LANGUAGES, Text

ROOT = Path(dashboards.__file__).parent
SOURCES = [f for f in sorted(ROOT.rglob("*.py")) if "__pycache__" not in f.parts]
CHINESE = re.compile(r"[\u3400-\u9fff]")
# These keys are built from codes; every one of the family is used.
FAMILIES = (
    *("age", "alt", "basis", "card", "column", "compare", "complete", "heat.step", "kind", "kpi", "old"),
    *("period", "quality", "source", "numbers", "language", "link", "reason", "nav", "role", "held"),
    *("choice", "reach", "against", "versus", "grade", "ranking.by", "ranking.measure", "overview.column"),
    "overview.table",
    *(
        "entry.column",
        "entry.foot",
        "entry.hint",
        "entry.list",
        "entry.part",
        "entry.side",
        "entry.template",
        "entry.way",
    ),
    "entry_",
    *("incident_", "incident.arrived", "incident.means", "incident.view", "incidents.by", "incidents.common"),
    *(
        "incidents.order",
        "incidents.per",
        "incidents.top",
        "revision",
        "trust",
        "incident.begin",
        "incident.end",
    ),
)


def strings(file: Path) -> Iterator[tuple[ast.AST, str]]:
    """Give each text constant of a module, an f-string joined over its holes; docstrings left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            parts = [v.value if isinstance(v, ast.Constant) else "\0" for v in node.values]
            skipped |= {id(v) for v in node.values}
            yield node, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            yield node, node.value


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_catalogues_of_both_languages_are_complete() -> None:
    """Every text exists in both languages, is not empty, and takes the same parameters."""
    chinese, english = (i18n.flat(language) for language in LANGUAGES)
    assert chinese.keys() == english.keys()
    for key in chinese:
        assert placeholders(chinese[key]) == placeholders(english[key]), key
        assert key == "unit.1" or (chinese[key] and english[key]), key


def test_catalogue_of_english_holds_no_chinese_but_its_name() -> None:
    """English texts are English."""
    found = {key for key, text in i18n.flat("en").items() if CHINESE.search(text)}
    assert found == {"language.zh_CN"}


@pytest.mark.parametrize("file", SOURCES, ids=lambda f: str(f.relative_to(ROOT)))
def test_source_holds_no_text_of_the_interface(file: Path) -> None:
    """What people read lies in the catalogues: no Chinese in code, no words between tags."""
    for node, text in strings(file):
        assert not CHINESE.search(text), (getattr(node, "lineno", 0), text)
        if file.name == "css.py" or "<" not in text or "svg" in text or "__streamlit" in text:
            continue
        bare = re.sub(r"&\w+;", " ", re.sub(r"<[^>]*>", " ", text)).replace("\0", "")
        assert not re.search(r"[A-Za-z]{2,}", bare), (getattr(node, "lineno", 0), text)


def test_widgets_of_the_pages_take_their_words_from_the_catalogue() -> None:
    """No label, title or help of a Streamlit command is written in the code."""
    commands = {
        *("button", "selectbox", "segmented_control", "date_input", "popover", "caption", "download_button"),
        *("markdown", "write", "title", "header", "subheader", "toggle", "error", "warning", "info"),
    }
    for file in SOURCES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                continue
            first = node.args[0]
            if node.func.attr in commands and isinstance(first, ast.Constant):
                assert str(first.value).startswith(":material/"), (file.name, node.lineno)


def test_keys_in_the_code_exist_and_no_text_is_left_over() -> None:
    """Every key that is asked for exists; every text that exists is asked for."""
    known = set(i18n.flat("zh_CN"))
    asked = {text for file in SOURCES for _, text in strings(file)}
    keyed = {text for text in asked if re.fullmatch(r"[a-z_]+\.[a-zA-Z_0-9]+", text)}
    called = set()
    for file in SOURCES:
        called |= set(re.findall(r'\btext\("([a-z_.A-Z0-9]+)"', file.read_text(encoding="utf-8")))
    assert called <= known
    left = {k for k in known - keyed - called if not k.startswith(FAMILIES) and not k.startswith("unit.")}
    assert not left


def test_modules_of_the_room_keep_their_examples() -> None:
    """The examples in the docstrings are true."""
    tried = 0
    for module in pkgutil.walk_packages(dashboards.__path__, "dashboards."):
        if module.name.startswith(("dashboards.pages.", "dashboards.app", "dashboards.server")):
            continue
        result = doctest.testmod(importlib.import_module(module.name))
        assert result.failed == 0, module.name
        tried += result.attempted
    assert tried >= 10


@pytest.mark.parametrize(
    ("language", "unit", "value", "expected"),
    [
        ("zh_CN", "kWh", 9999.0, ("9,999", "kWh")),
        ("zh_CN", "kWh", 12_345_678.0, ("1,235", "万kWh")),
        ("en", "kWh", 12_345_678.0, ("12.35", "GWh")),
        ("zh_CN", "kgce", 5_040.0, ("5.04", "tce")),
        ("zh_CN", "furlong", 1.0, ("1.00", "furlong")),
        ("en", "kWh", float("nan"), (formats.DASH, "kWh")),
        ("en", "kWh", None, (formats.DASH, "kWh")),
        ("en", "kWh", -2_500.0, ("-2.50", "MWh")),
    ],
)
def test_amount_of_any_size_takes_the_unit_of_its_language(
    language: str, unit: str, value: float | None, expected: tuple[str, str]
) -> None:
    """Numbers are read in wan and yi in Chinese, in SI prefixes in English."""
    assert formats.amount(Text(language), value, unit) == expected


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        (timedelta(seconds=30), "just now"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(days=40), "40 days ago"),
        (timedelta(days=2900), "7 years ago"),
    ],
)
def test_age_of_any_length_is_written_in_its_unit(passed: timedelta, expected: str) -> None:
    """Ages are written in the unit people would use."""
    assert formats.age(Text("en"), passed) == expected


def test_percent_just_below_whole_is_not_rounded_up() -> None:
    """Completeness is 100 % only when nothing is missing."""
    assert formats.percent(0.999_99) == "99.9%"
    assert formats.percent(1.0) == "100%"


def test_shift_over_months_keeps_the_day_where_it_exists() -> None:
    """The last of March goes to the last of February, a leap year included."""
    assert periods.shift(periods.Grain.MONTH, date(2024, 3, 31), -1) == date(2024, 2, 29)
    assert periods.shift(periods.Grain.YEAR, date(2024, 2, 29), 1) == date(2025, 2, 28)
    assert periods.shift(periods.Grain.MONTH, date(2025, 12, 15), 1) == date(2026, 1, 15)


def test_span_of_each_grain_is_half_open() -> None:
    """Periods are half-open and begin at China midnight."""
    span = periods.span_of(periods.Grain.MONTH, date(2026, 12, 5))
    assert (span.first, span.after, span.days) == (date(2026, 12, 1), date(2027, 1, 1), 31)
    assert span.start.isoformat() == "2026-12-01T00:00:00+08:00"


def test_filters_with_foreign_enterprise_fall_back_to_the_first() -> None:
    """A code the reader may not see is not even tried."""
    found = filters.read({"enterprise": "B", "days": "7"}, ["A"], {"A": date(2026, 1, 2)})
    assert (found.enterprise, found.day, found.days) == ("A", date(2026, 1, 2), 7)
