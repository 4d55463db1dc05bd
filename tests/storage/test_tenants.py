"""No look into another tenant (law 10): a scoped answer is the answer of a store in which nobody else exists."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client

from nengliu.accounts import Account, Role
from nengliu.domain.scope import SYSTEM, Scope
from nengliu.settings import Settings
from nengliu.storage import ask, connect, migrate
from nengliu.storage.queries import questions
from tests.storage.tenants import NOON, TENANTS, Tenant, fill, parameters, seen_by

_ALL = sorted(questions())
_PUBLIC = {"state_book", "state_horizon", "state_tariffs"}
"""Factors are nobody's secret and stand in no tenant's name."""
_PLANT = TENANTS[1].code
_SCOPES = {
    "province": Account("a", "a", Role.ANALYST, region="32").scope,
    "city": Account("b", "b", Role.ENFORCEMENT, region="3205").scope,
    "plant": Account("c", "c", Role.ENTERPRISE, enterprise=_PLANT).scope,
}
_FORGOTTEN = (
    Scope("analyst"),
    Scope("enterprise"),
    Scope("enterprise", region="44", enterprise=_PLANT),
    Scope("stranger", region="32", enterprise=_PLANT),
)
_WAYS: list[Tenant | None] = [None, TENANTS[3]]
"""Asked for everybody, and by the name of one that only the nation may see."""


@pytest.fixture(scope="module")
def stores(store_home: Path) -> Iterator[dict[str, Client]]:
    """A store with everybody, and for each scope one with nobody but its own."""
    names = {"everybody": SYSTEM, **_SCOPES}
    clients = {name: _laid(store_home, name, scope) for name, scope in names.items()}
    yield clients
    for name, client in clients.items():
        client.command(f"DROP DATABASE tenants_{name}", use_database=False)
        client.close()


def _laid(home: Path, name: str, scope: Scope) -> Client:
    settings = Settings(home=home, database=f"tenants_{name}")
    client = connect(settings)
    migrate(client, settings.database)
    fill(client, settings.database, *seen_by(scope))
    return client


def _answer(client: Client, name: str, scope: Scope, way: Tenant | None, **more: Any) -> list[str]:
    table = ask(client, name, scope, **parameters(questions()[name], way), **more)
    return [repr(row) for row in table.to_pylist()]


@pytest.mark.parametrize("name", _ALL)
def test_answer_within_a_scope_is_that_of_a_store_without_the_others(
    stores: dict[str, Client], name: str
) -> None:
    """Whatever a reader asks for, sums and counts included, the others' rows change nothing in the answer."""
    for key, scope in _SCOPES.items():
        for way in _WAYS:
            assert _answer(stores["everybody"], name, scope, way) == _answer(stores[key], name, scope, way), (
                key,
                way,
            )


@pytest.mark.parametrize("name", [name for name in _ALL if name not in _PUBLIC])
def test_answer_of_the_nation_does_hold_the_others(stores: dict[str, Client], name: str) -> None:
    """The rows of this test reach the question: who may see all gets another answer than from a store of one plant."""
    assert any(
        _answer(stores["everybody"], name, SYSTEM, way) != _answer(stores["plant"], name, SYSTEM, way)
        for way in _WAYS
    ), f"{name}: fill() in tests/storage/tenants.py must give it rows"


@pytest.mark.parametrize("name", [name for name in _ALL if questions()[name].has_past])
def test_answer_as_of_a_day_keeps_the_scope(stores: dict[str, Client], name: str) -> None:
    """The history is under the same scope as the present."""
    day = (NOON + timedelta(days=1)).date()
    for key, scope in _SCOPES.items():
        assert _answer(stores["everybody"], name, scope, None, as_of=day) == _answer(
            stores[key], name, scope, None, as_of=day
        ), key


@pytest.mark.parametrize("name", _ALL)
def test_forgotten_limit_answers_as_an_empty_store(stores: dict[str, Client], name: str) -> None:
    """A role without its limit, one limited to what does not fit, or one nobody knows sees no row of anybody."""
    for scope in _FORGOTTEN:
        answer = " ".join(_answer(stores["everybody"], name, scope, TENANTS[1]))
        assert not any(tenant.code in answer or tenant.region in answer for tenant in TENANTS), scope
