"""What sessions share: made once, within one scope, and renewed without letting readers wait."""

from __future__ import annotations

import dataclasses
import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import streamlit as st
from streamlit.runtime import Runtime
from streamlit.testing.v1 import AppTest

from dashboards import cache, data, ready
from dashboards.cache import LIVE, STILL, Ages, kept
from dashboards.data import Asker, Questions, Value
from dashboards.government import overview
from dashboards.government import places as places_of
from dashboards.government.context import Context
from dashboards.identity import Reader
from dashboards.navigation import PAGES
from dashboards.store import StoreQuestions
from nengliu.accounts import Account, Accounts, Role
from nengliu.domain.scope import Scope
from nengliu.errors import StorageError
from nengliu.settings import Settings
from tests.dashboards.test_scopes import elements

NORTH, SOUTH = Scope("analyst", region="9901"), Scope("analyst", region="9902")
SOON_S = 5.0


@dataclass
class Clock:
    """A clock that a test sets."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now_s


class Maker:
    """Something that takes long: counts how often it was made, and waits to be let go on."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.fails = False

    def __call__(self, scope: Scope, what: object = "") -> tuple[str, int]:
        """Make something of a scope: its region and the how-manieth it is."""
        self.calls.append(what)
        number = len(self.calls)
        assert self.may_go.wait(SOON_S)
        if self.fails:
            raise StorageError("the store is away")
        return scope.region, number


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Let the test set the ages of what is kept."""
    found = Clock()
    monkeypatch.setattr(cache, "clock", found)
    yield found
    cache.forget()


def wait_until(said: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    done = threading.Event()
    for _ in range(int(SOON_S / 0.01)):
        if said():
            return
        done.wait(0.01)
    raise AssertionError("it did not come")


def at_once(work: Callable[[], object], readers: int) -> list[object]:
    """Let several threads begin the same work at the same moment, and give what each got."""
    barrier = threading.Barrier(readers)

    def arrive() -> object:
        barrier.wait()
        return work()

    with ThreadPoolExecutor(readers) as pool:
        return [found.result(60) for found in [pool.submit(arrive) for _ in range(readers)]]


def test_what_is_kept_for_one_scope_is_never_given_to_another(clock: Clock) -> None:
    """The same call within two scopes has two results, whether the scope is given itself or by who asks."""
    maker = Maker()
    give = kept(STILL)(maker)
    assert [give(scope) for scope in (NORTH, SOUTH, NORTH, SOUTH)] == [("9901", 1), ("9902", 2)] * 2
    enforcement = Scope("enforcement", region="9901")
    assert give(enforcement) == ("9901", 3)  # another role, another scope

    @kept(STILL)
    def of_whoever_asks(asker: Asker, what: str) -> tuple[Scope, str]:
        return asker.scope, what

    assert {of_whoever_asks(Asker(scope), "same")[0] for scope in (NORTH, SOUTH)} == {NORTH, SOUTH}
    assert of_whoever_asks(Asker(NORTH), what="same") == (NORTH, "same")


def test_equal_keys_of_two_readers_do_not_mix_their_scopes(clock: Clock) -> None:
    """Even two who call themselves the same are told apart by their scopes."""

    @dataclass(frozen=True)
    class View:
        scope: Scope
        key: str = "the same"

    @kept(STILL)
    def drawn(view: View) -> str:
        return view.scope.region

    assert [drawn(View(scope)) for scope in (NORTH, SOUTH, NORTH)] == ["9901", "9902", "9901"]


def test_nothing_is_kept_of_a_call_without_a_scope() -> None:
    """Who forgets to say within whose scope he asks gets nothing, not somebody else's."""

    @kept(STILL)
    def careless(what: str) -> str:
        return what

    with pytest.raises(TypeError, match="scope"):
        careless("everything")


@pytest.mark.parametrize("ages", [LIVE, STILL])
def test_many_who_ask_at_once_are_given_what_one_made(clock: Clock, ages: Ages) -> None:
    """However many readers meet at something that is not there, it is made once."""
    maker = Maker()
    give = kept(ages)(maker)
    assert at_once(lambda: give(NORTH), 16) == [("9901", 1)] * 16
    assert len(maker.calls) == 1


def test_error_reaches_all_who_wait_and_is_not_kept(clock: Clock) -> None:
    """The store is away: each is told, and the next one asks anew."""
    maker = Maker()
    maker.fails = True
    give = kept(STILL)(maker)
    for _ in range(2):
        with pytest.raises(StorageError, match="away"):
            give(NORTH)
    maker.may_go.clear()
    with ThreadPoolExecutor(4) as pool:
        told = [pool.submit(give, NORTH) for _ in range(4)]
        wait_until(lambda: len(maker.calls) == 3)
        maker.may_go.set()
        assert [type(found.exception(SOON_S)) for found in told] == [StorageError] * 4
    made, maker.fails = len(maker.calls), False
    assert give(NORTH) == ("9901", made + 1)


