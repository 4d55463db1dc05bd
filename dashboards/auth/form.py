"""The page of the log-in, written from its template in the look of the product."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from html import escape
from pathlib import Path
from string import Template
from urllib.parse import urlencode

from dashboards.i18n import LANGUAGES, Text, html_code
from dashboards.ui.parts import logo
from dashboards.ui.theme import DARK, LIGHT, Theme


@dataclass(frozen=True, slots=True)
class Form:
    """What the form shows.

    Parameters
    ----------
    wanted
        Page to go on to.
    login
        Name that was typed before.
    said, trouble
        A sentence above the fields: what happened, or what is wrong.
    """

    wanted: str
    login: str = ""
    said: str = ""
    trouble: str = ""


def written(text: Text, form: Form) -> str:
    """Write the page of the log-in."""
    return _template().substitute(
        language=html_code(text.language),
        title=escape(text("login.title")),
        brand=escape(text("app.name")),
        product=escape(text("app.title")),
        logo=logo(),
        light=_variables(LIGHT),
        dark=_variables(DARK),
        notice=_notice(form),
        user=escape(text("login.user")),
        password=escape(text("login.password")),
        enter=escape(text("login.enter")),
        hint=escape(text("login.hint")),
        login=escape(form.login[:64]),
        languages=_languages(text, form),
    )


def _notice(form: Form) -> str:
    if form.trouble:
        return f'<p class="trouble" role="alert">{escape(form.trouble)}</p>'
    return f'<p class="said" role="status">{escape(form.said)}</p>' if form.said else ""


def _languages(text: Text, form: Form) -> str:
    links = []
    for code in LANGUAGES:
        words = escape(text(f"language.{code}"))
        address = escape(urlencode({"next": form.wanted, "lang": code}))
        links.append(
            f'<b aria-current="true">{words}</b>'
            if code == text.language
            else f'<a href="?{address}" hreflang="{html_code(code)}" lang="{html_code(code)}">{words}</a>'
        )
    return "".join(links)


def _variables(look: Theme) -> str:
    """Give the tokens of a theme as CSS variables; of a pair the text's colour and the ground's."""
    pairs = []
    for field in fields(look):
        value = getattr(look, field.name)
        if isinstance(value, tuple):
            pairs += [f"--{field.name}0:{value[0]}", f"--{field.name}1:{value[1]}"]
        elif isinstance(value, str):
            pairs.append(f"--{field.name}:{value}")
    return ";".join(pairs)


@cache
def _template() -> Template:
    return Template(Path(__file__).with_name("login.html").read_text(encoding="utf-8"))
