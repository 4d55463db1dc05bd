# ruff: noqa: SLF001 -- the library names the errors it finds by itself with an underscore
"""What a Kafka broker or its library says, as a LogError: where, what was tried, why not, what to do."""

from __future__ import annotations

from confluent_kafka import KafkaError

from nengliu.errors import LogError, LogRefused, NoTopic

TIMED_OUT, ALL_DOWN, GAVE_UP, UNPLACED, OUT_OF_RANGE = (
    KafkaError._TIMED_OUT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._FATAL,
    KafkaError._FAIL,
    KafkaError._AUTO_OFFSET_RESET,
)
"""Errors of the library itself; `UNPLACED`: a record is in, and the broker could not say where."""
AWAY = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._WAIT_COORD,
        KafkaError._RESOLVE,
        KafkaError._DESTROY_BROKER,
        KafkaError._UNKNOWN_BROKER,
        KafkaError._NODE_UPDATE,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.NOT_CONTROLLER,
    }
)
"""Passing states: the next try may succeed."""
REFUSED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.ILLEGAL_SASL_STATE,
        KafkaError._SSL,
    }
)
"""The door stays shut however often one knocks."""
GONE = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})
_DENIED = (
    "the broker denies this user the right",
    "grant it Create, Describe, Read, Write and Delete on the topics readings.*",
)
_CURES = {
    KafkaError._SSL: (
        "the certificate of the broker is not trusted, or the broker speaks no TLS",
        "check bus_ca and bus_security",
    ),
    KafkaError.MSG_SIZE_TOO_LARGE: (
        "a message is larger than the topic takes",
        "raise max.message.bytes of the topic, or send smaller frames",
    ),
    KafkaError.POLICY_VIOLATION: (
        "a rule of the broker forbids it",
        "ask who runs the broker: a limit of space or of rate may be reached",
    ),
    KafkaError.KAFKA_STORAGE_ERROR: (
        "the disk of the broker failed or is full",
        "free space on the broker and start it again; appending again is harmless",
    ),
    KafkaError.NOT_ENOUGH_REPLICAS: (
        "too few brokers hold a copy",
        "start the missing brokers; appending again is harmless",
    ),
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND: (
        "too few brokers hold a copy",
        "start the missing brokers; appending again is harmless",
    ),
    KafkaError.INVALID_REPLICATION_FACTOR: (
        "there are fewer brokers than copies are asked for",
        "start more brokers, or lower bus_replicas",
    ),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: _DENIED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: _DENIED,
    KafkaError._INVALID_ARG: (
        "the library refuses a setting",
        "check bus, bus_security, bus_mechanism and bus_ca",
    ),
}
_CURES |= {
    UNPLACED: ("the broker took a record and did not say where", "append again; the repetition is harmless"),
    GAVE_UP: ("the library gave up on its connection", "append again; the repetition is harmless"),
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER: (
        "the broker has lost count of what this process wrote",
        "append again; the repetition is harmless",
    ),
}
_PASSING = (
    UNPLACED,
    GAVE_UP,
    KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
    KafkaError.KAFKA_STORAGE_ERROR,
    KafkaError.NOT_ENOUGH_REPLICAS,
    KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
)
_AWAY = ("no broker answered in time", "check the address (bus), that the broker runs, and bus_security")
_REFUSED = (
    "the broker refuses the log-in",
    "check bus_user, bus_password, bus_mechanism and bus_security",
)
_GONE = ("the topic is not there any more", "create it, or start again if it was laid anew meanwhile")


def explain(where: str, what: str, error: KafkaError, said: str = "") -> LogError:
    """Make the LogError of what a broker or the library said.

    Parameters
    ----------
    where
        The brokers.
    what
        What was tried, e.g. ``append to readings.raw``.
    said
        What the library told last of its connections: a timeout alone names no cause.
    """
    code = error.code()
    if code in GONE:
        reason, cure = _GONE
    elif code in _CURES:
        reason, cure = _CURES[code]
    elif code in REFUSED:
        reason, cure = _REFUSED
    elif code in AWAY:
        reason, cure = _AWAY
    else:
        reason, cure = error.str(), "look at the broker's own log"
    told = said if said and code in AWAY else f"{error.name()}: {error.str()}"
    passing = code in AWAY or code in _PASSING or error.retriable()
    kind = NoTopic if code in GONE else LogError if passing else LogRefused
    return kind(f"{where}: cannot {what}: {reason} ({told}); {cure}")
