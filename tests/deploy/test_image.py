"""The image: made of files that exist, by commands that work, run by a user without rights."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = ROOT / "Dockerfile"
if not FILE.is_file():
    pytest.skip("the Dockerfile lies beside the sources", allow_module_level=True)


def steps() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile and their arguments, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", FILE.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def copied() -> list[str]:
    """Files and folders that the build takes from this tree."""
    found = [rest.split() for word, rest in steps() if word == "COPY" and not rest.startswith("--from=")]
    return [source for words in found for source in words[:-1]]


def test_every_copied_file_exists_and_reaches_the_builder() -> None:
    """What the image is made of is in the tree, and .dockerignore lets exactly that through."""
    allowed = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]

    assert all((ROOT / source).exists() for source in copied())
    assert sorted(allowed) == sorted(copied())
    assert "*" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()


def test_image_runs_without_rights() -> None:
    """The last user is not root, and has a number that a cluster can check."""
    users = [rest for word, rest in steps() if word == "USER"]
    made = " ".join(rest for word, rest in steps() if word == "RUN")

    assert users == ["nengliu"]
    assert re.search(r"useradd .*--uid [1-9]\d{3,} .*nengliu", made)


def test_bases_are_pinned_slim_and_of_a_python_we_support() -> None:
    """Both stages stand on the same slim Python that the tests run on."""
    bases = {rest.split()[0] for word, rest in steps() if word == "FROM"}

    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.1[12]-slim-[a-z]+", bases.pop())


def test_packages_are_installed_by_hash_and_ours_without_asking_for_others() -> None:
    """The image holds the files that were tested, needs no compiler, and builds our wheel with what is in it."""
    installs = [rest for word, rest in steps() if word == "RUN" and "pip install" in rest]

    assert [re.sub(r".*pip install ", "", rest) for rest in installs] == [
        "--only-binary=:all: --require-hashes -r requirements/run.txt",
        "--no-deps --no-build-isolation .",
    ]
    assert re.search(
        r"^hatchling==", (ROOT / "requirements/run.txt").read_text(encoding="utf-8"), re.MULTILINE
    )


@pytest.mark.slow
def test_steps_of_the_build_give_a_product_that_runs(tmp_path: Path) -> None:
    """Run in a folder of their own, the steps make an environment whose `nengliu` knows itself to be whole."""
    place, target = tmp_path / "src", tmp_path / "opt"
    place.mkdir()
    for source in copied():
        (place / source).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-r", str(ROOT / source), str(place / source)], check=True)
    build = steps()[: [word for word, _ in steps()].index("FROM", 1)]
    for word, rest in build:
        if word == "RUN":
            command = rest.replace("/opt/nengliu", str(target)).replace(
                "python -m venv", f"{sys.executable} -m venv"
            )
            subprocess.run(command.split(), cwd=place, check=True)
    environment = {"PATH": f"{target}/bin", "NENGLIU_HOME": str(tmp_path / "home"), "NENGLIU_LANG": "en"}
    done = subprocess.run(
        [str(target / "bin" / "nengliu"), "doctor", "--offline"],
        capture_output=True, text=True, cwd=tmp_path, env=os.environ | environment, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
