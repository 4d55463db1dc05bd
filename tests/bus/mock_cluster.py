"""The mock cluster inside the Kafka library itself: a broker in memory that fails on order.

By ctypes on the library that the confluent-kafka wheel brings; nothing to install.  It keeps
5 MiB per partition and lays no topics by the network; for all else there is the real
broker (tests/broker).
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import confluent_kafka

PRODUCE, FETCH, LIST_OFFSETS, METADATA, INIT_PRODUCER_ID = 0, 1, 2, 3, 22
"""Kinds of requests, by their numbers in Kafka's protocol."""


def library() -> Path | None:
    """Find the library in the wheel; None where confluent-kafka was built against another one."""
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    return next(folder.glob("librdkafka*.so*"), None)


class MockCluster:
    """One broker in memory, for as long as this object is used."""

    def __init__(self) -> None:
        self._c = ctypes.CDLL(str(library()))
        pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
        for name, result, arguments in (
            ("conf_new", pointer, []),
            ("new", pointer, [number, pointer, text, ctypes.c_size_t]),
            ("destroy", None, [pointer]),
            ("mock_cluster_new", pointer, [pointer, number]),
            ("mock_cluster_destroy", None, [pointer]),
            ("mock_cluster_bootstraps", text, [pointer]),
            ("mock_topic_create", number, [pointer, text, number, number]),
            ("mock_broker_set_down", number, [pointer, number]),
            ("mock_broker_set_up", number, [pointer, number]),
            ("mock_broker_set_rtt", number, [pointer, number, number]),
            ("mock_push_request_errors_array", None, [pointer, ctypes.c_int16, ctypes.c_size_t, pointer]),
            ("mock_clear_request_errors", None, [pointer, ctypes.c_int16]),
        ):
            function = getattr(self._c, f"rd_kafka_{name}")
            function.restype, function.argtypes = result, arguments
        said = ctypes.create_string_buffer(512)
        self._client = self._c.rd_kafka_new(0, self._c.rd_kafka_conf_new(), said, 512)
        self._cluster = self._c.rd_kafka_mock_cluster_new(self._client, 1)

    @property
    def bootstrap(self) -> str:
        """Address."""
        return str(self._c.rd_kafka_mock_cluster_bootstraps(self._cluster).decode())

    def lay(self, name: str, partitions: int) -> None:
        """Create a topic."""
        assert self._c.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1) == 0

    def up(self, *, is_up: bool) -> None:
        """Let the broker go away, or come back."""
        order = "up" if is_up else "down"
        assert getattr(self._c, f"rd_kafka_mock_broker_set_{order}")(self._cluster, 1) == 0

    def slow(self, milliseconds: int) -> None:
        """Let every answer take its time."""
        assert self._c.rd_kafka_mock_broker_set_rtt(self._cluster, 1, milliseconds) == 0

    def fail(self, kind: int, error: int, times: int = 1) -> None:
        """Answer the next requests of a kind with an error."""
        errors = (ctypes.c_int * times)(*[error] * times)
        self._c.rd_kafka_mock_push_request_errors_array(self._cluster, kind, times, errors)

    def heal(self, kind: int) -> None:
        """Forget the errors still ordered."""
        self._c.rd_kafka_mock_clear_request_errors(self._cluster, kind)

    def close(self) -> None:
        """End it."""
        self._c.rd_kafka_mock_cluster_destroy(self._cluster)
        self._c.rd_kafka_destroy(self._client)
