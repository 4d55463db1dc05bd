"""Questions about incidents: as last said, narrowed, with their journal."""

from __future__ import annotations

from collections.abc import Callable

from clickhouse_connect.driver.client import Client

from nengliu.domain.scope import SYSTEM
from nengliu.storage import Writer, ask
from schemas.block import Rows


def test_incidents_are_as_last_said_and_can_be_narrowed(
    client: Client, writer: Writer, rows: Callable[..., Rows]
) -> None:
    """The newest revision stands, with its enterprise beside it; each filter leaves out what it should."""
    writer.write(rows("enterprise"))
    ids = ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"]
    writer.write(rows("incident", incident=ids, members=[("a",), ("b", "c")], revision=[11, 12]))
    writer.write(rows("incident", incident=ids[1], state="closed", closed_at=60, revision=13, members=()))
    writer.flush()

    first, second = ask(client, "incidents", SYSTEM).to_pylist()
    assert (first["incident"], first["name"], first["region"], first["members"]) == (
        ids[0],
        "示例厂",
        "110105",
        ["a"],
    )
    assert (first["closed_at"], first["cleared_at"], first["shelved_until"]) == (None, None, None)
    assert (second["state"], second["members"], second["revision"]) == ("closed", [], 13)
    assert second["closed_at"].timestamp() == 60
    for given, seen in (
        ({"state": "open"}, ids[:1]),
        ({"state": "closed"}, ids[1:]),
        ({"class": "meter"}, []),
        ({"class": "link", "cause": 101}, ids),
        ({"cause": 102}, []),
        ({"region": "1101", "industry": "C3"}, ids),
        ({"region": "44"}, []),
        ({"industry": "D44"}, []),
        ({"enterprise": "x"}, []),
        ({"limit": 1}, ids[:1]),
    ):
        assert ask(client, "incidents", SYSTEM, **given)["incident"].to_pylist() == seen, given
    assert ask(client, "incident", SYSTEM, incident=ids[1]).to_pylist() == [second]


def test_journal_of_an_incident_is_in_its_order(
    client: Client, writer: Writer, rows: Callable[..., Rows]
) -> None:
    """What happened is told from the beginning, and once, however often it was written."""
    writer.write(
        rows("incident_event", position=[12, 11, 11], item=[0, 1, 0], what=["closed", "joined", "opened"])
    )
    writer.write(rows("incident_event"))
    writer.flush()
    found = ask(client, "incident_events", SYSTEM, incident="0123456789abcdef")

    assert found["what"].to_pylist() == ["opened", "joined", "closed"]