def test_old_drawing_is_served_while_it_is_renewed_behind_the_readers(clock: Clock) -> None:
    """Nobody waits for a renewal, it is begun once, and the next readers see what it made."""
    maker = Maker()
    give = kept(STILL)(maker)
    give(NORTH)
    clock.now_s += STILL.fresh_s
    maker.may_go.clear()
    assert [give(NORTH) for _ in range(5)] == [("9901", 1)] * 5
    maker.may_go.set()
    wait_until(lambda: give(NORTH) == ("9901", 2))
    assert len(maker.calls) == 2


def test_live_card_is_renewed_by_the_first_who_finds_it_old(clock: Clock) -> None:
    """A page alone with its reader shows the newest at each look; whoever comes meanwhile does not wait."""
    maker = Maker()
    give = kept(LIVE)(maker)
    give(NORTH)
    clock.now_s += LIVE.fresh_s
    assert give(NORTH) == ("9901", 2)
    clock.now_s += LIVE.fresh_s
    maker.may_go.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(give, NORTH)
        wait_until(lambda: len(maker.calls) == 3)
        assert [give(NORTH) for _ in range(5)] == [("9901", 2)] * 5
        maker.may_go.set()
        assert first.result(SOON_S) == ("9901", 3)


@pytest.mark.parametrize("ages", [LIVE, STILL])
def test_nothing_older_than_its_ages_is_served(clock: Clock, ages: Ages) -> None:
    """What nobody looked at for long is made anew while its reader waits, and does not fill the memory."""
    maker = Maker()
    give = kept(ages)(maker)
    give(NORTH)
    clock.now_s += ages.all_s
    assert give(NORTH) == ("9901", 2)
    for what in range(cache.MOST + 50):
        give(SOUTH, what)
    assert len(give._made) == cache.MOST
    clock.now_s += ages.all_s + 1
    give(NORTH)
    assert len(give._made) == 1


def test_renewal_takes_nothing_old(clock: Clock) -> None:
    """A drawing that is renewed asks its questions anew, too: ages do not add up."""
    maker = Maker()
    question = kept(STILL)(maker)
    drawing = kept(STILL)(lambda scope: (*question(scope), "drawn"))
    assert drawing(NORTH) == ("9901", 1, "drawn")
    clock.now_s += STILL.fresh_s
    assert drawing(NORTH) == ("9901", 1, "drawn")
    wait_until(lambda: drawing(NORTH) == ("9901", 2, "drawn"))


def test_who_changes_a_frame_changes_his_own(clock: Clock) -> None:
    """Readers share what was answered, not what they make of it."""
    give = kept(STILL)(lambda scope: pd.DataFrame({"a": [1, 2]}))
    mine = give(NORTH)
    mine.loc[0, "a"] = 9
    mine["b"] = 1
    assert give(NORTH).equals(pd.DataFrame({"a": [1, 2]}))


def test_what_was_forgotten_while_it_was_made_is_not_kept(clock: Clock) -> None:
    """After everything was forgotten nothing of before comes back."""
    maker = Maker()
    give = kept(STILL)(maker)
    maker.may_go.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(give, NORTH)
        wait_until(lambda: len(maker.calls) == 1)
        cache.forget()
        maker.may_go.set()
        assert first.result(SOON_S) == ("9901", 1)
    assert give(NORTH) == ("9901", 2)


# -- the pages -------------------------------------------------------------------------------------------------


class Spy:
    """Passes questions on and counts each."""

    def __init__(self, inner: Questions) -> None:
        self.inner = inner
        self.asked: Counter[tuple[str, Scope, str]] = Counter()

    def ask(self, name: str, scope: Scope, as_of: date | None, parameters: Mapping[str, Value]) -> pa.Table:
        """Answer as the class says."""
        self.asked[name, scope, repr(sorted(parameters.items()))] += 1
        return self.inner.ask(name, scope, as_of, parameters)


@pytest.fixture
def spy(watch_settings: Settings, answering: pytest.MonkeyPatch) -> Spy:
    """Let the province under watch answer."""
    found = Spy(StoreQuestions(watch_settings))
    answering.setattr(data, "open_store", lambda settings: found)
    return found


def drawn(page: str = "gov_overview") -> int:
    """Give how many elements a reader of a page is sent; the page is whole."""
    run = AppTest.from_file(str(PAGES / f"{page}.py"), default_timeout=60).run()
    assert not run.exception, run.exception
    assert any("nl-foot" in str(e.proto.body) for e in run.get("html"))
    return sum(1 for _ in elements(run._tree))


