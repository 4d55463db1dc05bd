"""Nobody looks into another tenant through a page (law 10), whatever the address names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from dashboards import data, identity
from dashboards.data import Asker, Questions, Value
from dashboards.identity import LoggedOut, Reader
from dashboards.navigation import PAGES, PLACES, places
from dashboards.store import StoreQuestions
from nengliu.accounts import Account, Accounts, Role, Sessions
from nengliu.domain.scope import Scope
from nengliu.settings import Settings
from tests.dashboards.conftest import OPERATOR
from tests.dashboards.province import CHEMICAL, ENTERPRISES, GLASS, MILL, POWER, SMELTER, STEEL
from tests.dashboards.watched import LINE_LOST, STOOD_STILL

NAMES = {row[0]: row[1:3] for row in ENTERPRISES}
READERS = {
    "south": (Reader("south", "07", "analyst", Scope("analyst", region="9902")), {CHEMICAL, SMELTER}),
    "north": (Reader("north", "08", "enforcement", Scope("enforcement", region="9901")), {STEEL, GLASS}),
    "glass": (Reader("glass", "09", "enterprise", Scope("enterprise", enterprise=GLASS)), {GLASS}),
}
UNKNOWN = "91990000MA1NLDEM99"
SAYS_SO = re.compile("不属于您的范围，或不存在|不存在或不在您的范围内|不在您的查看范围内|不存在的内容")
ADDRESSES: list[dict[str, str]] = [
    {},
    {"enterprise": MILL},
    {"enterprise": POWER, "region": "990300"},
    {"region": "990300", "industry": "C30"},
    {"region": "990000"},
    {"region": "99", "lang": "en"},
    {"id": STOOD_STILL},
    {"id": LINE_LOST, "enterprise": SMELTER},
    {"id": "0" * 16, "enterprise": "' OR 1=1 --", "region": "%", "text": "<script>"},
]


class Spy:
    """Passes questions on and remembers the scope of each."""

    def __init__(self, inner: Questions) -> None:
        self.inner = inner
        self.scopes: list[tuple[str, Scope]] = []

    def ask(self, name: str, scope: Scope, as_of: date | None, parameters: Mapping[str, Value]) -> pa.Table:
        """Answer as the class says."""
        self.scopes.append((name, scope))
        return self.inner.ask(name, scope, as_of, parameters)


@pytest.fixture
def spy(watch_settings: Settings, answering: pytest.MonkeyPatch) -> Spy:
    """Let the province under watch answer."""
    found = Spy(StoreQuestions(watch_settings))
    answering.setattr(data, "open_store", lambda settings: found)
    return found


def run(key: str, query: Mapping[str, str]) -> AppTest:
    """Run a page at an address; it never ends in an error."""
    page = AppTest.from_file(str(PAGES / f"{key}.py"), default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception, page.exception
    return page


def elements(node: Any) -> Iterator[Any]:
    """Give every element below a node of the page."""
    for child in getattr(node, "children", {}).values():
        yield child
        yield from elements(child)


def sent(page: AppTest) -> bytes:
    """Give all that was sent to the browser, tables and drawings included."""
    protos = [found.proto for found in elements(page._tree) if getattr(found, "proto", None) is not None]
    return b"\n".join(proto.SerializeToString() for proto in protos)


def written(page: AppTest) -> str:
    """Give the words of the page, without what differs from second to second."""
    bodies = [str(e.proto.body) for e in page.get("html") if "<style>" not in str(e.proto.body)]
    bodies += [str(e.value) for e in (*page.caption, *page.markdown, *page.info, *page.warning)]
    bare = re.sub(r'(href|src)="[^"]*"', "", "\n".join(bodies))
    return re.sub(r"\d\d:\d\d(:\d\d)?", "", bare)


def spellings(words: str) -> set[bytes]:
    """Give the ways in which words may stand in what is sent."""
    return {
        words.encode(),
        json.dumps(words)[1:-1].encode(),
        words.replace("<", "&lt;").replace(">", "&gt;").encode(),
    }


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("key", [place.key for place in PLACES])
def test_page_shows_nothing_of_others_whatever_the_address(
    spy: Spy, reading_as: Callable[[Reader], None], key: str, reader: str
) -> None:
    """Codes, regions and incidents of others in the address bring neither a name nor a code of theirs on the page."""
    who, own = READERS[reader]
    reading_as(who)
    for query in ADDRESSES:
        body = sent(run(key, query))
        for code, names in NAMES.items():
            if code in own:
                continue
            foreign = {way for words in names for way in spellings(words)}
            if code not in query.values():
                foreign.add(code.encode())
            assert not [way for way in foreign if way in body], (query, code)
    assert {(scope.role, scope.region, scope.enterprise) for _, scope in spy.scopes} <= {
        (role, who.scope.region, enterprise)
        for role in (who.role, "enterprise")
        for enterprise in ({who.scope.enterprise} if who.scope.enterprise else {"", *own})
    }


@pytest.mark.parametrize("reader", READERS)
def test_reader_sees_what_is_within_the_scope(
    spy: Spy, reading_as: Callable[[Reader], None], reader: str
) -> None:
    """Each reader finds the own enterprises on the pages of the role, the operator everybody's."""
    who, own = READERS[reader]
    reading_as(who)
    body = b"".join(sent(run(place.key, {})) for place in places(who.role) if not place.above)
    assert all(any(way in body for way in spellings(NAMES[code][0])) for code in own)
    reading_as(OPERATOR)
    body = b"".join(sent(run(place.key, {})) for place in places("operator") if not place.above)
    assert all(any(way in body for way in spellings(names[0])) for code, names in NAMES.items())


