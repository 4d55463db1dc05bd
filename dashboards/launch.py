"""How the page is started: the command line and the environment of its process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nengliu.settings import Settings

SERVER = Path(__file__).with_name("server.py")


def command(settings: Settings, address: str = "127.0.0.1") -> list[str]:
    """Give the argument list that serves the page at ``settings.port``.

    Parameters
    ----------
    settings
        The settings in force; only the port is used here.
    address
        Address to listen on; loopback unless a proxy on another host stands before it.
    """
    flags = {
        "server.address": address,
        "server.port": str(settings.port),
        "server.headless": "true",
        "browser.serverAddress": "localhost",  # unset, the server asks the internet for its own address
        "browser.gatherUsageStats": "false",
    }
    return [
        sys.executable,
        "-P",
        "-m",
        "streamlit",
        "run",
        str(SERVER),
        *(f"--{k}={v}" for k, v in flags.items()),
    ]


def environment(settings: Settings, base: dict[str, str] | None = None) -> dict[str, str]:
    """Give the environment of the page's process, so that it reads the same settings as its starter."""
    env = dict(os.environ if base is None else base)
    env["NENGLIU_HOME"] = str(settings.home)
    env["NENGLIU_STORE"] = settings.store
    env["NENGLIU_DATABASE"] = settings.database
    env["NENGLIU_PORT"] = str(settings.port)
    env["STREAMLIT_BROWSER_GATHER_USAGE_STATS"] = "false"
    return env
