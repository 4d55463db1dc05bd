"""`nengliu import FILE --map MAP.toml`: a file of readings into the log, with every row accounted for."""

from __future__ import annotations

import csv
import functools
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from acquisition.files.mapping import Map, load_map
from acquisition.files.preview import Preview, preview
from acquisition.files.publish import ImportReport, Options, Run, import_file, plan_run
from acquisition.files.tables import digest_of
from nengliu import settings
from nengliu.bus.open import open_log
from nengliu.cli.language import LANGUAGES, language
from nengliu.domain.quality import Quality, Reason
from nengliu.domain.scope import SYSTEM
from nengliu.domain.times import from_ms
from nengliu.errors import StorageError
from nengliu.settings import Settings
from schemas.messages import RejectedRow

WAIT_S, LOOK_S = 600.0, 0.5
"""How long `--wait` waits for the flows, and how often it looks."""

SHOWN = 10
TEXTS = {
    "zh": {
        "help": "导入历史文件（CSV、XLSX、Parquet）：按映射文件的说明读取，写入日志，逐行可查。",
        "epilog": """\b
示例：
  nengliu import 用电.csv --map 用电.toml --dry-run   先看前几行是否读对，不写入任何内容
  nengliu import 用电.csv --map 用电.toml             导入；中断后重新执行同一命令即可，不会重复
  nengliu import 历史.parquet --map m.toml --yes --json   用于脚本
\b
映射文件的写法与示例：examples/maps/README.md""",
        "map": "映射文件：单位、时间、各列对应的测点。",
        "dry_run": "只读取并显示结果，不写入任何内容。",
        "yes": "不询问，直接导入。",
        "json": "以 JSON 输出结果。",
        "rows": "预览的行数。",
        "wait": "等到数据流处理完毕再返回。",
        "lang": "界面语言。",
        "digest": "核对文件",
        "reading": "读取",
        "publish": "按接收顺序写入日志",
        "first": "前 {n} 个读数（时间为北京时间，区间量以起点命名）",
        "columns": "时间|测点|数值|单位|质量",
        "rejected_title": "前 {n} 个被拒绝的数值",
        "rejected_columns": "行|测点|原因|内容",
        "ask": "将 {file} 导入 {name}（{code}），共 {points} 个测点？",
        "nothing_done": "未写入任何内容。",
        "dry": "试读完成，未写入任何内容：",
        "done": "导入完成：",
        "again": "此文件以前按同一映射导入过，沿用原来的来源序号；已有的数据不会改变。",
        "counts": "文件 {rows} 行，数值 {values} 个 = 读数 {readings} 个 + 拒绝 {rejected} 个；"
        "修正时标 {repaired} 个，按小数位舍入 {rounded} 个。",
        "rejected_file": "全部被拒绝的数值及原因：{file}",
        "next": "读数已写入日志（不会丢失）。数据库尚未运行：执行 `nengliu up` 后入库并显示。",
        "flows": "读数已写入日志；数据流（`nengliu up` 或 `nengliu flow all`）运行时会自动入库。",
        "waited": "数据流已处理完毕。",
        "late": "数据流尚未处理完毕；请确认 `nengliu up` 正在运行。",
        "broken_off": "导入中断。重新执行同一命令即可继续，不会重复。",
    },
    "en": {
        "help": "Import a file of readings (CSV, XLSX, Parquet) as a map describes it.",
        "epilog": """\b
Examples:
  nengliu import power.csv --map power.toml --dry-run   see how rows are understood; writes nothing
  nengliu import power.csv --map power.toml             import; if it breaks off, run it again
  nengliu import history.parquet --map m.toml --yes --json   for scripts
\b
How to write a map, with examples: examples/maps/README.md""",
        "map": "The map: enterprise, time, and which column is which point.",
        "dry_run": "Only read and show; write nothing.",
        "yes": "Import without asking.",
        "json": "Print the result as JSON.",
        "rows": "Rows of the preview.",
        "wait": "Return when the flows have taken it in.",
        "lang": "Language.",
        "digest": "Checking",
        "reading": "Reading",
        "publish": "Writing in order of receipt",
        "first": "The first {n} readings (China time; an amount is named by the start of its interval)",
        "columns": "time|point|value|unit|quality",
        "rejected_title": "The first {n} rejected values",
        "rejected_columns": "row|point|reason|text",
        "ask": "Import {file} into {name} ({code}), {points} points?",
        "nothing_done": "Nothing was written.",
        "dry": "Read through; nothing was written:",
        "done": "Imported:",
        "again": "This file was imported with this map before: it keeps its source sequence, "
        "and no stored row changes.",
        "counts": "{rows} rows, {values} values = {readings} readings + {rejected} rejected; "
        "{repaired} stamps repaired, {rounded} values rounded to the declared decimals.",
        "rejected_file": "Every rejected value with its reason: {file}",
        "next": "The readings are in the log and safe. The store does not run: `nengliu up` takes "
        "them in and shows them.",
        "flows": "The readings are in the log; the flows (`nengliu up` or `nengliu flow all`) take "
        "them in as they run.",
        "waited": "The flows have taken it in.",
        "late": "The flows have not taken it in yet; see that `nengliu up` runs.",
        "broken_off": "Broken off. Run the same command again to go on; nothing is doubled.",
    },
}


