"""The incident desk and the page of one incident, run without a browser on a real store."""

from __future__ import annotations

import html as markup
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from dashboards import data, identity
from dashboards.data import Questions
from dashboards.i18n import Text
from dashboards.identity import Reader
from dashboards.incidents import actions, dialogs, sheets
from dashboards.incidents.filters import Wanted
from dashboards.incidents.words import causes, evidence_words, evidences, written
from dashboards.store import StoreQuestions
from dashboards.ui.frame import Frame
from dashboards.ui.theme import LIGHT
from nengliu.bus.open import open_log
from nengliu.domain.scope import Scope
from nengliu.errors import InputError, LogError
from nengliu.settings import Settings
from schemas.messages import ActionNotice, decode
from schemas.topics import RAW
from tests.dashboards import watched
from tests.dashboards.province import GLASS, NEW, STEEL
from tests.dashboards.watched import DONE, LINE_LOST, SCRIPT, SHELVED, STOOD_STILL, UNNAMED

PAGES = Path(data.__file__).parent / "pages"
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ENFORCER = Reader("north", "7", "enforcement", Scope("enforcement", region="9901"))
ANALYST = Reader("south", "8", "analyst", Scope("analyst", region="9902"))
GLASSMAKER = Reader("glass", "9", "enterprise", Scope("enterprise", enterprise=GLASS))
Says = Callable[[Reader | None], None]


def opened(name: str, **query: str) -> AppTest:
    page = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=60)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception, page.exception
    return page


def html(page: AppTest) -> str:
    return "\n".join(str(e.proto.body) for e in page.get("html") if "<style>" not in str(e.proto.body))


def words(page: AppTest) -> str:
    return re.sub(r"\s+", " ", markup.unescape(re.sub(r"<[^>]+>", " ", html(page))))


def listed(page: AppTest) -> list[str]:
    """Give the ids of the queue, in order."""
    return re.findall(r'href="incident\?id=([0-9a-f]{16})', html(page))


def test_queue_stands_by_severity_then_age(watch: Questions) -> None:
    """The gravest come first, of equal ones the oldest; neither closed nor shelved ones are among them."""
    answer = pa.Table.to_pylist(
        watch.ask("incident_queue", Scope("nation"), None, {"state": "open", "limit": 100})
    )
    order = [(row["severity"], row["opened_at"]) for row in answer]
    assert order == sorted(order)
    assert listed(opened("incidents")) == [row["incident"] for row in answer]
    assert not {DONE, SHELVED} & {row["incident"] for row in answer}


def test_line_of_the_queue_says_class_cause_place_members_and_evidence(watch: Questions) -> None:
    """Everything is in words of the reader's language: nothing is left as a code."""
    shown = words(opened("incidents", **{"class": "link"}, lang="en"))
    for expected in ("Grave", "Link", "The line is down", "Line gw-1 / rs485-1", "3 points", "over 24 h"):
        assert expected in shown
    assert "The collector says that the line rs485-1 cannot be reached (reason Line down)" in shown
    chinese = words(opened("incidents", **{"class": "meter"}))
    assert "示值停走" in chinese
    assert "12,345.00 m³" in chinese


@pytest.mark.parametrize(
    "state", ["open", "active_unack", "active_ack", "cleared_unack", "shelved", "closed"]
)
def test_filter_of_a_state_shows_those_only(watch: Questions, state: str) -> None:
    """Each state is a list of its own; whatever is shelved stands in the list of the shelved alone."""
    found = set(listed(opened("incidents", state=state)))
    assert found
    assert (SHELVED in found) is (state == "shelved")
    assert (DONE in found) is (state == "closed")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"enterprise": GLASS, "class": "link", "cause": "102"}, {LINE_LOST}),
        ({"text": "rs485-1", "cause": "102"}, {LINE_LOST}),
        ({"text": "天然气", "class": "meter", "region": "990100"}, {STOOD_STILL, f"{2:016x}"}),
        ({"cause": "303", "state": "all"}, {SHELVED}),
        ({"industry": "C26", "state": "closed"}, {DONE}),
        ({"text": STOOD_STILL}, {STOOD_STILL}),
    ],
)
def test_filters_of_the_address_narrow_the_queue(
    watch: Questions, query: dict[str, str], expected: set[str]
) -> None:
    """A view can be linked to: class, cause, region, industry, enterprise and text all stand in the address."""
    assert set(listed(opened("incidents", **query))) == expected


