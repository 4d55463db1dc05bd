"""One frozen settings object, from defaults, `HOME/nengliu.toml` and the environment.

Later wins: defaults < file < environment (``NENGLIU_<FIELD>`` in capitals).
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path

from nengliu.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Settings:
    """What differs from one installation to the next.

    Parameters
    ----------
    home
        Folder of all data of this installation.
    store
        DSN of a ClickHouse server; empty: the embedded store of `home`.
    database
        Database within the store.
    partitions
        Partitions of every topic of a new log.
    port
        Port of the page.
    lateness_s
        A timed reading received later than this after its stamp is marked late [s].
    future_s
        A stamp this far ahead of its receipt is quarantined [s].
    epoch_s
        Time between two commits of a flow: what a crash repeats at most [s].
    """

    home: Path = Path.home() / ".local" / "share" / "nengliu"
    store: str = ""
    database: str = "nengliu"
    partitions: int = 4
    port: int = 8501
    lateness_s: int = 3600
    future_s: int = 300
    epoch_s: int = 2

    @property
    def log_path(self) -> Path:
        """File of the durable log."""
        return self.home / "log.sqlite"

    @property
    def store_home(self) -> Path:
        """Folder the embedded store owns."""
        return self.home / "store"

    @property
    def recovery_path(self) -> Path:
        """Folder of the flows' recovery stores."""
        return self.home / "recovery"


def load(environ: dict[str, str] | None = None) -> Settings:
    """Read the settings in force.

    Raises
    ------
    SettingsError
        A value that is not of its field's type, or an unknown key in the file.
    """
    env = dict(os.environ if environ is None else environ)
    settings = Settings()
    home = Path(env.get("NENGLIU_HOME", str(settings.home))).expanduser().absolute()
    settings = replace(settings, home=home)
    file = home / "nengliu.toml"
    if file.is_file():
        settings = _overlay(settings, _read(file), str(file))
    names = {f"NENGLIU_{f.name.upper()}": f.name for f in fields(Settings)}
    found = {names[key]: value for key, value in env.items() if key in names and key != "NENGLIU_HOME"}
    return _overlay(settings, found, "environment")


def _read(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file}: expected TOML, got {error}") from error


def _overlay(settings: Settings, values: dict[str, object] | dict[str, str], where: str) -> Settings:
    known = {f.name for f in fields(Settings)}
    for name, value in values.items():
        if name not in known:
            raise SettingsError(f"{where}: unknown setting {name!r}; known are {', '.join(sorted(known))}")
        kind = type(getattr(settings, name))
        try:
            settings = replace(settings, **{name: kind(value)})
        except (TypeError, ValueError) as error:
            raise SettingsError(f"{where}: {name}: expected {kind.__name__}, got {value!r}") from error
    return settings
