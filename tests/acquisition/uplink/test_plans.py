"""What collector.toml says of centres, clock and orders: read with its defaults, refused with the cure."""

from __future__ import annotations

from pathlib import Path

import pytest
from meters import make_toml

from acquisition.drivers.config import CollectorConfig, load_config
from acquisition.drivers.plans import EVERYTHING, CentrePlan, ClockPlan, RemotePlan
from nengliu.errors import InputError
from schemas.topics import RAW


def load(folder: Path, more: str = "") -> CollectorConfig:
    file = folder / "collector.toml"
    file.write_text(make_toml(502, [1]) + more, encoding="utf-8")
    return load_config(file)


def test_config_without_centres_has_the_one_of_the_installation(tmp_path: Path) -> None:
    """Nothing need be said: one centre with everything, no orders, no time server."""
    config = load(tmp_path)

    (centre,) = config.centres
    assert (centre.name, centre.bus, centre.topic, centre.points) == ("centre", "", RAW, EVERYTHING)
    assert (centre.commands, centre.configure) == (False, False)
    assert (config.clock, config.remote) == (ClockPlan(), RemotePlan())
    assert config.file == tmp_path / "collector.toml"


def test_config_with_two_centres_is_read(tmp_path: Path) -> None:
    """Each has its way, its credentials and its points."""
    config = load(
        tmp_path,
        """
[[centres]]
name = "province"
bus = "broker:9092"
security = "sasl_tls"
user = "c1"
password_file = "province.password"
commands = true
[[centres]]
name = "own"
points = ["u1"]
[clock]
servers = ["ntp.example", "192.0.2.1:1123"]
every_s = 600
set_meters = true
[remote]
rounds = 3
""",
    )

    province, own = config.centres
    wanted = CentrePlan(
        "province",
        "broker:9092",
        security="sasl_tls",
        user="c1",
        password_file="province.password",
        commands=True,
    )
    assert province == wanted
    assert own.points == ("u1",)
    assert config.clock.servers == ("ntp.example", "192.0.2.1:1123")
    assert config.clock.set_meters
    assert config.remote.rounds == 3


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('[[centres]]\nname = "a b"', "name: expected letters, digits"),
        ('[[centres]]\nname = "a"\n[[centres]]\nname = "a"', "every centre once, got a twice"),
        ('[[centres]]\nname = "a"\npoints = ["u2"]', "points: there is no 'u2'; .*u1"),
        ('[[centres]]\nname = "a"\npoints = ["u1", "u1"]', "every point once"),
        ('[[centres]]\nname = "a"\npoints = []', "points: expected"),
        ('[[centres]]\nname = "a"\nsecurity = "none"', "security: expected one of plaintext"),
        ('[[centres]]\nname = "a"\nbus = "b:1"\nhome = "/x"', "home: expected either bus or home"),
        ('[[centres]]\nname = "a"\ntopic = "a/b"', "topic: expected"),
        ('[[centres]]\nname = "a"\ncommand = true', "unknown field `command`.*commands"),
        ("[clock]\nevery_s = 1", "every_s: expected 60 to 86400"),
        ('[clock]\nservers = [""]', "servers: expected names"),
        ("[clock]\nlimit_ms = 1", "limit_ms: expected 100 to 300000"),
        ("[remote]\nevery_s = 0", "every_s: expected 1 to 3600"),
        ("[remote]\nrounds = 0", "rounds: expected 1 to 100"),
    ],
)
def test_config_that_cannot_be_says_where_and_what(tmp_path: Path, more: str, message: str) -> None:
    """A mistake is told with its table, its key and what is expected, before anything runs."""
    with pytest.raises(InputError, match=message):
        load(tmp_path, "\n" + more)
