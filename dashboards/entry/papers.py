"""Forms as files: a template to fill in, the filled form handed back whole or not at all, lists to take away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from html import escape

import streamlit as st

from dashboards import data
from dashboards.entry import words
from dashboards.entry.context import Context
from dashboards.export import FILES, Sheet
from dashboards.ui import parts
from nengliu.analysis.forms.sheets import LARGEST, TEMPLATES, Heads, Line, Template, read_form
from nengliu.errors import InputError, LogError
from schemas.messages import RejectedRow


def papers(
    context: Context,
    heads: Heads,
    needed: Sequence[str],
    take: Callable[[Sequence[Line]], list[RejectedRow]],
    form: Callable[[], Template],
) -> None:
    """Draw the card of forms: templates to take, a form to hand in."""
    text = context.text
    with st.container(key="card_papers"):
        st.html(parts.title(text("entry.papers"), text("entry.papers_note")))
        left, right = st.columns([1, 1.75], gap="small")
        with left:
            st.html(f'<p class="nl-src">{escape(text("entry.papers_hint"))}</p>')
            with st.container(key="templates", horizontal=True, gap="small"):
                for kind, (write, mime) in TEMPLATES.items():
                    st.download_button(
                        text(f"entry.template_{kind}"),
                        data=partial(_written, write, form),
                        file_name=f"{context.enterprise}_{context.part}.{kind}",
                        mime=mime,
                        key=f"template_{kind}",
                        on_click="ignore",
                    )
        with right, st.container(key=f"upload_{context.text.language}"):
            _hand_in(context, heads, needed, take)


def _written(write: Callable[[Template], bytes], form: Callable[[], Template]) -> bytes:
    return write(form())


def _hand_in(
    context: Context,
    heads: Heads,
    needed: Sequence[str],
    take: Callable[[Sequence[Line]], list[RejectedRow]],
) -> None:
    text, turn = context.text, f"entry_turn_{context.part}"
    number = st.session_state.setdefault(turn, 0)
    file = st.file_uploader(
        text("entry.upload"),
        type=list(TEMPLATES),
        key=f"entry_file_{context.part}_{number}",
        max_upload_size=LARGEST >> 20,
    )
    if file is None:
        return
    try:
        lines = read_form(file.getvalue(), file.name, heads, needed)
        rejected = take(lines)
    except (InputError, LogError) as error:
        st.error(parts.plain(text("entry.not_sent", why=str(error))))
        return
    if rejected:
        st.html(words.mistakes(text, rejected))
        return
    if not lines:
        st.warning(text("entry.empty"))
        return
    st.session_state[turn] = number + 1  # the form is handed in: the next run asks for another one
    st.rerun()


def offer(context: Context, name: str, sheet: Callable[[], Sheet]) -> None:
    """Offer a list as both kinds of file; each is built when it is asked for."""
    text = context.text
    with st.container(key=f"foot_{name}", horizontal=True, vertical_alignment="center", gap="small"):
        st.html(f'<div class="nl-src">{escape(text(f"entry.list_{context.part}"))}</div>', width="stretch")
        for kind, (build, mime) in FILES.items():
            st.download_button(
                text(f"numbers.{kind}"),
                data=partial(_built, build, sheet),
                file_name=f"{context.enterprise}_{name}_{data.now():%Y%m%d}.{kind}",
                mime=mime,
                key=f"get_{kind}_{name}",
                on_click="ignore",
                type="tertiary",
            )


def _built(build: Callable[[Sheet], bytes], sheet: Callable[[], Sheet]) -> bytes:
    return build(sheet())
