"""Interface text: one catalogue per language, keys in the code, never text.

A language's catalogue is every file of `locale/` that bears its name: `zh_CN.toml`, `login.zh_CN.toml` and so on, one
per room; a test keeps them complete.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

DEFAULT = "zh_CN"
LANGUAGES = ("zh_CN", "en")
_CODES = {"zh_CN": "zh-CN", "en": "en"}
_FOLDER = Path(__file__).with_name("locale")


@cache
def load(language: str) -> dict[str, Any]:
    """Read the catalogue of a language as nested tables; no two files have a table in common."""
    found: dict[str, Any] = {}
    for file in sorted(_FOLDER.glob(f"*{language}.toml")):
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
        if twice := found.keys() & tables.keys():
            raise ValueError(f"{file.name}: {', '.join(sorted(twice))} already in another file")
        found |= tables
    return found


@cache
def flat(language: str) -> dict[str, str]:
    """Give all texts of a language by dotted key, the tables of unit scales left out."""
    found: dict[str, str] = {}

    def walk(prefix: str, table: dict[str, Any]) -> None:
        for name, value in table.items():
            if isinstance(value, dict):
                walk(f"{prefix}{name}.", value)
            elif isinstance(value, str):
                found[prefix + name] = value

    walk("", load(language))
    return found


@dataclass(frozen=True, slots=True)
class Text:
    """The words of one language.

    >>> Text("en")("period.day")
    'Day'
    """

    language: str = DEFAULT

    def __call__(self, key: str, **values: object) -> str:
        """Give the text of a key with its `{placeholders}` filled."""
        template = flat(self.language)[key]
        return template.format(**values) if values else template

    def get(self, key: str, default: str) -> str:
        """Give the text of a key, or `default` where the catalogue has none (codes from data)."""
        return flat(self.language).get(key, default)

    def either(self, chinese: str, english: str) -> str:
        """Choose between two names that came with the data; the other where one is empty."""
        first, second = (chinese, english) if self.language == DEFAULT else (english, chinese)
        return first or second

    def scales(self, unit: str) -> list[tuple[float, str]]:
        """Give the larger units numbers are read in: (size in `unit`, label), smallest first."""
        table: dict[str, list[list[Any]]] = load(self.language)["scale"]
        return [(float(size), str(label)) for size, label in table.get(unit, [])]


def choose(asked: str | None) -> str:
    """Choose the language: what the address asks for, else Chinese.

    The browser's wish is not followed on purpose: the same address shows the same page to everyone.

    >>> choose("en"), choose("zh"), choose(None), choose("xx")
    ('en', 'zh_CN', 'zh_CN', 'zh_CN')
    """
    if asked is None:
        return DEFAULT
    short = asked.replace("-", "_").lower()
    return next((code for code in LANGUAGES if code.lower() == short or code.split("_")[0] == short), DEFAULT)


def html_code(language: str) -> str:
    """Give the code of a language for ``<html lang>``."""
    return _CODES[language]


def current_text() -> Text:
    """Give the words of the language this session's address asks for."""
    return Text(choose(st.query_params.get("lang")))
