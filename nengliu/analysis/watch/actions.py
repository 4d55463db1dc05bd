"""What people do about incidents: acknowledge, shelve with a reason and an end, unshelve, close.

An action is a message in the log, so a replay does it again at the same place; the journal says what
could not be done.
Source: ISA-18.2; design.md law 7.
"""

from __future__ import annotations

from collections.abc import Callable

from nengliu.analysis.watch.incident import Incident, Moment
from nengliu.analysis.watch.incidents import Incidents
from schemas.messages import ActionNotice


def act(notice: ActionNotice, incidents: Incidents, moment: Moment) -> None:
    """Do what a person asks for, at the time the person did it."""
    incident = incidents.by_id.get(notice.incident)
    known = incident is not None and incident.root.enterprise == notice.enterprise and not incident.closed_s
    if incident is None or not known:
        parameters = {"action": notice.action, "reason": notice.reason}
        incidents.refuse(notice.enterprise, notice.incident, moment, parameters, notice.by)
        return
    _DO[notice.action](notice, incident, incidents, moment._replace(clock_s=notice.at_s))


def _acknowledge(notice: ActionNotice, incident: Incident, incidents: Incidents, moment: Moment) -> None:
    incident.acknowledged_s, incident.acknowledged_by = notice.at_s, notice.by
    incident.comment = notice.reason or incident.comment
    incidents.say(incident, "acknowledged", moment, {"reason": notice.reason}, notice.by)
    if incident.cleared_s:
        incidents.close(incident, moment, "", fold=incidents.folds(incident))


def _shelve(notice: ActionNotice, incident: Incident, incidents: Incidents, moment: Moment) -> None:
    incident.shelved_until, incident.shelve_reason = notice.until_s, notice.reason
    parameters = {"reason": notice.reason, "until_s": str(notice.until_s)}
    incidents.say(incident, "shelved", moment, parameters, notice.by)
    incidents.wake(incident, notice.until_s)


def _unshelve(notice: ActionNotice, incident: Incident, incidents: Incidents, moment: Moment) -> None:
    incident.shelved_until, incident.shelve_reason = 0, ""
    incidents.say(incident, "unshelved", moment, {"reason": notice.reason}, notice.by)


def _close(notice: ActionNotice, incident: Incident, incidents: Incidents, moment: Moment) -> None:
    incident.comment = notice.reason or incident.comment
    incidents.release(incident)
    incidents.close(incident, moment, notice.by, reason=notice.reason)


_DO: dict[str, Callable[[ActionNotice, Incident, Incidents, Moment], None]] = {
    "acknowledge": _acknowledge,
    "shelve": _shelve,
    "unshelve": _unshelve,
    "close": _close,
}