def test_address_that_names_nonsense_shows_the_queue_and_says_so(watch: Questions) -> None:
    """Wrong words are named in a sentence and left out; nothing fails and nothing is run."""
    wrong = {"state": "x", "class": SCRIPT, "cause": "-1", "region": "12", "industry": "?", "page": "9e9"}
    page = opened("incidents", **wrong, order="up", lang="en")
    assert "The address names what does not exist" in words(page)
    assert SCRIPT not in html(page)
    assert len(listed(page)) == 8
    assert "No incident fits these filters" in words(opened("incidents", page="4000", lang="en"))


def test_foreign_enterprise_in_the_address_is_as_unknown_as_any(watch: Questions, reading_as: Says) -> None:
    """Whoever names another's enterprise reads the sentence about what is not his, and his own queue."""
    reading_as(GLASSMAKER)
    own, foreign, unknown = (
        opened("incidents", lang="en", **query)
        for query in ({}, {"enterprise": STEEL}, {"enterprise": "NOBODY"})
    )
    assert listed(own) == listed(foreign) == listed(unknown)
    assert words(foreign) == words(unknown)
    assert "Beihe Steel" not in words(foreign)


def test_names_with_script_are_text(watch: Questions) -> None:
    """Names, reasons, comments and evidence are written, never run."""
    for query in ({"state": "all"}, {"state": "shelved"}, {"text": SCRIPT}):
        body = html(opened("incidents", **query))
        assert "<script" not in body
        assert "东港<水泥>" not in body
    for incident in (DONE, SHELVED, UNNAMED):
        body = html(opened("incident", id=incident))
        assert "<script" not in body
        assert "&lt;script&gt;" in body


def test_desk_of_an_empty_platform_says_how_to_fill_it(answering: pytest.MonkeyPatch) -> None:
    """Without enterprises there is no queue, and no error."""

    class Nobody:
        def ask(self, *_: object) -> pa.Table:
            return pa.table({"enterprise": pa.array([], pa.string())})

    answering.setattr(data, "open_store", lambda settings: Nobody())
    assert "<code>nengliu demo</code>" in html(opened("incidents"))


def test_enterprise_without_incidents_reads_that_all_is_well(watch: Questions, reading_as: Says) -> None:
    """An empty queue is good news, said in a sentence."""
    reading_as(Reader("x", "x", "enterprise", Scope("enterprise", enterprise=NEW)))
    assert "No open incident" in words(opened("incidents", lang="en"))


def test_flood_is_one_banner_with_what_the_incidents_share(
    watch_settings: Settings, answering: pytest.MonkeyPatch
) -> None:
    """More than ten in ten minutes: how many, which collector, which city, which cause; the queue has pages."""
    settings = replace(watch_settings, database="flood")
    at = watched.now()
    watched.settle(settings, at)
    watched.write(settings, {"incident": watched.many(at, 40)})
    answering.setattr(data, "open_store", lambda s: StoreQuestions(settings))
    page = opened("incidents", lang="en")
    shown = words(page)
    assert "Flood: 40 new incidents within 10 minutes" in shown
    assert "Nanping Copper (simulated) gw-7 40" in shown
    assert "Answers are damaged 40" in shown
    assert "1 to 20 of 48" in shown
    assert "21 to 40 of 48" in words(opened("incidents", lang="en", page="2"))
    assert len(listed(page)) == 20


