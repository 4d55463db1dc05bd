"""The distribution: our five packages belong to us alone, and the wheel holds what it needs and no more."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import pkgutil
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import resources
from pathlib import Path

import pytest

OURS = {"nengliu", "flows", "acquisition", "dashboards", "schemas"}
SCRIPTS = {"dashboards.app", "nengliu.cli.__main__"}
"""Importing them runs them."""
ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel: the one CI built (NENGLIU_WHEEL), or one built now from a copy of the tree."""
    built = os.environ.get("NENGLIU_WHEEL")
    if built:
        return zipfile.ZipFile(built)
    pytest.importorskip("hatchling", reason="hatchling builds the wheel (requirements/dev.txt)")
    if not (ROOT / "nengliu").is_dir():
        pytest.skip("the sources are not here, and NENGLIU_WHEEL names no wheel")
    place = tmp_path_factory.mktemp("wheel")
    for name in (*OURS, "pyproject.toml", "README.md", "LICENSE"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, place / name)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place / "dist")]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next((place / "dist").glob("*.whl")))


def test_wheel_holds_exactly_our_packages(wheel: zipfile.ZipFile) -> None:
    """No tests, no docs, no data of a demonstration travel with the product."""
    tops = {name.split("/")[0] for name in wheel.namelist()}

    assert {top for top in tops if not top.endswith(".dist-info")} == OURS


def test_wheel_holds_every_file_of_ours(wheel: zipfile.ZipFile) -> None:
    """Code, migrations, questions, code lists, books, texts and the plant: all that lies in our packages is there."""
    inside = set(wheel.namelist())
    wanted = {
        f"{package}/{file.relative_to(folder).as_posix()}"
        for package in OURS
        for folder in [Path(str(resources.files(package)))]
        for file in folder.rglob("*")
        if file.is_file() and file.suffix != ".pyc" and not file.name.startswith(".")
    }

    assert wanted - inside == set()
    for suffix in (".sql", ".csv", ".toml"):
        assert any(name.endswith(suffix) for name in inside)


def test_packed_files_are_those_that_run(wheel: zipfile.ZipFile) -> None:
    """Every packed file is found through its package, and is byte for byte the one the tests run on."""
    packed = {name for name in wheel.namelist() if name.split("/")[0] in OURS and not name.endswith("/")}
    found = {name: resources.files(name.split("/")[0]).joinpath(*name.split("/")[1:]) for name in packed}

    assert {name for name, file in found.items() if file.read_bytes() != wheel.read(name)} == set()


@pytest.mark.parametrize("package", sorted(OURS))
def test_modules_are_imported_without_the_sources(package: str) -> None:
    """Each module finds what it needs; tests of the wheel (NENGLIU_WHEEL) import the installed ones and no others."""
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
        if module.name not in SCRIPTS:
            importlib.import_module(module.name)

    assert "NENGLIU_WHEEL" not in os.environ or "site-packages" in Path(str(root.__file__)).parts


def test_wheel_names_its_command_and_python(wheel: zipfile.ZipFile) -> None:
    """The wheel brings the command `nengliu` and refuses interpreters it cannot run on."""
    text = {Path(name).name: wheel.read(name).decode() for name in wheel.namelist() if ".dist-info/" in name}

    assert "nengliu = nengliu.cli.main:main" in text["entry_points.txt"]
    assert re.search(r"Requires-Python: <3\.13,>=3\.11", text["METADATA"])


def test_no_other_distribution_uses_our_names() -> None:
    """Two distributions with one package name merge silently; ours are alone."""
    owners = importlib.metadata.packages_distributions()

    assert {name: set(owners.get(name, [])) - {"nengliu"} for name in OURS} == {name: set() for name in OURS}


@pytest.mark.parametrize("name", ["run", "dev"])
def test_requirements_are_pinned_by_hash_and_name_no_index(name: str) -> None:
    """An installation gets the files we tested, from whatever index the site uses."""
    file = ROOT / "requirements" / f"{name}.txt"
    if not file.exists():
        pytest.skip("the requirements lie beside the sources")
    lines = [
        line
        for line in file.read_text(encoding="utf-8").splitlines()
        if line and not line.lstrip().startswith("#")
    ]
    pins = [line for line in lines if not line.startswith(" ")]

    assert all("==" in pin and pin.endswith("\\") for pin in pins)
    assert not any(
        re.search(r"https?://|--(extra-)?index-url|--find-links|--trusted-host", line) for line in lines
    )
    assert sum("--hash=sha256:" in line for line in lines) >= len(pins)


def test_requirements_agree_with_one_another() -> None:
    """What is tested is what runs: both files pin the same versions."""
    files = [ROOT / "requirements" / f"{name}.txt" for name in ("run", "dev")]
    if not all(file.exists() for file in files):
        pytest.skip("the requirements lie beside the sources")
    run, dev = (dict(re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", f.read_text(), re.MULTILINE)) for f in files)

    assert {name: version for name, version in run.items() if dev.get(name) != version} == {}
