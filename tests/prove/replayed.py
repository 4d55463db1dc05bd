"""Point 4: the same log gives the same incidents: after kills, with two workers, with the flows apart."""

from __future__ import annotations

import random
import threading
import time
from itertools import islice
from pathlib import Path

import injected
import rig
import sixty_four

from nengliu.bus.open import publish_tick
from schemas.messages import encode
from schemas.topics import RAW

TABLES = ("incident", "incident_event")
KILLS, APPENDS = 12, 400
SLICE = 20_000
"""Messages of the injected set that are replayed: some weeks of all its meters."""


def prove(data: Path, report: rig.Report, seed: int) -> None:
    """Compare the rows of four runs over one list of messages."""
    story = _story(data, seed)
    calm = _whole(story, "all")
    report.note(
        f"calm run: {calm['incident'][0]} incidents, {calm['incident_event'][0]} entries in the journal"
    )
    runs = {
        "replayed from the start": lambda: _whole(story, "all"),
        "two workers": lambda: _whole(story, "all", workers=2),
        "ingest and anomaly apart": lambda: _whole(story, "ingest", "anomaly"),
        f"{KILLS} kills": lambda: _killed(story, report, seed, ("all",)),
        f"{KILLS} kills, apart": lambda: _killed(story, report, seed + 1, ("ingest", "anomaly")),
    }
    for name, run in runs.items():
        found = run()
        figure = f"{found['incident'][0]} incidents, {found['incident_event'][0]} journal entries"
        report.point(f"4 {name}: the same rows", figure, holds=found == calm and calm["incident"][0] > 0)


def _story(data: Path, seed: int) -> list[tuple[str, bytes]]:
    """Messages of the injected set and of the plants of point 3, as one list."""
    found = list(islice(injected.messages(data, "inj_dev_hard"), SLICE))
    for number, code in enumerate(
        (sixty_four.SILENT, sixty_four.BACK, sixty_four.FROZEN, sixty_four.STOPPED)
    ):
        found += [(code, encode(message)) for message in sixty_four.plant(code, seed + number)]
    return found


def _whole(story: list[tuple[str, bytes]], *flows: str, workers: int = 1) -> dict[str, tuple[int, int]]:
    """Let flows take the whole story in, in one go."""
    with rig.Installation() as installation:
        log = installation.log()
        log.append(RAW, story)
        _tick(log)
        log.close()
        for flow in flows:
            installation.run(
                "flow", flow, "--stop-at-end", *(("--workers", str(workers)) if workers > 1 else ())
            )
        return installation.fingerprints(TABLES)


def _killed(
    story: list[tuple[str, bytes]], report: rig.Report, seed: int, flows: tuple[str, ...]
) -> dict[str, tuple[int, int]]:
    """Append the story bit by bit while flows and store are killed; then let the flows come to the end."""
    rng = random.Random(seed)
    with rig.Installation() as installation:
        appending = threading.Thread(target=_append, args=(installation, story))
        for flow in flows:
            installation.start(flow, installation.command("flow", flow))
        appending.start()
        for _ in range(KILLS):
            time.sleep(rng.uniform(1.5, 4))
            victim = rng.choice([*flows, "store"])
            installation.kill(victim)
            if victim == "store":
                installation.store()
            for flow in flows:
                if installation.children[flow].poll() is not None:
                    installation.start(flow, installation.command("flow", flow))
        appending.join()
        for flow in flows:
            installation.kill(flow)
        for flow in flows:
            installation.run("flow", flow, "--stop-at-end")
        report.note(f"{KILLS} kills done of {', '.join(flows)} and the store")
        return installation.fingerprints(TABLES)


def _append(installation: rig.Installation, story: list[tuple[str, bytes]]) -> None:
    log = installation.log()
    size = -(-len(story) // APPENDS)
    for batch in (story[at : at + size] for at in range(0, len(story), size)):
        log.append(RAW, batch)
        time.sleep(0.08)
    _tick(log)
    log.close()


def _tick(log: object) -> None:
    publish_tick(log, sixty_four.START_S + sixty_four.DAYS * 96 * sixty_four.QUARTER_S)  # type: ignore[arg-type]
