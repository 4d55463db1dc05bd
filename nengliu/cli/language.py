"""What users read, in their language: text lies in `text/zh.toml` and `text/en.toml`, complete in both."""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Mapping
from importlib import resources

LANGUAGES = ("zh", "en")


def language(environ: Mapping[str, str] | None = None) -> str:
    """Choose zh or en: ``NENGLIU_LANG`` decides, else the language of the terminal, else English.

    >>> language({"LANG": "zh_CN.UTF-8"}), language({"LANG": "zh_CN", "NENGLIU_LANG": "en"}), language({})
    ('zh', 'en', 'en')
    """
    env = os.environ if environ is None else environ
    for name in ("NENGLIU_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if env.get(name):
            return "zh" if env[name].lower().startswith("zh") else "en"
    return "en"


def say(key: str, **parameters: object) -> str:
    """Give the sentence `key` (``section.name``) in the reader's language, with its parameters filled in."""
    return texts(language())[key].format(**parameters)


def examples(name: str) -> str:
    """Give the examples of a command as a block that click leaves as it is."""
    lines = say(f"example.{name}").split("  ·  ")
    return "\b\n" + "\n  ".join([say("help.examples"), *lines])


@functools.cache
def texts(code: str) -> dict[str, str]:
    """Read all sentences of one language, by ``section.name``."""
    text = resources.files("nengliu.cli").joinpath(f"text/{code}.toml").read_text(encoding="utf-8")
    return {
        f"{section}.{name}": value
        for section, rows in tomllib.loads(text).items()
        for name, value in rows.items()
    }