def test_strip_counts_what_is_new_and_what_stands(watch: Questions) -> None:
    """The strip says new per ten minutes, hour and day, and what stands open, shelved and too long."""
    shown = words(opened("incidents", lang="en"))
    assert "8 Open 6 Unacknowledged 1 Acknowledged 1 Over, unacknowledged 1 Shelved" in shown
    assert "3 longer than 24 h" in shown
    assert "in 10 min" in shown


@pytest.mark.parametrize(("reader", "fewer"), [(ENFORCER, {GLASS, STEEL}), (GLASSMAKER, {GLASS})])
def test_queue_of_a_limited_reader_holds_nothing_else(
    watch: Questions, reading_as: Says, reader: Reader, fewer: set[str]
) -> None:
    """Region and enterprise of the reader limit queue, strip, lists and file alike."""
    reading_as(reader)
    page = opened("incidents", state="all")
    assert set(re.findall(r'href="enterprise\?enterprise=(\w+)', html(page))) == fewer
    frame = Frame(Text("en"), LIGHT, reader, data.Asker(reader.scope))
    assert set(sheets.sheet(frame, Wanted(state="all")).frame["Enterprise code"]) == fewer


def test_file_of_the_queue_holds_every_row_in_words(watch: Questions) -> None:
    """The file has all pages, causes and evidence written out, and says that the data are simulated."""
    reader = identity.current_reader()
    sheet = sheets.sheet(Frame(Text("en"), LIGHT, reader, data.Asker(reader.scope)), Wanted(state="all"))
    assert len(sheet.frame) == 11
    assert "The register stands still" in set(sheet.frame["Cause"])
    assert "Simulated data" in sheet.source
    assert not sheet.frame.columns.duplicated().any()


def test_list_of_causes_and_evidence_is_written_in_both_languages() -> None:
    """Every evidence sentence can be written with any parameters, also with none."""
    assert set(causes()) >= {101, 203, 301, 401}
    for code in evidences():
        for language in ("zh_CN", "en"):
            assert evidence_words(Text(language), {"code": code})
    given = {"before": "15500.00 kWh", "after": "-1 kWh"}
    said = evidence_words(Text("en"), {"code": "WENT_BACKWARD", "parameters": given})
    assert said == "The register went from 15,500.00 kWh back to -1 kWh"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("reason", "TIMEOUT", "No answer"),
        ("reason", "501", "No answer"),
        ("reason", "STAMP_IN_FUTURE", "Stamp in the future"),
        ("reason", "CLOCK_REPAIRED", "The stamp was repaired by rule; it was \N{EN DASH}"),
        ("reason", "LATER_THAN_US", "LATER_THAN_US"),
        ("quality", 6, "Bad"),
        ("quality", "BAD", "Bad"),
        ("meter", "007", "007"),
        ("points", "64", "64"),
        ("missing", None, "None"),
        ("seconds", "9" * 40, "9" * 40),
    ],
)
def test_parameter_of_evidence_is_written_for_people(name: str, value: object, expected: str) -> None:
    """Codes become words; what nobody knows stays as it came and never fails."""
    assert written(Text("en"), name, value) == expected


# -- one incident ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh_CN", "en"])
def test_incident_says_what_it_is_what_to_do_and_on_what_evidence(watch: Questions, language: str) -> None:
    """Headline, meaning, advice, evidence and chart stand there in the reader's language alone."""
    page = opened("incident", id=STOOD_STILL, lang=language)
    shown = words(page)
    text = Text(language)
    cause = causes()[203]
    for expected in (text.either(*cause.names), text.either(*cause.advice), text("incident.means_meter")):
        assert expected in shown
    assert page.get("echarts_chart") or "stEChartsChart" in str(page.main)
    if language == "en":
        assert not CHINESE.search(shown.replace("中文", ""))


def test_incident_of_a_line_names_its_members(watch: Questions) -> None:
    """What is folded under it is counted, and named one by one."""
    shown = words(opened("incident", id=LINE_LOST, lang="en"))
    assert "3 points folded" in shown
    assert all(point in shown for point in ("P01", "P02", "P03"))


