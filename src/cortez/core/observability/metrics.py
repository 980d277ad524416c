"""What the service measures, all of it; docs/operations.md says what each metric is good for.

Under the supervisor each worker keeps its figures in files of its own in PROMETHEUS_MULTIPROC_DIR, and the worker that
is asked adds them up. The files are named by a worker's place and not by its process: whoever takes the place goes on
counting, so that nothing is forgotten, and there are never more files than places.
"""

import asyncio
import os
from functools import partial
from importlib.metadata import version
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector

SHARED, PLACE = "PROMETHEUS_MULTIPROC_DIR", "CORTEZ_WORKER_PLACE"  # told by the supervisor
ANSWER_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
WAIT_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5)

if SHARED in os.environ:
    place = os.environ[PLACE]  # asked for at each count
    values.ValueClass = values.MultiProcessValue(lambda: place)  # type: ignore[no-untyped-call]
disable_created_metrics()  # type: ignore[no-untyped-call]  # several workers together have none either

REGISTRY = CollectorRegistry()
counter = partial(Counter, namespace="cortez", registry=REGISTRY)
histogram = partial(Histogram, namespace="cortez", registry=REGISTRY)


def gauge(name: str, told: str, labels: tuple[str, ...] = (), *, merge: Literal["sum", "newest"] = "sum") -> Gauge:
    """Of the workers that live: the sum of their figures, or the newest one where each asks for the same."""
    mode: Literal["livesum", "livemostrecent"] = "livesum" if merge == "sum" else "livemostrecent"
    return Gauge(name, told, labels, namespace="cortez", registry=REGISTRY, multiprocess_mode=mode)


def from_zero(metric: Counter, *named: str) -> Counter:
    """With all values of its one label there from the start: what appears with its first event shows no increase."""
    for value in named:
        metric.labels(value)
    return metric


REQUESTS = counter("requests", "Requests answered", ("method", "route", "status"))
REQUEST_SECONDS = histogram(
    "request_duration_seconds", "From a request's head to its answer's end", ("method", "route"), buckets=ANSWER_BUCKETS
)
REQUESTS_IN_PROGRESS = gauge("requests_in_progress", "Requests at work now")

POOL_SIZE = gauge("pool_size", "Connections that the pools keep", ("server",))
POOL_LIMIT = gauge("pool_limit", "Connections that the pools may have, overflow included", ("server",))
POOL_IN_USE = gauge("pool_in_use", "Connections in use", ("server",))
POOL_OVERFLOW = gauge("pool_overflow", "Connections beyond those that the pools keep", ("server",))
POOL_WAITING = gauge("pool_waiting", "Requests that wait at the gate for a connection")
POOL_WAIT_SECONDS = histogram(
    "pool_wait_seconds", "How long those waited that had to, refused ones included", buckets=WAIT_BUCKETS
)
POOL_TIMEOUTS = from_zero(
    counter("pool_timeouts", "Requests that got no connection in time", ("where",)),
    *("gate", "pool", "strangers"),
)

TRANSACTIONS = counter("transactions", "Transactions that have ended", ("outcome",))
COMMITTED, ROLLED_BACK = TRANSACTIONS.labels("committed"), TRANSACTIONS.labels("rolled_back")
RETRIES = from_zero(
    counter("retries", "Units of work begun anew, by what made it necessary", ("cause",)),
    *("deadlock", "serialization", "lock_timeout", "unique_id", "plan_changed", "replica"),
)
BATCH_ITEMS = from_zero(
    counter("batch_items", "Items of batches that were answered one by one", ("result",)),
    *("created", "duplicate", "rejected"),
)

DATABASE_UP = gauge("database_up", "Whether the database answered what this page asked it", merge="newest")
AUDIT_UNSEALED = gauge("audit_unsealed_entries", "Entries of the audit log without a seal", merge="newest")
AUDIT_UNSEALED_SECONDS = gauge(
    "audit_oldest_unsealed_seconds", "Age of the oldest entry of the audit log without a seal", merge="newest"
)
ACCESS_LOG_WAITING = gauge("access_log_waiting_entries", "Entries of the access log that are not written yet")

WORKER_STARTS = counter("worker_starts", "Workers that came to serve")
BUILD_INFO = gauge("build_info", "Workers that live, by version", ("version",))
BUILD_INFO.labels(version("cortez")).set(1)


async def exposition() -> bytes:
    """Every metric of every worker as Prometheus reads it."""
    return await asyncio.to_thread(added_up) if SHARED in os.environ else generate_latest(REGISTRY)


def added_up() -> bytes:
    everybody = CollectorRegistry()
    MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
    return generate_latest(everybody)
