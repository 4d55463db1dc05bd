"""A bar on standard error that shows how far a command is; it goes when the work is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Step(Protocol):
    """Moves a bar on."""

    def __call__(self, steps: int = 1, text: str | None = None) -> None:
        """So many steps are done; `text` says what is done now."""


@contextmanager
def bar(text: str, total: int | None) -> Iterator[Step]:
    """Show how many of `total` steps are done; None: nobody knows how many there will be."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    said = TextColumn("{task.description}"), MofNCompleteColumn()
    columns = (SpinnerColumn(), *said) if total is None else (BarColumn(), *said, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(text, total=total)

        def step(steps: int = 1, text: str | None = None) -> None:
            progress.update(task, advance=steps, description=text)

        yield step
