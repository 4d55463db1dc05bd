"""The one style sheet (`sheet.css` and, after it, one file per room), filled with the tokens of a theme."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from pathlib import Path

from dashboards.ui.theme import Theme

_FOLDER = Path(__file__).parent


@cache
def sheet(theme: Theme) -> str:
    """Give the style element of a theme."""
    files = sorted(_FOLDER.glob("*.css"), key=lambda file: (file.name != "sheet.css", file.name))
    css = "\n".join(file.read_text(encoding="utf-8") for file in files)
    for field in fields(theme):
        value = getattr(theme, field.name)
        if isinstance(value, tuple):
            css = css.replace(f"@{field.name}0@", value[0]).replace(f"@{field.name}1@", value[1])
        else:
            css = css.replace(f"@{field.name}@", str(value))
    return f"<style>{css}</style>"