def _say(key: str, **parameters: object) -> str:
    return TEXTS[language()][key].format(**parameters)


def _choose_language(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    del ctx, parameter
    if value:
        os.environ["NENGLIU_LANG"] = value
    return value


@click.command(
    "import",
    help=_say("help"),
    epilog=_say("epilog"),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--map", "map_file", required=True, type=click.Path(path_type=Path), metavar="MAP.toml", help=_say("map")
)
@click.option("--dry-run", is_flag=True, help=_say("dry_run"))
@click.option("--yes", "-y", is_flag=True, help=_say("yes"))
@click.option("--json", "as_json", is_flag=True, help=_say("json"))
@click.option("--rows", default=SHOWN, show_default=True, type=click.IntRange(1, 1000), help=_say("rows"))
@click.option("--wait", is_flag=True, help=_say("wait"))
@click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    is_eager=True,
    expose_value=False,
    callback=_choose_language,
    help=_say("lang"),
)
def import_command(  # noqa: PLR0913 - one parameter per option
    file: Path, map_file: Path, *, dry_run: bool, yes: bool, as_json: bool, rows: int, wait: bool
) -> None:
    """Import a file of readings."""
    plan, now = load_map(map_file), settings.load()
    if dry_run:
        _show_preview(file, plan, now, rows, as_json=as_json)
        return
    run = _plan(file, plan, now, quiet=as_json)
    if not (yes or as_json or not sys.stdin.isatty()):
        names = plan.enterprise.name, plan.enterprise.enterprise
        if not click.confirm(
            _say("ask", file=file.name, name=names[0], code=names[1], points=len(plan.series))
        ):
            click.echo(_say("nothing_done"))
            return
    before = _finished(now, run)
    report, rejected, listed = _import(file, plan, now, run, quiet=as_json)
    waited = _wait(now, run, before) if wait else None
    if as_json:
        told = asdict(report) | {"rejected_file": str(listed) if listed else None, "taken_in": waited}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    _show_report(report, rejected, listed)
    _show_next(now, waited=waited)


def _plan(file: Path, plan: Map, now: Settings, *, quiet: bool) -> Run:
    with _bar(file, quiet=quiet) as progress:
        digest = digest_of(file, plan, lambda done: progress("digest", done))
    journal, remembered = now.home / "imports" / f"{digest}.json", None
    if journal.is_file():
        try:
            remembered = int(json.loads(journal.read_text(encoding="utf-8"))["base"])
        except (OSError, ValueError, KeyError, TypeError):
            remembered = None
    return plan_run(plan, digest, functools.partial(_find_in_store, now), remembered)


def _find_in_store(now: Settings, enterprise: str, digest: str) -> int | None:
    """Ask the store for the base of an earlier import; None if it is away or knows none."""
    rows = _runs_in_store(now, enterprise, digest)
    return int(rows[0]["sequence_base"]) if rows else None


def _finished(now: Settings, run: Run) -> int:
    """Count the ended runs of this import that the flows have taken in."""
    return sum(row["rows"] > 0 for row in _runs_in_store(now, run.enterprise, run.digest))


def _wait(now: Settings, run: Run, before: int) -> bool:
    """Look until the flows have taken in one more ended run: it is the last message of an import."""
    until = time.monotonic() + WAIT_S
    while _finished(now, run) <= before:
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_S)
    return True


def _runs_in_store(now: Settings, enterprise: str, digest: str) -> list[dict[str, Any]]:
    """Ask the store for the runs of an import, newest first; none while it is away."""
    if not now.store and not (now.store_home / "port").is_file():
        return []
    from nengliu import storage

    try:
        client = storage.connect(now)
        try:
            rows = storage.ask(client, "imports", SYSTEM, enterprise=enterprise).to_pylist()
        finally:
            storage.disconnect(client)
    except StorageError:
        return []
    return [row for row in rows if row["digest"] == digest]


