"""`nengliu acquire template`: key equipment and meters as templates; [[points]] for collector.toml."""

from __future__ import annotations

from pathlib import Path

import click

from acquisition.drivers.meters.catalogue import about
from acquisition.drivers.meters.equipment import (
    Equipment,
    EquipmentPoint,
    Tag,
    as_points,
    load_equipment,
    shipped_equipment,
)
from acquisition.drivers.meters.meter_maps import load_map, shipped_maps
from acquisition.drivers.scanning.writing import point_lines, text_of
from nengliu.cli.language import examples, language, say
from nengliu.cli.listing import print_columns
from nengliu.errors import InputError, nearest


@click.command(help=say("acquire.template"), epilog=examples("acquire_template"))
@click.argument("name", required=False)
@click.option("--points", is_flag=True, help=say("scan.opt_points"))
@click.option("--with", "options", multiple=True, metavar="OPTION", help=say("scan.opt_with"))
@click.option("--optional", is_flag=True, help=say("scan.opt_optional"))
@click.option("--prefix", default="", help=say("scan.opt_prefix"))
@click.option("--title", default="", help=say("scan.opt_title"))
@click.option("--title-en", default="", help=say("scan.opt_title_en"))
@click.option("--place", default="", help=say("scan.opt_place"))
@click.option("--output", "-o", type=click.Path(path_type=Path), help=say("scan.opt_append"))
def template(  # noqa: PLR0913, each is an option of the command
    name: str | None,
    *,
    points: bool,
    options: tuple[str, ...],
    optional: bool,
    prefix: str,
    title: str,
    title_en: str,
    place: str,
    output: Path | None,
) -> None:
    """Show templates, or write the points of one."""
    if name is None:
        _show_all()
    elif name in shipped_maps():
        _show_map(name)
    elif name not in shipped_equipment():
        known = (*shipped_equipment(), *shipped_maps())
        raise InputError(f"template: expected one that is shipped, got {name!r}; {nearest(name, known)}")
    elif points or output:
        equipment = load_equipment(name)
        tag = Tag(prefix or name, title or equipment.title, title_en or equipment.title_en, place)
        text = points_text(equipment, equipment.chosen(options, optional=optional), tag)
        _hand_out(text, output)
    else:
        equipment = load_equipment(name)
        _show_equipment(equipment, equipment.chosen(options, optional=True))


def points_text(equipment: Equipment, chosen: tuple[EquipmentPoint, ...], tag: Tag) -> str:
    """Write the [[points]] of one equipment, each with the row it fulfils and the item of a map that feeds it."""
    lines = [f"# {tag.name}: {equipment.title} {equipment.title_en}, {equipment.clause}"]
    for one, point in zip(chosen, as_points(chosen, tag, ""), strict=True):
        asked = f"{equipment.clause} {one.row}" if one.row else say("scan.optional")
        fed = say("scan.fed", item=one.reads) if one.reads else ""
        lines += point_lines(point, "; ".join(filter(None, (asked, fed))))
    return text_of(lines)


def _hand_out(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with output.open("a", encoding="utf-8") as file:
            file.write(("\n" if output.stat().st_size else "") + text)
    except OSError as error:
        raise InputError(f"{output}: expected a file that can be written, got: {error}") from error
    click.echo(say("scan.appended", file=output, points=text.count("[[points]]")))


def _show_all() -> None:
    rows = [tuple(say("scan.equipment_columns").split("|"))]
    for name in shipped_equipment():
        found = load_equipment(name)
        options = " ".join(option.name for choice in found.choices for option in choice.options)
        required = sum(one.required for one in found.chosen())
        spare = len(found.chosen(optional=True)) - required
        rows.append((name, _title(found), str(required), str(spare), options))
    print_columns(rows)
    rows = [tuple(say("scan.map_columns").split("|"))]
    for name in shipped_maps():
        told = about(name)
        rows.append((name, told.title, told.protocol, str(len(load_map(name).items)), _yes(told.verified)))
    click.echo()
    print_columns(rows)


def _show_equipment(found: Equipment, chosen: tuple[EquipmentPoint, ...]) -> None:
    click.echo(f"{_title(found)} ({found.clause})")
    rows = [tuple(say("scan.point_columns").split("|"))]
    for one in chosen:
        name = one.zh if language() == "zh" else one.en
        kind = say(f"scan.kind_{one.kind}")
        cells = (one.name, name, kind, one.unit, str(one.decimals), str(one.interval_s or ""))
        rows.append((*cells, _yes(one.required), one.row, one.reads))
    print_columns(rows)
    click.echo(say("scan.source", source=found.source))


def _show_map(name: str) -> None:
    told = about(name)
    click.echo(told.title)
    items = [(one.name, one.unit, str(one.decimals)) for one in load_map(name).items]
    print_columns([tuple(say("scan.item_columns").split("|")), *items])
    click.echo(say("scan.source", source=told.source))
    if not told.verified:
        click.echo(say("scan.unverified"))


def _title(found: Equipment) -> str:
    return found.title if language() == "zh" else found.title_en


def _yes(holds: object) -> str:
    return say("scan.yes") if holds else say("scan.no")
