"""What people do about incidents: each action, its end, and what cannot be done."""

from __future__ import annotations

from typing import Any

from factories import AT_S, ENTERPRISE, OTHER
from watch.scene import QUARTER_S, Scene

from schemas.messages import ActionNotice


def silent() -> Scene:
    """A plant whose collector is silent."""
    scene = Scene()
    scene.run(0, 10)
    scene.tick(13)
    return scene


def act(scene: Scene, action: str, at: float, **given: Any) -> None:
    """Let a person do something about the only incident."""
    fixed: dict[str, Any] = {"enterprise": ENTERPRISE, "incident": scene.only["incident"], "by": "li"}
    scene.take(ActionNotice(action=action, at_s=AT_S + round(at * QUARTER_S), **(fixed | given)))


def test_acknowledged_and_cleared_is_closed() -> None:
    """Whoever saw it need not see its end."""
    scene = silent()
    act(scene, "acknowledge", 14, reason="on site")
    assert (scene.only["state"], scene.only["acknowledged_by"], scene.only["comment"]) == (
        "active_ack",
        "li",
        "on site",
    )
    scene.run(20, 21)
    assert scene.only["state"] == "closed"
    assert scene.said == ["opened", "acknowledged", "cleared", "closed"]


def test_cleared_and_acknowledged_is_closed() -> None:
    """The other way round."""
    scene = silent()
    scene.run(20, 21)
    act(scene, "acknowledge", 22)
    assert scene.only["state"] == "closed"


def test_what_was_closed_by_itself_may_begin_again() -> None:
    """Its evidence comes back within two hours: the same incident, to be acknowledged anew."""
    scene = silent()
    act(scene, "acknowledge", 14)
    scene.run(14, 16)
    scene.tick(19)
    assert scene.only["state"] == "active_unack"
    assert scene.only["acknowledged_by"] == ""
    assert scene.said[-1] == "reopened"


def test_a_shelving_ends_at_its_time_or_by_hand() -> None:
    """Shelved with a reason until a time of the log's clock."""
    scene = silent()
    act(scene, "shelve", 14, reason="overhaul", until_s=AT_S + 20 * QUARTER_S)
    assert scene.only["shelved_until"] == AT_S + 20 * QUARTER_S
    assert scene.only["shelve_reason"] == "overhaul"
    scene.tick(21)
    assert scene.only["shelved_until"] == 0
    act(scene, "shelve", 22, reason="overhaul", until_s=AT_S + 90 * QUARTER_S)
    act(scene, "unshelve", 23)
    assert scene.only["shelved_until"] == 0
    assert scene.said == ["opened", "shelved", "unshelved", "shelved", "unshelved"]


def test_a_closed_incident_stays_closed() -> None:
    """Closed by hand while it lasts: the end of the silence changes nothing, and a new silence is a new incident."""
    scene = silent()
    act(scene, "close", 14, reason="known")
    assert (scene.only["state"], scene.only["closed_by"]) == ("closed", "li")
    assert scene.journal[-1]["parameters"] == '{"reason": "known"}'
    scene.run(20, 22)
    assert scene.said == ["opened", "closed"]
    scene.tick(26)
    assert sorted(row["state"] for row in scene.rows.values()) == ["active_unack", "closed"]


def test_what_cannot_be_done_is_said() -> None:
    """Actions on unknown or closed incidents, or on another tenant's, are refused in the journal."""
    scene = silent()
    act(scene, "acknowledge", 14, incident="0" * 16)
    act(scene, "acknowledge", 14, enterprise=OTHER)
    act(scene, "close", 14)
    act(scene, "acknowledge", 15)
    assert scene.said == ["opened", "refused", "refused", "closed", "refused"]
    assert scene.journal[1]["by"] == "li"
    assert scene.only["acknowledged_by"] == ""