def test_journal_tells_who_did_what(watch: Questions) -> None:
    """The journal stands newest first: rules and people, with the words they gave."""
    shown = words(opened("incident", id=DONE, lang="en"))
    assert shown.index("Closed · north") < shown.index("Opened · rules")
    assert "Closed by north" in shown
    assert "entries: 5" in shown
    assert "its parent P01 is dead too" in shown
    assert "x · until 2027-01-15 16:00" in shown


@pytest.mark.parametrize("wanted", ["", "x", "0" * 16, "'; DROP", "00000000000000A1 ", SCRIPT])
def test_incident_nobody_knows_is_a_plain_sentence(watch: Questions, wanted: str) -> None:
    """An unknown id and one that is no id give the same sentence and a way back."""
    page = opened("incident", id=wanted, lang="en")
    assert "There is no such incident here" in words(page)
    assert 'href="incidents?lang=en"' in html(page)
    assert "<script" not in html(page)


def test_incident_of_another_is_as_unknown_as_one_that_never_was(watch: Questions, reading_as: Says) -> None:
    """A foreign id says nothing, not even that it exists."""
    reading_as(ANALYST)
    assert words(opened("incident", id=STOOD_STILL)) == words(opened("incident", id="f" * 16))


def test_incident_with_codes_nobody_knows_is_drawn_all_the_same(watch: Questions) -> None:
    """Cause, class, evidence and point of a later version are shown as they are."""
    shown = words(opened("incident", id=UNNAMED, lang="en"))
    assert "999" in shown
    assert "No declared point is part of this incident" in shown


@pytest.mark.parametrize("name", ["incidents", "incident"])
def test_session_that_is_over_says_so(watch: Questions, reading_as: Says, name: str) -> None:
    """Who is logged out reads one sentence and the way back in."""
    reading_as(None)
    page = opened(name, id=STOOD_STILL, lang="en")
    assert "auth/login" in html(page)
    assert "Steel" not in words(page)


# -- actions -----------------------------------------------------------------------------------------------


