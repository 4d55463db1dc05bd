"""Sources and sinks: what a source gives and remembers, when a sink is durable, and in which order."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bytewax.operators as op
import numpy as np
import pytest
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from flows_conftest import RecordingWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flows.connectors import LogSink, LogSource, LogSourcePart, Message, Position, StoreSink, StoreThenLogSink
from flows.runner import run_flow
from nengliu.bus import Record, partition_of
from nengliu.bus.sqlite import SqliteLog
from nengliu.errors import LogError, StorageError
from schemas.block import Rows

OpenLog = Callable[[], SqliteLog]