@pytest.fixture
def lasting_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated views of one process share a runtime, and the first to end takes it away: here the last one stays."""
    last: list[Runtime] = []

    def instance(cls: type[Runtime]) -> Runtime:
        last.extend([cls._instance] if cls._instance is not None else [])
        return last[-1]

    monkeypatch.setattr(Runtime, "instance", classmethod(instance))


@pytest.mark.usefixtures("lasting_runtime")
@pytest.mark.parametrize("page", ["gov_overview", "incidents"])
def test_simultaneous_first_views_ask_the_store_once(
    spy: Spy, reading_as: Callable[[Reader], None], clock: Clock, page: str
) -> None:
    """Ten readers meet at a cold page: every question is put to the store once, and each gets the whole page."""
    reading_as(Reader("a", "A", "analyst", Scope("analyst", region="99")))
    assert len(set(at_once(lambda: drawn(page), 10))) == 1
    assert len(spy.asked) > 5
    assert set(spy.asked.values()) == {1}


def test_view_that_was_kept_ready_asks_the_store_nothing(
    spy: Spy, reading_as: Callable[[Reader], None], clock: Clock
) -> None:
    """What the server looked at before the reader came is there for him, and for nobody of another scope."""
    scope = Scope("analyst", region="99")
    ready.look(scope)
    reading_as(Reader("a", "A", "analyst", scope))
    drawn()  # waits for what is under way
    before = spy.asked.copy()
    drawn()
    assert spy.asked == before
    assert {asked for _, asked, _ in spy.asked} == {scope}
    reading_as(Reader("b", "B", "analyst", SOUTH))
    drawn()
    assert {asked for _, asked, _ in spy.asked - before} == {SOUTH}


def test_open_page_is_drawn_again_when_its_drawings_were_made_anew(
    spy: Spy, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page left open lets what is old be renewed, and is drawn again once that has been done, not before."""
    contexts: list[Context] = []
    again: list[str] = []
    monkeypatch.setattr(ready, "prepare", contexts.append)
    monkeypatch.setattr(st, "rerun", lambda: again.append("page"))
    monkeypatch.setattr(st, "html", lambda *words: None)
    ready.look(Scope("analyst", region="99"))
    context, foot = contexts[0], inspect.unwrap(overview._foot)
    overview.prepare(context)
    wait_until(lambda: all(overview._made(context)))
    drawn = overview._made(context)
    foot(context, drawn)
    assert again == []
    clock.now_s += STILL.fresh_s
    foot(context, drawn)
    wait_until(lambda: min(overview._made(context)) == clock.now_s)
    foot(context, drawn)
    assert again[-1:] == ["page"]


def test_view_of_an_empty_store_is_not_made_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything was heard there is nothing to look at, and nothing fails."""
    empty = places_of.Places(
        pd.DataFrame(), pd.DataFrame(columns=["region", "industry", "first_at", "last_at"])
    )
    monkeypatch.setattr(ready, "places", lambda asker: empty)
    monkeypatch.setattr(ready, "prepare", lambda context: pytest.fail("there is nothing to prepare"))
    assert ready.look(NORTH) == ("", 0.0)


def test_view_is_looked_at_again_when_it_is_another_or_old(
    spy: Spy, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new month makes another view of it, at once; the same one is looked at again after its time."""
    months: list[date] = []
    monkeypatch.setattr(ready, "prepare", lambda context: months.append(context.filters.month))
    scope = Scope("analyst", region="99")
    seen = ready.look(scope)
    seen = ready.look(scope, *seen)
    clock.now_s += ready.EVERY_S
    seen = ready.look(scope, *seen)
    assert len(months) == 2
    before = places_of.places(Asker(scope))
    fewer = before.coverage.assign(last_at=before.coverage["last_at"] - pd.Timedelta(days=62))
    monkeypatch.setattr(ready, "places", lambda asker: dataclasses.replace(before, coverage=fewer))
    ready.look(scope, *seen)
    assert len(months) == 3
    assert months[2] < months[1]


def test_scopes_kept_ready_are_of_those_who_begin_with_the_overview(tmp_path: Path) -> None:
    """Whoever logged in last comes first, each scope once, nobody who is closed out or begins elsewhere."""
    at_s = [1000.0]
    accounts = Accounts(Settings(home=tmp_path), clock=lambda: at_s[0])
    for n, (role, region) in enumerate(
        [
            (Role.ANALYST, "990100"),
            (Role.ANALYST, "990200"),
            (Role.ANALYST, "990100"),
            (Role.ENFORCEMENT, "990300"),
            (Role.ANALYST, "990400"),
            (Role.OPERATOR, ""),
        ]
    ):
        accounts.add(Account(f"user{n}", "N", role, region=region), "Trial-Barometer-77")
    accounts.set_disabled("user4", disabled=True)
    for login in ("user0", "user1"):
        at_s[0] += 1
        accounts.enter(login, "Trial-Barometer-77")
    assert ready.expected(accounts) == [SOUTH, NORTH, Scope("nation")]
    accounts.close()


def test_server_goes_on_looking_while_the_store_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error is not the end: the next round looks again."""
    accounts, over, looks = Accounts(Settings(home=tmp_path)), threading.Event(), []

    def look(scope: Scope, *_: object) -> None:
        looks.append(scope)
        if len(looks) > 2:
            over.set()
        raise StorageError("the store is away")

    accounts.add(Account("north", "N", Role.ANALYST, region="990100"), "Trial-Barometer-77")
    monkeypatch.setattr(ready, "look", look)
    monkeypatch.setattr(ready, "GLANCE_S", 0.01)
    ready.attend(accounts, over)
    assert looks == [NORTH] * 3
    accounts.close()
