"""The papers and the code say the same: a document that drifts fails here."""

from __future__ import annotations

import csv
import dataclasses
import inspect
import json
import re
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

from nengliu.domain import points
from nengliu.domain.quality import Quality, Reason
from schemas import block, messages, notices, orders
from schemas.foreign import VERSION, read_json

ROOT = Path(__file__).resolve().parents[2]
OURS = ("docs", "schemas", "tests", "flows", "acquisition", "dashboards", "nengliu")
PAPERS = sorted([*ROOT.glob("*.md"), *(file for room in OURS for file in (ROOT / room).rglob("*.md"))])
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
SECTIONS = ["Context", "Decision", "Alternatives", "Price", "Consequences"]
TABLES = sorted((ROOT / "schemas" / "tables").glob("*.sql"))
PARAMETERS = {
    "expected",
    "got",
    "limit",
    "point",
    "field",
    "delay_s",
    "line",
    "meter",
    "code",
    "function",
    "address",
}
LAYERS = {0: "mark", 1: "network", 2: "communication", 3: "business", 4: "mark", 5: "collector"}
STATES = ("done", "partly", "not")
TC_ITEMS = """
4.1.1:0 4.1.2:5 4.1.3:0 4.1.4:0 4.2.1:4 4.2.2:0 4.3.1:0 4.3.2:2 4.3.3:5 4.3.4:0 4.3.5:3 4.3.6:5 4.3.7:7
4.3.8:2 4.4.1:0 4.4.2:0 4.4.3:3 4.4.4:3 4.5.1:0 4.5.2:3 4.5.3:0 4.5.4:4 4.5.5:3 4.5.6:3 4.5.7:2 4.5.8:4
4.5.9:6 4.5.10:5 4.5.11:2 4.5.12:4 4.5.13:2
"""
"""Clauses of chapter 4 of the technical code and how many numbered items each has (0: the clause itself)."""


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def _rows(text: str) -> list[list[str]]:
    """Cells of every table row of a Markdown text, rulers left out."""
    lines = (line for line in text.splitlines() if line.startswith("|") and not set(line) <= set("|-: "))
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def _glossary() -> set[str]:
    rows = _rows((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))
    return {name for row in rows for name in re.findall(r"`(\w+)`", row[2])}


def _table_columns(sql: str) -> set[str]:
    create = re.compile(r"CREATE TABLE [^(\n]+\(\n(.*?)^\)", flags=re.DOTALL | re.MULTILINE)
    column = re.compile(r"^ +([a-z]\w*) [A-Z]", flags=re.MULTILINE)
    found = {name for body in create.findall(sql) for name in column.findall(body)}
    return found | set(re.findall(r"ADD COLUMN (?:IF NOT EXISTS )?(\w+)", sql))


def _message_fields(module: ModuleType) -> set[str]:
    found: set[str] = set()
    for name, kind in inspect.getmembers(module, inspect.isclass):
        if kind.__module__ != module.__name__ or name.startswith("_"):
            continue
        if dataclasses.is_dataclass(kind):
            found |= {field.name for field in dataclasses.fields(kind)}
        elif issubclass(kind, msgspec.Struct):
            found |= set(kind.__struct_fields__)
    return found