@pytest.fixture
def log_home(answering: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """An own log, and an audit log that is a list."""
    settings = Settings(home=tmp_path)
    answering.setattr(actions, "load", lambda: settings)
    return settings


@pytest.fixture
def audited(answering: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """What the pages wrote into the audit log."""
    found: list[tuple[str, str, str]] = []
    answering.setattr(
        identity, "note", lambda reader, what, detail: found.append((reader.login, what, detail))
    )
    return found


def sent(settings: Settings) -> list[ActionNotice]:
    """Give the actions in the log."""
    with open_log(settings) as log:
        records = [
            record for partition in range(settings.partitions) for record in log.read(RAW, partition, 0, 1000)
        ]
    messages = [decode(record.value) for record in records]
    return [message for message in messages if isinstance(message, ActionNotice)]


def row(**given: object) -> dict[str, object]:
    return {"enterprise": GLASS, "incident": LINE_LOST, "state": "active_unack", "shelved": False} | given


def test_acknowledging_by_a_click_goes_through_the_log(
    watch: Questions, log_home: Settings, audited: list[tuple[str, str, str]], reading_as: Says
) -> None:
    """One click: the action is in the log and in the audit log, and the row says that it is on its way."""
    reading_as(ENFORCER)
    page = opened("incidents", lang="en")
    page.button(key=f"do_{LINE_LOST}").click().run()
    (notice,) = sent(log_home)
    assert (notice.enterprise, notice.incident, notice.action, notice.by) == (
        GLASS,
        LINE_LOST,
        "acknowledge",
        "north",
    )
    assert audited == [("north", "incident_acknowledge", f"{GLASS} {LINE_LOST}")]
    assert "Acknowledge: sent, taking effect" in words(opened("incidents", lang="en"))


def test_action_on_its_way_is_forgotten_when_the_row_shows_it() -> None:
    """What an action wanted is looked up in the row, whatever else has changed."""
    assert actions.took_effect("acknowledge", row(state="active_ack"))
    assert not actions.took_effect("acknowledge", row())
    assert actions.took_effect("shelve", row(shelved=True))
    assert not actions.took_effect("unshelve", row(shelved=True))
    assert actions.took_effect("close", row(state="closed"))
    assert not actions.took_effect("close", row(state="active_ack"))


@pytest.mark.parametrize(
    ("role", "state", "shelved", "expected"),
    [
        ("enforcement", "active_unack", False, ("acknowledge", "shelve", "close")),
        ("operator", "active_ack", False, ("shelve", "close")),
        ("operator", "active_ack", True, ("unshelve", "close")),
        ("operator", "cleared_unack", False, ("acknowledge", "close")),
        ("operator", "closed", False, ()),
        ("enterprise", "active_unack", False, ("acknowledge",)),
        ("enterprise", "active_ack", False, ()),
        ("analyst", "active_unack", False, ()),
        ("nobody", "active_unack", False, ()),
    ],
)
def test_role_and_state_say_what_may_be_done(
    role: str, state: str, shelved: bool, expected: tuple[str, ...]
) -> None:
    """Enforcement and operator do all that fits the state, an enterprise acknowledges, an analyst looks on."""
    assert actions.allowed(role, row(state=state, shelved=shelved)) == expected


def test_action_nobody_may_take_is_refused_where_it_is_sent(
    watch: Questions, log_home: Settings, audited: list[tuple[str, str, str]], reading_as: Says
) -> None:
    """The role is asked again when something is sent; a reason and an end are needed to shelve."""
    for reader, action in ((ANALYST, "acknowledge"), (GLASSMAKER, "close")):
        reading_as(reader)
        with pytest.raises(InputError, match="may not"):
            actions.send(row(), action, "done")
    reading_as(ENFORCER)
    with pytest.raises(InputError, match="reason"):
        actions.send(row(), "shelve", "  ", 8)
    with pytest.raises(InputError, match="hours"):
        actions.send(row(), "shelve", "repair", 9000)
    with pytest.raises(InputError, match="may not"):
        actions.send(row(state="closed"), "close", "done")
    assert (sent(log_home), audited) == ([], [])


def test_shelving_carries_its_reason_and_its_end(
    watch: Questions, log_home: Settings, audited: list[tuple[str, str, str]], reading_as: Says
) -> None:
    """What was said is cut to its length and free of control characters."""
    reading_as(ENFORCER)
    actions.send(row(), "shelve", "repair\x07\n" + "x" * 500, 8)
    (notice,) = sent(log_home)
    assert notice.until_s == notice.at_s + 8 * 3600
    assert notice.reason.startswith("repair  x")
    assert len(notice.reason) == 200
    assert actions.on_the_way(row()) is not None
    assert actions.on_the_way(row(shelved=True)) is None


def test_log_that_is_away_is_a_sentence(
    watch: Questions, audited: list[tuple[str, str, str]], answering: pytest.MonkeyPatch
) -> None:
    """Nothing was sent, and the page says so."""

    def away(settings: Settings) -> None:
        raise LogError("the log cannot be opened")

    answering.setattr(actions, "open_log", away)
    page = opened("incidents", lang="en")
    page.button(key=f"do_{LINE_LOST}").click().run()
    assert "could not be sent" in " ".join(e.value for e in page.error)


def test_analyst_sees_no_button(watch: Questions, reading_as: Says) -> None:
    """Who may not act is offered nothing."""
    reading_as(ANALYST)
    page = opened("incidents")
    assert not [button for button in page.button if str(button.key).startswith("do_")]
    assert listed(page)


def test_length_of_a_shelving_is_written_in_hours_or_days() -> None:
    """Hours below two days, days from there on."""
    frame = Frame(Text("en"), LIGHT, ENFORCER, data.Asker(ENFORCER.scope))
    assert [dialogs.length(frame, hours) for hours in (1, 24, 72)] == ["1 h", "24 h", "3 d"]
    assert timedelta(hours=max(actions.HOURS)) == timedelta(days=7)