def _import(
    file: Path, plan: Map, now: Settings, run: Run, *, quiet: bool
) -> tuple[ImportReport, list[RejectedRow], Path | None]:
    folder = now.home / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    listed = _RejectedList(folder / f"{run.digest}-rejected.csv")
    with _bar(file, quiet=quiet) as progress, closing(open_log(now)) as log:
        remember = functools.partial(_remember, folder)
        options = Options(now.future_s, folder, remember, listed.add, progress)
        try:
            report = import_file(file, plan, log, run=run, options=options)
        except KeyboardInterrupt:
            click.echo(_say("broken_off"), err=True)
            raise
    return report, listed.first, listed.path if report.rejected else None


def _remember(folder: Path, run: Run) -> None:
    """Keep the base of a run before its first message, for the case that it is cut off."""
    draft, final = folder / f"{run.digest}.json.new", folder / f"{run.digest}.json"
    draft.write_text(json.dumps({"enterprise": run.enterprise, "base": run.base}), encoding="utf-8")
    draft.replace(final)


class _RejectedList:
    """The CSV of rejected values; it is made when there is one, and keeps the first for the screen."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.first: list[RejectedRow] = []
        path.unlink(missing_ok=True)

    def add(self, rows: list[RejectedRow]) -> None:
        """Append some to the file."""
        if not rows:
            return
        self.first += rows[: max(0, SHOWN - len(self.first))]
        fresh = not self.path.exists()
        with self.path.open("a", encoding="utf-8-sig" if fresh else "utf-8", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(["row", "point", "code", "reason", "text"])
            writer.writerows(
                [one.row, one.point, Reason(one.reason).name, reason_text(one), one.text] for one in rows
            )


@functools.cache
def _reasons() -> dict[int, dict[str, str]]:
    text = resources.files("schemas").joinpath("codes/reasons.csv").read_text(encoding="utf-8")
    return {int(row["id"]): row for row in csv.DictReader(text.splitlines())}


def reason_text(rejected: RejectedRow) -> str:
    """Say in the reader's language why a value was rejected."""
    row = _reasons().get(rejected.reason)
    if row is None:
        return str(rejected.reason)
    return row[language()].format_map(
        defaultdict(lambda: "?", rejected.parameters | {"point": rejected.point})
    )


@contextmanager
def _bar(file: Path, *, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """Show how many bytes of the file are read, on standard error."""
    size = file.stat().st_size if file.is_file() else 0
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=quiet or not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=size)

        def told(phase: str, done: int) -> None:
            if phase == "publish":
                progress.update(task, description=_say("publish"))
            else:
                name = "digest" if phase == "digest" else "reading"
                progress.update(task, description=_say(name), completed=min(done, size))

        yield told


def _show_preview(file: Path, plan: Map, now: Settings, rows: int, *, as_json: bool) -> None:
    with _bar(file, quiet=as_json) as progress:
        seen = preview(file, plan, rows, future_s=now.future_s, on_progress=progress)
    if as_json:
        told = asdict(seen.counts) | {"dry_run": True, "first": list(_lines(plan, seen))}
        click.echo(json.dumps(told, ensure_ascii=False))
        return
    table = Table(
        *_say("columns").split("|"), title=_say("first", n=len(seen.readings)), title_justify="left"
    )
    for line in _lines(plan, seen):
        table.add_row(*line)
    Console().print(table)
    _show_rejected(seen.rejected)
    click.echo(_say("dry") + " " + _say("counts", **asdict(seen.counts)))


def _lines(plan: Map, seen: Preview) -> Iterator[list[str]]:
    readings = seen.readings
    for i in range(len(readings)):
        column = plan.series[int(readings.column[i])].column
        marks = [Quality(int(readings.quality[i])).name, Reason(int(readings.reason[i])).name]
        value = format(Decimal(int(readings.values[i])).scaleb(-column.decimals), "f")
        when = from_ms(int(readings.read_at_ms[i])).strftime("%Y-%m-%d %H:%M:%S")
        yield [
            when,
            column.point,
            value,
            column.unit,
            " ".join(mark for mark in marks if mark != "NONE").lower(),
        ]


def _show_rejected(rejected: list[RejectedRow]) -> None:
    if not rejected:
        return
    title = _say("rejected_title", n=len(rejected))
    table = Table(*_say("rejected_columns").split("|"), title=title, title_justify="left")
    for one in rejected:
        table.add_row(str(one.row), one.point, reason_text(one), one.text[:40])
    Console().print(table)


def _show_report(report: ImportReport, rejected: list[RejectedRow], listed: Path | None) -> None:
    _show_rejected(rejected)
    click.echo(_say("done") + " " + _say("counts", **asdict(report)))
    if listed is not None:
        click.echo(_say("rejected_file", file=listed))
    if report.again:
        click.echo(_say("again"))


def _show_next(now: Settings, *, waited: bool | None) -> None:
    if waited is not None:
        click.echo(_say("waited" if waited else "late"))
        return
    away = not now.store and not (now.store_home / "port").is_file()
    click.echo(_say("next" if away else "flows"))
