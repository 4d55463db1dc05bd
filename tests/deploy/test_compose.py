"""`docker-compose.yml`: valid by the specification, and the rules of this house that the specification leaves open."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import Any

import pytest

chdb = pytest.importorskip("chdb")
compose_file = pytest.importorskip("compose_file", reason="needs PyYAML (requirements/dev.txt)")
if not compose_file.FILE.is_file():
    pytest.skip("the compose file lies beside the sources", allow_module_level=True)

LONG_RUNNING = (
    "redpanda",
    "clickhouse",
    "ingest",
    "rollups",
    "anomaly",
    "tick",
    "audit",
    "collector",
    "page",
)


@pytest.fixture
def services() -> dict[str, dict[str, Any]]:
    """Services of the file."""
    return compose_file.services()


def test_file_is_valid_by_the_specification() -> None:
    """A parser of the Compose specification takes every key, and every volume and config named is declared."""
    spec = pytest.importorskip("compose_spec")
    compose = spec.PyCompose.from_json(json.dumps(compose_file.load()))
    compose.validate()

    assert set(compose.service_names()) == {*LONG_RUNNING, "migrate"}


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ("page", "port", ["8501"]),
        ("page", "restart", "sometimes"),
        ("page", "configs", ["nowhere"]),
        ("migrate", "depends_on", {"clickhouse": {"condition": "service_ready"}}),
    ],
)
def test_parser_refuses_a_file_that_is_wrong(where: str, key: str, value: object) -> None:
    """The parser is no rubber stamp: an unknown key, word, volume or condition is refused."""
    spec = pytest.importorskip("compose_spec")
    content = compose_file.load()
    content["services"][where] = {**content["services"][where], key: value}

    with pytest.raises(ValueError, match=r".+"):
        spec.PyCompose.from_json(json.dumps(content)).validate()


@pytest.mark.parametrize("profile", ["", "collector"])
def test_docker_compose_itself_accepts_the_file(profile: str, tmp_path: Any) -> None:
    """Where Docker Compose is installed it reads the file without a complaint."""
    command = _compose()
    if command is None:
        pytest.skip("no docker compose on this machine")
    env_file = tmp_path / "env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in compose_file.SECRETS.items()))
    words = [
        "--env-file",
        str(env_file),
        "-f",
        str(compose_file.FILE),
        *(["--profile", profile] if profile else []),
    ]
    done = subprocess.run(
        [*command, *words, "config", "--quiet"], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_waited_for_can_become_true(services: dict[str, dict[str, Any]]) -> None:
    """Who waits for a healthy service waits for one with a health check; who waits for an end, for a one-shot."""
    for service in services.values():
        for name, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in services[name], name
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert services[name]["restart"] in {"no", "on-failure"}, name


def test_every_service_that_stays_is_watched_restarted_and_limited(
    services: dict[str, dict[str, Any]],
) -> None:
    """Nothing runs unseen, stays dead, or eats the machine or its disk."""
    assert {name for name, service in services.items() if service["restart"] == "unless-stopped"} == {
        *LONG_RUNNING
    }
    for name in LONG_RUNNING:
        assert services[name]["healthcheck"]["test"], name
    for name, service in services.items():
        assert "mem_limit" in service, name
        assert service["logging"]["options"]["max-size"], name


def test_only_the_page_is_published_and_only_on_loopback(services: dict[str, dict[str, Any]]) -> None:
    """Store and broker are reached by the product alone; the page by this machine, unless somebody says otherwise."""
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert published == {"page": ["127.0.0.1:8501:8501"]}
    assert all("network_mode" not in service and "privileged" not in service for service in services.values())


def test_secrets_come_from_the_environment_alone() -> None:
    """The file holds no password, refuses to start without one, and says which is missing."""
    text = compose_file.FILE.read_text(encoding="utf-8")
    given = re.findall(r"PASSWORD: (.*)", text) + re.findall(r"://[^:\s]+:(.*)@", text)

    assert given
    assert all(re.match(r"(?:nengliu:)?\$\{[A-Z_]+:\?.+\}", value) for value in given)
    for name in compose_file.SECRETS:
        rest = {key: value for key, value in compose_file.SECRETS.items() if key != name}
        with pytest.raises(compose_file.MissingVariable, match=name):
            compose_file.load(rest)


def test_example_of_the_environment_names_every_variable() -> None:
    """`.env.example` holds every variable of the file and no other, the required ones open and empty."""
    text = (compose_file.ROOT / ".env.example").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{([A-Z_]+)", compose_file.FILE.read_text(encoding="utf-8")))

    assert set(re.findall(r"^#?([A-Z_]+)=", text, re.MULTILINE)) == used
    assert set(re.findall(r"^([A-Z_]+)=$", text, re.MULTILINE)) == set(compose_file.SECRETS)
    assert ".env" in (compose_file.ROOT / ".gitignore").read_text(encoding="utf-8").split()


def test_images_are_pinned(services: dict[str, dict[str, Any]]) -> None:
    """What runs tomorrow is what ran today: no image without a version, none by the name of the newest."""
    images = {service["image"] for service in services.values()}

    assert all(re.fullmatch(r"[a-z/-]+:(?:v?\d+(?:\.\d+)+|local)", image) for image in images)


def test_server_is_of_the_release_line_of_the_embedded_engine(services: dict[str, dict[str, Any]]) -> None:
    """Both deployments run the same engine: the tests of one speak for the other."""
    version = str(chdb.query("SELECT version()")).strip().strip('"')

    assert services["clickhouse"]["image"].split(":")[1] == ".".join(version.split(".")[:2])


def test_product_runs_without_rights_it_does_not_need(services: dict[str, dict[str, Any]]) -> None:
    """A part holds no capability, reaps its children, and has the password of what it talks to, no other."""
    for name in compose_file.PRODUCT:
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["init"] is True
    holders = {
        secret: {name for name in compose_file.PRODUCT if value in str(services[name]["environment"])}
        for secret, value in compose_file.SECRETS.items()
    }
    assert holders == {
        "CLICKHOUSE_PASSWORD": {"migrate", "ingest", "rollups", "anomaly", "audit", "page"},
        "NENGLIU_BUS_PASSWORD": {"ingest", "rollups", "anomaly", "tick", "collector", "page"},
    }


def test_data_lie_in_named_volumes(services: dict[str, dict[str, Any]]) -> None:
    """A container can be thrown away: whatever must stay is in a declared volume, used by one service."""
    declared = set(compose_file.load()["volumes"])
    used = [
        volume.split(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
        if not volume.startswith((".", "/"))
    ]

    assert sorted(used) == sorted(declared)
    assert set(LONG_RUNNING) == declared


def _compose() -> list[str] | None:
    """The command of Docker Compose of the second line, if there is one."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is None:
            continue
        done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.startswith(("2", "v2", "3", "4", "5")):
            return command
    return None
