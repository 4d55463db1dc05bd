"""`nengliu repair`: what was tampered with is as it was, and nothing else has moved."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import Result

from nengliu.domain.times import STORED
from nengliu.settings import Settings
from nengliu.storage import connect, disconnect
from tests.cli import test_audit as audited

laid, tamper = audited.laid, audited.tamper
"""The store of the audit, and what may be planted into it."""
OF_WINDOWS = [name for name, (change, _) in audited.PLANTED.items() if change[0].startswith("window")]


def repair(settings: Settings, *words: str) -> Result:
    """Repair the plant."""
    return audited.run(settings, "repair", *words)


def windows(settings: Settings) -> dict[str, Any]:
    """What is read of each level, all columns."""
    client = connect(settings)
    query = "SELECT count(), sum(cityHash64(toString(tuple(*)))) FROM {}_{} FINAL"
    kinds = [(kind, level) for kind in ("window", "total") for level in STORED]
    found = {one: client.query(query.format(*one)).result_rows for one in kinds}
    disconnect(client)
    return found


def test_store_in_order_is_left_alone(laid: Settings) -> None:
    """Nothing disagrees; computing everything anew changes no row either."""
    before = windows(laid)
    for words in ((), ("--all", "--apply")):
        result = repair(laid, *words)
        assert (result.exit_code, result.stdout) == (0, "Nothing disagrees.\n")
    assert windows(laid) == before


@pytest.mark.parametrize(
    "names", [OF_WINDOWS, *([pytest.param([n], marks=pytest.mark.slow) for n in OF_WINDOWS])]
)
def test_planted_windows_are_mended(laid: Settings, tamper: audited.Tampering, names: list[str]) -> None:
    """The preview changes nothing; `--apply` gives back every column of every row, and the audit is content."""
    before = windows(laid)
    for name in names:
        tamper(*audited.PLANTED[name][0])
    spoilt = windows(laid)
    assert spoilt != before

    preview = repair(laid)
    assert "would be written; nothing was changed" in preview.stdout
    assert windows(laid) == spoilt
    applied = repair(laid, "--apply")
    assert applied.stdout == preview.stdout.replace(
        "would be written; nothing was changed (--apply)", "were written"
    )
    assert windows(laid) == before
    assert repair(laid).stdout == "Nothing disagrees.\n"
    assert audited.audit(laid).exit_code == 0


def test_total_that_is_not_the_sum_of_its_points_is_made_anew(
    laid: Settings, tamper: audited.Tampering
) -> None:
    """A day's total changed behind the flow."""
    before = windows(laid)
    tamper("total_day", "UPDATE used = used + 1", f"item = 'electricity' AND {audited.DAY}")
    assert windows(laid) != before

    assert "and 1 months of totals, were written" in repair(laid, "--apply").stdout
    assert windows(laid) == before


def test_window_of_no_reading_is_taken_away(laid: Settings, tamper: audited.Tampering) -> None:
    """A quarter-hour, its hour and a whole day that no reading gives are gone; what readings give stays."""
    before = windows(laid)
    moved = "period_start + toIntervalDay(5) AS period_start"
    for table, where in (("window_15min", audited.hour(10)[0]), ("window_day", audited.DAY)):
        tamper(table, f"REPEAT ({moved})", f"point = 'line' AND {where}")

    repair(laid, "--all", "--apply")
    assert windows(laid) == before
