"""A real store with the small plant in it, once per session, and the page asked directly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import streamlit as st
from fixtures_store import start_store, stop_store
from streamlit.testing.v1 import AppTest

from dashboards import cache, data, identity
from dashboards.data import Questions
from dashboards.identity import LoggedOut, Reader
from dashboards.store import StoreQuestions
from nengliu.domain.scope import Scope
from nengliu.settings import Settings
from tests.dashboards import entering, hostile, watched
from tests.dashboards.browser import Browser
from tests.dashboards.plant import UNTIL, Tables, tables
from tests.dashboards.province import settle
from tests.dashboards.seed import seed
from tests.dashboards.serving import PEOPLE, enrol, served

OPERATOR = Reader("ops", "1042", "operator", Scope("nation"))
PAGE = Path(data.__file__).parent / "pages" / "enterprise.py"


@pytest.fixture(scope="session")
def until() -> datetime:
    """Newest reading of the plant."""
    return UNTIL


@pytest.fixture(scope="session")
def plant(until: datetime) -> Tables:
    """The rows of the plant."""
    return tables(until)


@pytest.fixture(scope="session")
def plant_settings(tmp_path_factory: pytest.TempPathFactory, plant: Tables) -> Iterator[Settings]:
    """Settings of an installation whose store runs and holds the plant."""
    home = tmp_path_factory.mktemp("plant")
    process = start_store(home)
    settings = Settings(home=home, database="plant")
    seed(settings, plant)
    yield settings
    stop_store(process)


@pytest.fixture(scope="session")
def watch_settings(plant_settings: Settings) -> Settings:
    """Settings of the same installation's province under watch; the small plant lies in it, too."""
    settings = replace(plant_settings, database="watch")
    seed(settings, tables())
    watched.settle(settings)
    return settings


@pytest.fixture(scope="session")
def screen_settings(plant_settings: Settings) -> Settings:
    """Settings of a copy of the province under watch for the tests that act in a browser."""
    settings = replace(plant_settings, database="screen")
    seed(settings, tables())
    watched.settle(settings)
    return settings


@pytest.fixture(scope="session")
def address(screen_settings: Settings) -> Iterator[str]:
    """Address of the real server on that province, an account of every role enrolled."""
    enrol(screen_settings, *PEOPLE, *watched.PEOPLE)
    with served(screen_settings) as found:
        yield found


@pytest.fixture(scope="session")
def works_settings(plant_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of an installation of its own on the same store, whose flows have taken in a works."""
    home = tmp_path_factory.mktemp("works")
    (home / "store").symlink_to(plant_settings.store_home)
    settings = Settings(home=home, database="works", epoch_s=1)
    entering.settle(settings)
    return settings


@pytest.fixture(scope="session")
def hostile_settings(plant_settings: Settings) -> Settings:
    """Settings of a province whose names try to be something else."""
    settings = replace(plant_settings, database="hostile")
    hostile.settle(settings)
    return settings


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests that take it as it is, nobody logged in."""
    with Browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture
def answering(
    monkeypatch: pytest.MonkeyPatch, reading_as: Callable[[Reader | None], None]
) -> Iterator[pytest.MonkeyPatch]:
    """Let a test say who answers the operator; caches are emptied before and after."""
    _forget()
    yield monkeypatch
    _forget()


@pytest.fixture
def reading_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[Reader | None], None]:
    """Let a test say who reads, nobody for None; without it the operator does."""

    def set_reader(reader: Reader | None) -> None:
        def current_reader() -> Reader:
            if reader is None:
                raise LoggedOut("over")
            return reader

        monkeypatch.setattr(identity, "current_reader", current_reader)

    set_reader(OPERATOR)
    return set_reader


@pytest.fixture
def store(plant_settings: Settings, answering: pytest.MonkeyPatch) -> Questions:
    """Let the plant's store answer the operator."""
    questions = StoreQuestions(plant_settings)
    answering.setattr(data, "open_store", lambda settings: questions)
    return questions


@pytest.fixture
def watch(watch_settings: Settings, answering: pytest.MonkeyPatch) -> Questions:
    """Let the store of the province under watch answer the operator."""
    questions = StoreQuestions(watch_settings)
    answering.setattr(data, "open_store", lambda settings: questions)
    return questions


@pytest.fixture
def page(store: Questions) -> AppTest:
    """The page on the plant's store, not yet run."""
    return AppTest.from_file(str(PAGE), default_timeout=60)


@pytest.fixture(scope="session")
def province_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of an installation whose store runs and holds the small province."""
    home = tmp_path_factory.mktemp("province")
    process = start_store(home)
    settings = Settings(home=home, database="province")
    settle(settings)
    yield settings
    stop_store(process)


@pytest.fixture
def province(province_settings: Settings, answering: pytest.MonkeyPatch) -> Questions:
    """Let the province's store answer the operator."""
    questions = StoreQuestions(province_settings)
    answering.setattr(data, "open_store", lambda settings: questions)
    return questions


def _forget() -> None:
    cache.forget()
    data.source.cache_clear()
    st.cache_resource.clear()
