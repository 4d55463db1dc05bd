"""The sessions of this installation, opened once per process, and where the server's root is."""

from __future__ import annotations

from functools import cache

from streamlit import config

from nengliu.accounts import Accounts, Sessions
from nengliu.settings import load


@cache
def sessions() -> Sessions:
    """Open accounts and signing key of this installation."""
    return Sessions(Accounts(load()))


def root() -> str:
    """Give the path of the server's root, the base path of a proxy included: ``/`` or ``/nengliu/``."""
    base = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/" if base else "/"
