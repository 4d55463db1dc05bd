"""Limits of the rules, in one frozen place; each with its origin.

Sources: domain.md 6.2 (catalogue of the grid's online monitoring practice), data.md 5d (measured);
what says *ours* is a choice of this project.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """Limits of all rules; times in seconds, spans in sampling intervals where they say so."""

    quiet_intervals: float = 2.5
    """C1, C2: silent for more than 2 intervals; the half is for jitter."""
    quiet_least_s: int = 1800
    """C1: and for at least 30 minutes."""
    quiet_change_s: int = 6 * 3600
    """A change-of-value source says nothing while nothing changes; ours."""
    down_patience_s: int = 120
    """A meter that its collector calls down waits so long for the others of its line; ours."""
    gather_intervals: float = 1.0
    """What concerns one meter waits so long for its neighbours, so that one cause becomes one incident; ours."""
    gather_share: float = 0.25
    """And at least this share of the limit of silence, for sources that speak seldom; ours."""
    share_of_parent: float = 0.6
    """Evidence of so many of a collector's meters at once is evidence of the collector; ours."""
    late_least_s: int = 1800
    """C5: a reading is late beyond this and beyond two intervals; ours."""
    clock_off_s: int = 90
    """C6: receipt jitters by less than 40 s, so a limit of 90 s costs nothing (data.md 5d)."""
    clock_steady_s: int = 60
    """A clock is off when the offset stays within this over three readings; a queue's lateness does not; ours."""
    repeats_within_s: int = 7200
    """C7: twice at least, within two hours."""
    holes: int = 3
    """C3: three polls that failed ..."""
    holes_within_s: int = 6 * 3600
    """... within six hours; ours."""
    backward_steps: int = 1
    """M1: a register may fall by its least digit."""
    over_rated: float = 1.2
    """M2: rated power times k = 1.2."""
    jump: float = 3.0
    """M2: so many times the rated power is a jump, less is a wrong ratio; ours."""
    rollover_from: float = 0.9
    rollover_to: float = 0.1
    """A legal rollover goes from above 90 % to below 10 % of the modulus (domain.md 6.2)."""
    reset_share: float = 0.01
    """Without rated power, a register below this share of what it showed began anew; ours."""
    still_intervals: int = 4
    """M3: four intervals without movement while others move."""
    constant_intervals: int = 8
    """M4: eight samples of exactly one value."""
    resting_intervals: int = 2
    """A register rests, rather than being coarse, after two intervals without movement; ours."""
    idle_factor: int = 20
    """A point that rests half the week must stand so many times half the limit longer, for its hours vary; ours."""
    start_s: int = 3600
    """A plant that started runs when most of it has run for an hour: the rest follows in stages; ours."""
    witness_s: int = 8 * 86_400
    """One that has not moved for longer than a week is no witness any more; ours."""
    settle_intervals: float = 3.5
    """What stands is looked at together when nothing began or ended to stand for so long ..."""
    settle_most_intervals: int = 24
    """... or the first of it has waited so long; ours."""
    crowd: int = 3
    """So many that stand together are no chance; ours."""
    share_of_crowd: float = 0.1
    """Where so many of a collector's meters stand together it is one incident of the collector; ours."""
    rest_factor: float = 1.5
    """A point that rests by nature must stand still longer than ever before, by this factor; ours."""
    rest_half_life_s: int = 14 * 86_400
    """What a point's rests were is forgotten by half in two weeks, so that weekends are remembered; ours."""
    rest_again_s: int = 8 * 86_400
    """A standstill that was evidence is a rest if another one came within a week before it; ours."""
    cached_share: float = 0.25
    """A catch-up brings at least this share of what is due after the rate before; ours."""
    active_most_s: int = 3600
    """A step longer than this does not tell when it moved; ours."""
    cached_intervals: float = 2.5
    """A shorter standstill that is caught up is no evidence; ours."""
    value_repeats: int = 3
    """M5: out of range three times."""
    hold_s: int = 7200
    """An incident ends when its evidence has been away so long, and begins again within as long; ours."""
    holes_hold_s: int = 6 * 3600
    """Losses are rare by nature; ours."""
    forget_s: int = 30 * 86_400
    """What ended and was seen by nobody is closed after 30 days (ISA-18.2 leaves it open); ours."""
    tick_gap_s: int = 1800
    """Ticks further apart: nobody watched, so nobody was silent; ours."""
    evidence_kept: int = 20
    """Entries of evidence of an incident."""
