"""Fixture `kafka`: one real broker for all tests of a session; they are skipped, aloud, where there can be none.

Register with ``pytest_plugins = ["broker.fixture_kafka"]`` in the top conftest; mark the tests ``broker``.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

import pytest
from broker.server import Broker, classpath, why_no_broker
from confluent_kafka.admin import AdminClient

from schemas.topics import TOPICS

_numbers = itertools.count()


@pytest.fixture(scope="session")
def broker_parts() -> None:
    """Skip where a broker cannot be had."""
    reason = why_no_broker()
    if reason is None:
        try:
            classpath()
        except RuntimeError as error:
            reason = str(error)
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def kafka(broker_parts: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Start a broker that runs for the whole session; a test that kills it starts it again."""
    with Broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
def kafka_topic() -> str:
    """Name a topic that no other test uses."""
    return f"readings.test{next(_numbers)}"


@pytest.fixture
def empty_kafka(kafka: Broker) -> Broker:
    """The broker without topics of ours: generations begin at 1 as in a new file."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    ours = [name for name in admin.list_topics(timeout=10).topics if name.rpartition(".g")[0] in TOPICS]
    for future in admin.delete_topics(ours).values() if ours else ():
        future.result()
    while set(ours) & set(admin.list_topics(timeout=10).topics):
        time.sleep(0.05)
    return kafka
