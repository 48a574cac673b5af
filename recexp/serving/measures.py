"""What Prometheus reads: requests, latencies, events, models, memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from recexp.serving.served import Served

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Measures:
    """The measures of one application; several in a process do not mix."""

    def __init__(self, served: Sequence[Served], n_waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "recexp_requests_total",
            "Requests by route and status.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "recexp_request_seconds",
            "Time from a request's head to the end of its answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._events = Counter(
            "recexp_events_total",
            "Events by what became of them.",
            ["result"],
            registry=self._registry,
        )
        self._registry.register(_Models(served, n_waiting))
        ProcessCollector(registry=self._registry)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def events(self, result: str, n: int) -> None:
        """Count `n` events that were accepted, duplicates, or refused."""
        if n:
            self._events.labels(result).inc(n)

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)


class _Models:
    """What is read off the models when it is asked for."""

    def __init__(self, served: Sequence[Served], n_waiting: Callable[[], int]) -> None:
        self._served = served
        self._n_waiting = n_waiting

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "recexp_events_waiting", "Events that wait to be stored.", self._n_waiting()
        )
        told: list[tuple[type[Any], str, str, Callable[[Served], float]]] = [
            (GaugeMetricFamily, "version", "1: the run's own.", lambda s: s.live.learned.version),
            (GaugeMetricFamily, "users", "Users.", lambda s: len(s.live.histories.users)),
            (GaugeMetricFamily, "items", "Items.", lambda s: len(s.live.histories.items)),
            (GaugeMetricFamily, "events", "Events taken.", lambda s: s.live.histories.n_events),
            (GaugeMetricFamily, "pending", "Interactions not learned.", lambda s: s.live.n_pending),
            (CounterMetricFamily, "refits", "Refits adopted.", lambda s: s.n_refits),
            (CounterMetricFamily, "failures", "Failures to learn.", lambda s: s.n_failed),
        ]
        for kind, name, help_, value in told:
            family = kind(f"recexp_model_{name}", help_, labels=["model"])
            for one in self._served:
                family.add_metric([one.name], value(one))
            yield family
