"""Rows for the eye, printed whole: no column is cut to the width of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import click
from rich.cells import cell_len, set_cell_size


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns as wide as their widest cell, Chinese characters counted as two."""
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(set_cell_size, row, widths)).rstrip() for row in rows)
    click.echo("\n".join(lines))


def number(ticks: int, decimals: int) -> str:
    """Write ticks as a number.

    >>> number(12345, 2)
    '123.45'
    """
    return f"{Decimal(ticks).scaleb(-decimals):f}"
