"""One frozen settings object, from defaults, `HOME/nengliu.toml` and the environment.

Later wins: defaults < file < environment (``NENGLIU_<FIELD>`` in capitals).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from enum import Enum, StrEnum
from pathlib import Path

from nengliu.domain.retention import DAYS_MIN
from nengliu.errors import SettingsError

BUS_SECURITY = ("plaintext", "tls", "sasl", "sasl_tls")
"""Ways to a Kafka broker: open, encrypted, with a password, with a password and encrypted."""
LOG_DAYS_MIN = 15
"""As long as a collector keeps its buffer [d]."""

HISTORY_DAYS_MIN = 92
"""A flow that resumes finds the months before as they stood [d]."""


class Profile(StrEnum):
    """Which parts `nengliu up` runs: an enterprise's chained flow, or the flows of a centre, each on its own."""

    ACCESS_END = "access-end"
    PROVINCE = "province"
    NATION = "nation"


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
    profile
        Which parts `nengliu up` runs: access-end, province or nation.
    bus
        Kafka brokers, ``host:port,host:port``; empty: the log is a file of `home`.
    bus_security
        One of `BUS_SECURITY`.
    bus_mechanism, bus_user, bus_password
        How to log in to the brokers, with ``sasl`` and ``sasl_tls``.
    bus_ca
        File of the certificates that vouch for the brokers; empty: those of the system.
    bus_replicas
        Brokers that hold each record of a new topic.
    log_days
        How long the log keeps records, at least `LOG_DAYS_MIN`; topics of Kafka take it when they are laid [d].
    retention_days
        Raw readings are kept at least so long, in whole months; `nengliu retention` lets older ones go [d].
    history_days
        Superseded windows are kept so long, in whole months; 0: for ever [d].
    session_h
        How long a log-in to the page holds [h].
    login_failures, login_pause_s
        Log-ins in a row that may fail before no further one is looked at, and for how long none is [s].
    password_length
        Characters a password has at least.
    audit_hour
        Hour of the day in China at which `nengliu up` runs the nightly audit, 0 to 23; -1: never.
    """

    home: Path = Path.home() / ".local" / "share" / "nengliu"
    store: str = ""
    database: str = "nengliu"
    partitions: int = 4
    port: int = 8501
    lateness_s: int = 3600
    future_s: int = 300
    epoch_s: int = 2
    profile: Profile = Profile.ACCESS_END
    bus: str = ""
    bus_security: str = "plaintext"
    bus_mechanism: str = "SCRAM-SHA-512"
    bus_user: str = ""
    bus_password: str = field(default="", repr=False)
    bus_ca: str = ""
    bus_replicas: int = 1
    log_days: int = 30
    retention_days: int = DAYS_MIN
    history_days: int = 0
    session_h: int = 8
    login_failures: int = 5
    login_pause_s: int = 900
    password_length: int = 10
    audit_hour: int = 3

    @property
    def log_path(self) -> Path:
        """File of the durable log."""
        return self.home / "log.sqlite"

    @property
    def store_home(self) -> Path:
        """Folder the embedded store owns."""
        return self.home / "store"

    @property
    def collector_path(self) -> Path:
        """Folder of the collectors' buffers and status files."""
        return self.home / "collector"

    @property
    def accounts_path(self) -> Path:
        """File of the accounts and the audit log."""
        return self.home / "accounts.db"

    @property
    def session_key_path(self) -> Path:
        """File of the key that signs the sessions of the page."""
        return self.home / "session.key"

    @property
    def recovery_path(self) -> Path:
        """Folder of the flows' recovery stores."""
        return self.home / "recovery"


def load(environ: dict[str, str] | None = None) -> Settings:
    """Read the settings in force.

    Raises
    ------
    SettingsError
        A value that is not of its field's type or beyond its limits, or an unknown key in the file.
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
            wanted = ", ".join(kind) if issubclass(kind, Enum) else kind.__name__
            raise SettingsError(f"{where}: {name}: expected {wanted}, got {value!r}") from error
        holds, wanted = _LIMITS.get(name, _FREE)
        if not holds(getattr(settings, name)):
            raise SettingsError(f"{where}: {name}: expected {wanted}, got {value!r}; change it")
    return settings


_FREE: tuple[Callable[..., bool], str] = (lambda _: True, "")
_LIMITS: dict[str, tuple[Callable[..., bool], str]] = {
    "bus_security": (BUS_SECURITY.__contains__, f"one of {', '.join(BUS_SECURITY)}"),
    "bus_replicas": (lambda replicas: replicas >= 1, "at least 1"),
    "log_days": (lambda days: days >= LOG_DAYS_MIN, f"at least {LOG_DAYS_MIN} days"),
    "retention_days": (lambda days: days >= DAYS_MIN, f"at least {DAYS_MIN} days"),
    "history_days": (
        lambda days: days == 0 or days >= HISTORY_DAYS_MIN,
        f"0 or at least {HISTORY_DAYS_MIN} days",
    ),
    "session_h": (lambda hours: 1 <= hours <= 24, "1 to 24 hours"),
    "login_failures": (lambda failures: 1 <= failures <= 100, "1 to 100"),
    "login_pause_s": (lambda pause_s: pause_s >= 1, "at least 1 second"),
    "password_length": (lambda length: 8 <= length <= 64, "8 to 64"),
    "audit_hour": (lambda hour: -1 <= hour <= 23, "0 to 23, or -1 for never"),
}