@pytest.mark.parametrize(
    ("key", "name", "foreign", "unknown"),
    [
        ("enterprise", "enterprise", MILL, UNKNOWN),
        ("incident", "id", STOOD_STILL, "f" * 16),
        ("incidents", "enterprise", MILL, UNKNOWN),
        ("incidents", "region", "990300", "990700"),
        ("gov_overview", "region", "990300", "990700"),
        ("gov_ranking", "region", "990300", "990700"),
        ("gov_quality", "region", "990300", "990700"),
    ],
)
def test_what_is_anothers_and_what_does_not_exist_look_the_same(
    spy: Spy, reading_as: Callable[[Reader], None], key: str, name: str, foreign: str, unknown: str
) -> None:
    """The answer does not tell whether a code is somebody's, and says plainly that it is not the reader's."""
    reading_as(READERS["south"][0])
    theirs = written(run(key, {name: foreign})).replace(foreign, "X")
    nobodys = written(run(key, {name: unknown})).replace(unknown, "X")
    assert theirs == nobodys
    assert SAYS_SO.search(theirs)


@pytest.mark.parametrize("key", [place.key for place in PLACES if "enterprise" not in place.roles])
def test_page_of_another_role_says_so_and_asks_nothing(
    spy: Spy, reading_as: Callable[[Reader], None], key: str
) -> None:
    """An enterprise that guesses the path of a government page gets a sentence, and no question is asked for it."""
    reading_as(READERS["glass"][0])
    assert "您的角色没有这个页面" in written(run(key, {}))
    assert spy.scopes == []


@pytest.mark.parametrize("key", [place.key for place in PLACES])
def test_page_without_a_session_says_so_with_the_way_back(
    spy: Spy, reading_as: Callable[[Reader | None], None], key: str
) -> None:
    """A session that ended while the page was open: a plain sentence and a link to log in, nothing of anybody."""
    reading_as(None)
    page = run(key, {"lang": "en", "enterprise": GLASS})
    body = "\n".join(str(e.proto.body) for e in page.get("html"))
    assert "Your session is over" in body
    assert "auth/login?next=%2F" in body
    assert spy.scopes == []


def test_answers_kept_for_one_reader_are_not_given_to_another(
    spy: Spy, reading_as: Callable[[Reader], None]
) -> None:
    """What is kept is kept by scope: each reader gets the own list from the same process, in any order."""
    for _ in range(2):
        for who, own in READERS.values():
            assert set(data.enterprises(Asker(who.scope))["enterprise"]) == own
    assert len(spy.scopes) == len(READERS)


def test_name_of_an_account_cannot_enter_the_page_as_code(
    spy: Spy, reading_as: Callable[[Reader], None]
) -> None:
    """A name is text: it is shown as it was written."""
    reading_as(Reader("x", "<script>alert(1)</script>", "operator", Scope("nation")))
    body = "\n".join(str(e.proto.body) for e in run("incidents", {}).get("html"))
    assert "<script>" not in body
    assert "&lt;script&gt;alert(1)" in body


def test_reader_is_whoever_the_signed_cookie_names_at_each_run(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account is looked up anew each time: closed meanwhile, the reader is nobody."""
    accounts = Accounts(Settings(home=tmp_path_factory.mktemp("reader")))
    sessions = Sessions(accounts)
    account = accounts.add(Account("north", "北", Role.ENFORCEMENT, region="990100"), "Trial-Barometer-77")
    cookies = {sessions.cookie: sessions.start(account)}
    context = SimpleNamespace(cookies=cookies, headers={"x-nl-role": "operator"}, ip_address="192.0.2.7")
    monkeypatch.setattr(identity, "sessions", lambda: sessions)
    monkeypatch.setattr(identity.st, "context", context)
    reader = identity.current_reader()
    assert (reader.role, identity.current_scope()) == ("enforcement", Scope("enforcement", region="9901"))
    identity.note(reader, "incident_acknowledge", "0123456789abcdef")
    assert (accounts.deeds()[-1].login, accounts.deeds()[-1].address) == ("north", "192.0.2.7")
    accounts.set_disabled("north", disabled=True)
    with pytest.raises(LoggedOut):
        identity.current_reader()
    cookies.clear()
    with pytest.raises(LoggedOut):
        identity.current_reader()
    accounts.close()
