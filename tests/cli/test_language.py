"""What users read: complete in both languages, and every sentence is used."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nengliu.cli.language import examples, language, say, texts
from nengliu.cli.main import COMMANDS

SOURCES = "\n".join(
    file.read_text(encoding="utf-8")
    for file in Path(str(__import__("nengliu.cli").cli.__path__[0])).glob("*.py")
)
USED = set(re.findall(r'say\(\s*f?"([a-z]+\.[a-z_]+)"', SOURCES))
FIELD = re.compile(r"{(\w+)")


def test_languages_have_the_same_sentences() -> None:
    """A sentence that exists in one language exists in the other, with the same parameters."""
    zh, en = texts("zh"), texts("en")

    assert list(zh) == list(en)
    assert {k: sorted(FIELD.findall(v)) for k, v in zh.items()} == {
        k: sorted(FIELD.findall(v)) for k, v in en.items()
    }


def test_sentences_used_by_the_code_exist() -> None:
    """No key is misspelt."""
    assert USED - set(texts("en")) == set()


def test_chinese_sentences_are_chinese() -> None:
    """The Chinese texts are translated: except names, each holds a Chinese character."""
    same = {"doctor.python"}
    bare = [
        key
        for key, text in texts("zh").items()
        if not re.search("[\u4e00-\u9fff]", text) and not key.startswith("example.") and key not in same
    ]

    assert bare == []


@pytest.mark.parametrize("code", ["zh", "en"])
def test_every_command_has_its_sentence(code: str) -> None:
    """The list of commands can be shown without loading any of them."""
    assert {f"command.{name}" for name in COMMANDS} <= set(texts(code))


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE", "LC_ALL": "zh_TW"}, "zh"),
        ({"LANG": "zh_CN", "NENGLIU_LANG": "en"}, "en"),
        ({"NENGLIU_LANG": "", "LANG": "zh"}, "zh"),
        ({}, "en"),
    ],
)
def test_language_follows_setting_then_terminal(environ: dict[str, str], expected: str) -> None:
    """NENGLIU_LANG decides, then the terminal; without either it is English."""
    assert language(environ) == expected


def test_say_fills_in_its_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sentence carries its numbers."""
    monkeypatch.setenv("NENGLIU_LANG", "en")

    assert say("query.rows", count=3) == "3 rows"


def test_examples_stand_on_lines_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Examples can be copied line by line."""
    monkeypatch.setenv("NENGLIU_LANG", "en")

    assert examples("up").splitlines()[2].strip() == "nengliu up"