def _fenced(language: str) -> list[str]:
    text = (ROOT / "schemas" / "messages.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def _reasons() -> list[dict[str, str]]:
    text = (ROOT / "schemas" / "codes" / "reasons.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _clauses() -> dict[str, list[list[str]]]:
    """Rows of clauses.md by document, heads left out."""
    parts = re.split(r"^## ", (ROOT / "docs" / "clauses.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[
        1:
    ]
    return {part.splitlines()[0]: _rows(part)[1:] for part in parts}


@pytest.mark.parametrize("file", DECISIONS, ids=lambda file: file.stem)
def test_decision_as_written_has_every_section_in_order(file: Path) -> None:
    """A decision has all its sections, and doing nothing stands among its alternatives."""
    text = file.read_text(encoding="utf-8")

    assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == SECTIONS
    assert text.startswith(f"# {file.name[:4]} ")
    assert "\nStatus: " in text
    assert "*Nothing" in text.split("## Alternatives")[1].split("## Price")[0]


def test_decisions_numbered_leave_no_gap() -> None:
    """Decisions are numbered from 0001 on without a gap or a double."""
    numbers = [int(file.name[:4]) for file in DECISIONS]

    assert numbers == list(range(1, len(numbers) + 1))


def test_decisions_index_lists_each_under_its_title() -> None:
    """The index of the decisions leads to every one of them, in order."""
    rows = _rows((ROOT / "docs" / "decisions" / "README.md").read_text(encoding="utf-8"))[1:]
    heads = [file.read_text(encoding="utf-8").splitlines()[0] for file in DECISIONS]

    assert [row[0] for row in rows] == [f"[{file.name[:4]}]({file.name})" for file in DECISIONS]
    assert [row[1] for row in rows] == [head.split(maxsplit=2)[2] for head in heads]


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.stem)
def test_table_columns_of_a_migration_are_in_the_glossary(file: Path) -> None:
    """Every column of a table is a word of the glossary."""
    columns = _table_columns(file.read_text(encoding="utf-8"))

    assert columns - _glossary() == set()


def test_table_columns_parser_reads_the_reading_table() -> None:
    """The parser of this test sees columns, so the test above cannot pass on nothing."""
    columns = _table_columns(
        (ROOT / "schemas" / "tables" / "0002_create_readings.sql").read_text(encoding="utf-8")
    )

    assert {"enterprise", "read_at", "ticks", "sent_decimals", "payload", "conflicts"} <= columns


@pytest.mark.parametrize(
    "module", [messages, notices, orders, block, points], ids=lambda module: module.__name__
)
def test_message_fields_of_a_module_are_in_the_glossary(module: ModuleType) -> None:
    """Every field that crosses a wire is a word of the glossary."""
    fields = _message_fields(module)

    assert fields
    assert fields - _glossary() == set()


def test_glossary_row_has_five_cells_and_both_languages() -> None:
    """A term of the trade stands with its Chinese, its English and its clause."""
    for row in _rows((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")):
        assert len(row) == 5, row
        assert row[0], row
        assert row[1], row
        assert row[4], row


@pytest.mark.parametrize("file", PAPERS, ids=_name)
def test_relative_links_of_a_paper_resolve(file: Path) -> None:
    """A link to a file of ours leads somewhere."""
    targets = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", _without_code(file.read_text(encoding="utf-8")))
    ours = [target.split("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]

    assert [target for target in ours if not (file.parent / target).exists()] == []


def test_reasons_file_lists_every_reason_once() -> None:
    """The code and the list of sentences hold the same reasons, in the same order."""
    listed = [(int(row["id"]), row["code"]) for row in _reasons()]

    assert listed == [(reason.value, reason.name) for reason in Reason]


@pytest.mark.parametrize("row", _reasons(), ids=lambda row: row["code"])
def test_reason_sentence_in_both_languages_uses_the_same_known_parameters(row: dict[str, str]) -> None:
    """A reason says the same in Chinese and English, with parameters every reader knows."""
    zh, en = (set(re.findall(r"\{(\w+)\}", row[language])) for language in ("zh", "en"))

    assert re.search(r"[\u4e00-\u9fff]", row["zh"])
    assert re.search(r"[A-Za-z]", row["en"])
    assert zh == en
    assert zh <= PARAMETERS


@pytest.mark.parametrize("row", _reasons(), ids=lambda row: row["code"])
def test_reason_layer_and_class_follow_its_number(row: dict[str, str]) -> None:
    """The hundreds of a reason are its layer; what it does to a value is one of a closed list."""
    assert row["layer"] == LAYERS[int(row["id"]) // 100]
    assert row["class"] in {quality.name.lower() for quality in Quality} | {"quarantine", "unchanged"}


@pytest.mark.parametrize("document", ["NHJC-09", "TC chapter 4", "NDRC-2017", "MIIT-2012", "MIIT-2014"])
def test_clauses_of_a_document_are_listed_once_with_a_state(document: str) -> None:
    """Each clause stands once, says what it asks, and is done, partly done or not done."""
    rows = _clauses()[document]
    names = [row[0] for row in rows]

    assert len(names) == len(set(names))
    for row in rows:
        assert len(row) == 6, row
        assert row[1], row
        assert re.fullmatch(rf"(?:{'|'.join(STATES)})(?:: .+)?", row[4]), row
        assert not row[4].startswith("partly") or ":" in row[4], row


def test_clauses_of_the_technical_code_are_complete() -> None:
    """Chapter 4 of the technical code is listed with every numbered item."""
    counted = [item.split(":") for item in TC_ITEMS.split()]
    items = {name: int(count) for name, count in counted}
    expected = [f"{name}-{i}" if n else name for name, n in items.items() for i in range(1, max(n, 1) + 1)]

    assert [row[0] for row in _clauses()["TC chapter 4"]] == expected


def test_clauses_done_or_partly_cite_files_and_tests_that_exist() -> None:
    """What is claimed can be opened: the cited files and tests exist."""
    lost = []
    for row in (row for rows in _clauses().values() for row in rows if len(row) == 6):
        cited = [*re.findall(r"`([^`]+)`", row[2]), *re.findall(r"`([^`]+)`", row[3])]
        if row[4].startswith("not"):
            assert not cited, row
        else:
            assert row[2], row
            assert row[3], row
            lost += [(row[0], path) for path in cited if not (ROOT / path).exists()]

    assert lost == []


@pytest.mark.parametrize("file", ["README.md", "README.zh-CN.md"])
def test_readme_names_both_commands_and_the_other_language(file: str) -> None:
    """A newcomer finds how to run and how to test, in either language."""
    text = (ROOT / file).read_text(encoding="utf-8")

    assert "make run" in text
    assert "make test" in text
    assert ({"README.md", "README.zh-CN.md"} - {file}).pop() in text


def test_readmes_list_the_same_commands() -> None:
    """The two READMEs do not drift apart in what they promise."""
    names = []
    for file in ("README.md", "README.zh-CN.md"):
        rows = _rows((ROOT / file).read_text(encoding="utf-8"))
        names.append([row[0] for row in rows if row[0].startswith("`")])

    assert names[0] == names[1]


@pytest.mark.parametrize("example", _fenced("json"))
def test_message_example_in_json_parses(example: str) -> None:
    """A JSON example is JSON, and a notice among them is a notice of ours."""
    found = json.loads(example)

    assert found
    if isinstance(found, dict) and found.get("notice") in ("command", "config"):
        order = msgspec.json.decode(example, type=orders.Order)
        assert orders.decode_order(orders.encode_order(order)) == order
    elif isinstance(found, dict) and "notice" in found:
        message = msgspec.json.decode(example, type=messages.Notice)
        assert messages.decode(messages.encode(message)) == message


@pytest.mark.parametrize(
    "example", [text for text in _fenced("json") + _fenced("ndjson") if '"notice"' not in text]
)
def test_message_example_of_a_foreign_sender_is_accepted_whole(example: str) -> None:
    """What the page shows to foreign senders is read without a refusal."""
    readings, refusals, _ = read_json(example.encode())

    assert readings
    assert refusals == []


@pytest.mark.parametrize("example", _fenced("ndjson"))
def test_message_example_in_ndjson_parses_line_by_line(example: str) -> None:
    """Each line of an NDJSON example is one object with the version."""
    for line in example.splitlines():
        assert json.loads(line)["v"] == VERSION


def test_message_byte_tables_add_up() -> None:
    """Offsets of the byte tables are the sums of the sizes before them; the envelope has its true size."""
    text = (ROOT / "schemas" / "messages.md").read_text(encoding="utf-8")
    for section in ("## 1 Envelope", "## 2 Kind 1: frame"):
        rows = [row for row in _rows(text.split(section)[1].split("\n## ")[0]) if row[0].isdigit()]
        sizes = [int(row[1] or 0) for row in rows]
        assert [int(row[0]) for row in rows] == [sum(sizes[:index]) for index in range(len(rows))]
    envelope = _rows(text.split("## 1 Envelope")[1].split("\n## ")[0])

    assert int(envelope[-1][0]) == messages.ENVELOPE.size
    assert f"version | 1 or {messages.VERSION} |" in text


def test_message_notices_listed_are_those_of_the_code() -> None:
    """Every kind of notice is described, and none that does not exist."""
    text = (ROOT / "schemas" / "messages.md").read_text(encoding="utf-8")
    section = text.split("## 4 Kind 3")[1].split("\n##")[0]
    listed = {row[0].strip("`") for row in _rows(section)[1:]}
    classes = [kind for _, kind in inspect.getmembers(notices, inspect.isclass)]
    said = [kind for kind in classes if issubclass(kind, msgspec.Struct) and kind.__name__.endswith("Notice")]

    assert listed == {kind.__struct_config__.tag for kind in said}
