"""Settings: later wins, and what cannot be understood says where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from nengliu.errors import SettingsError
from nengliu.settings import Settings, load


def test_settings_without_anything_are_the_defaults() -> None:
    """An empty environment gives the defaults."""
    assert load({}) == Settings(home=Settings().home.absolute())


def test_settings_of_the_environment_win_over_the_file(tmp_path: Path) -> None:
    """Defaults < file < environment."""
    (tmp_path / "nengliu.toml").write_text(
        'partitions = 8\nport = 9000\nstore = "http://数据"\n', encoding="utf-8"
    )
    found = load({"NENGLIU_HOME": str(tmp_path), "NENGLIU_PORT": "9001", "NENGLIU_NOISE": "x"})

    assert (found.partitions, found.port, found.store, found.epoch_s) == (8, 9001, "http://数据", 2)
    assert found.log_path.parent == found.store_home.parent == found.recovery_path.parent == tmp_path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"partitions =", "expected TOML"),
        (b'store = "\xff"', "expected TOML"),
        (b"colour = 3", "unknown setting 'colour'"),
        (b'port = "many"', "port: expected int, got 'many'"),
        (b"home = 5", "home: expected"),
    ],
)
def test_settings_file_that_cannot_be_understood_is_named(tmp_path: Path, text: bytes, said: str) -> None:
    """The sentence says which file, what was expected and what was got."""
    (tmp_path / "nengliu.toml").write_bytes(text)

    with pytest.raises(SettingsError, match=said) as caught:
        load({"NENGLIU_HOME": str(tmp_path)})
    assert "nengliu.toml" in str(caught.value)


def test_settings_variable_of_the_wrong_type_is_named() -> None:
    """A variable that is no number is refused, not ignored."""
    with pytest.raises(SettingsError, match="environment: partitions: expected int, got 'four'"):
        load({"NENGLIU_PARTITIONS": "four"})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("BUS_SECURITY", "ssl", "bus_security: expected one of plaintext, tls, sasl, sasl_tls, got 'ssl'"),
        ("BUS_REPLICAS", "0", "bus_replicas: expected at least 1, got '0'"),
        ("LOG_DAYS", "14", "log_days: expected at least 15 days, got '14'"),
    ],
)
def test_settings_of_the_bus_beyond_their_limits_are_named(name: str, value: str, said: str) -> None:
    """A log kept shorter than a collector's buffer, or a way to the brokers that is none, is refused."""
    with pytest.raises(SettingsError, match=said):
        load({f"NENGLIU_{name}": value})


def test_settings_shown_keep_the_password_to_themselves() -> None:
    """Settings are printed by doctors and tests; the password of the bus is not."""
    assert "a secret" not in repr(load({"NENGLIU_BUS_PASSWORD": "a secret"}))
