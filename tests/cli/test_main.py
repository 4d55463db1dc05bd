"""The command itself: fast, in the reader's language, one line per error, honest exit codes."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time

import pytest

from nengliu import __version__, errors
from nengliu.cli import main as cli
from nengliu.cli.main import COMMANDS


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "NENGLIU_LANG": "en", **environ}
    command = [sys.executable, "-P", "-m", "nengliu.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_help_loads_no_heavy_library() -> None:
    """`nengliu --help` answers at once: it needs neither numpy nor the store's driver."""
    code = (
        "import sys; from nengliu.cli.main import group; group().main(['-h'], standalone_mode=False); "
        "heavy = {'numpy', 'pandas', 'pyarrow', 'clickhouse_connect', 'streamlit', 'bytewax'}; "
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - started < 2
    assert all(name in done.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "bench"])
def test_every_command_has_help_with_examples(name: str) -> None:
    """Every command explains itself with -h and shows how it is called."""
    done = run(name, "-h")

    assert done.returncode == 0, done.stderr
    assert name == "version" or done.stdout.count("nengliu ") >= 2


def test_chinese_is_spoken_on_request() -> None:
    """--lang zh turns help into Chinese, whatever the terminal says."""
    done = run("--lang", "zh", "up", "-h", LANG="C")

    assert "启动数据库、流程和页面" in done.stdout


def test_version_names_the_version() -> None:
    """Whoever asks for help can say what runs."""
    assert run("version").stdout.startswith(f"nengliu {__version__} (Python 3.")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.NengliuError("ours"), 1),
        (errors.InputError("yours"), 2),
        (errors.SettingsError("yours"), 2),
        (errors.StorageError("away"), 3),
        (errors.LogError("away"), 3),
    ],
)
def test_known_error_is_one_line_with_its_exit_code(
    error: errors.NengliuError,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """1 is our fault, 2 your input, 3 a service that is away; no traceback."""

    def broken() -> object:
        raise error

    monkeypatch.setattr(cli, "group", broken)
    with pytest.raises(SystemExit) as ended:
        cli.main(["up"])

    assert ended.value.code == status
    assert capsys.readouterr().err == f"nengliu: {error}\n"


def test_debug_shows_where_an_error_comes_from() -> None:
    """With --debug the traceback is there for whoever mends it."""
    assert "Traceback" not in run("query", "enterprises", NENGLIU_HOME="/nonexistent").stderr
    assert "Traceback" in run("--debug", "query", "enterprises", NENGLIU_HOME="/nonexistent").stderr


def test_unknown_command_or_option_exits_with_2() -> None:
    """A misspelt command is the user's input, and is told on stderr."""
    assert run("flwo").returncode == 2
    assert run("up", "--prot", "1").returncode == 2
    assert "No such command" in run("flwo").stderr


def test_mistake_in_the_program_is_told_in_one_line() -> None:
    """Even a bug of ours meets the user without a traceback."""
    code = "from nengliu.cli import main as m; m.group = lambda: 1 / 0; m.main(['up'])"
    env = {**os.environ, "NENGLIU_LANG": "en"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env=env, check=False
    )

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "ZeroDivisionError" in done.stderr


def test_reader_that_leaves_early_is_no_error() -> None:
    """`nengliu ... | head -1` ends quietly."""
    command = f"{shlex.quote(sys.executable)} -P -m nengliu.cli query | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)

    assert done.stderr == ""


def test_home_option_decides_where_the_data_are(tmp_path: object) -> None:
    """--home wins over NENGLIU_HOME, for this process and its children."""
    done = run("--home", str(tmp_path), "doctor", "--offline", NENGLIU_HOME="/nonexistent")

    assert f"home = {tmp_path}" in done.stdout


def test_wrong_setting_is_told_with_its_place() -> None:
    """A setting that cannot be understood names its variable's field and exits with 2."""
    done = run("query", "enterprises", NENGLIU_PORT="many")

    assert done.returncode == 2
    assert "port" in done.stderr
