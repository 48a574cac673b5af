"""What a replay found: its table, its numbers by MLflow name, its files."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recexp.algorithms.base import Source
from recexp.data.arrow import arrow_ids, write_parquet
from recexp.data.dataset import Dataset
from recexp.evaluation.evaluator import Evaluation
from recexp.evaluation.summary import Estimate
from recexp.reporting.headline import in_segments, with_interval
from recexp.reporting.tables import align, estimate_text
from recexp.splits.ordering import iso
from recexp.streaming.tested import Tests
from recexp.streaming.windows import Window

_SEGMENTS = ("known_users", "new_users")
_IN_SEGMENTS = ("hit_rate", "recall")
"""What segments show beside the objective, at its cutoff."""


@dataclass(frozen=True, eq=False)
class ReplayOutcome:
    """A finished replay.

    Attributes:
        name: the run's name.
        names: the chosen option of `algo` and `dataset`; `split` is `replay`.
        policy: how the model followed the stream.
        objective: the metric that tables lead with.
        seed: of the run.
        dataset: what the stream began from, with all users and items of the stream.
        tests: every test; `evaluation` is of all, `windows` of parts.
        latencies: of `score`, `update` and `refit`: `p50_ms`, `p95_ms`, `p99_ms`, `seconds`.
        facts: counts of the stream.
        seconds: by stage; `peak_mb`: peak memory of the process.
        fallback_share: of the predicted ratings; None where none are predicted.
    """

    name: str
    names: Mapping[str, str]
    policy: str
    objective: str
    seed: int
    dataset: Dataset
    tests: Tests
    evaluation: Evaluation
    windows: tuple[Window, ...]
    latencies: Mapping[str, Mapping[str, float]]
    facts: Mapping[str, Any]
    seconds: Mapping[str, float]
    peak_mb: float
    fallback_share: float | None

    @property
    def sources(self) -> dict[str, int]:
        """The number of tests by the way their list was made."""
        return {source.name.lower(): int((self.tests.sources == source).sum()) for source in Source}


def replay_metrics(outcome: ReplayOutcome) -> dict[str, float]:
    """Return the numbers of the whole stream by MLflow name; finite values only."""
    metrics: dict[str, float] = {}
    for one in outcome.evaluation.table:
        if not one.segment:
            metrics |= with_interval(one)
    users = outcome.evaluation.per_user["n_relevant"]
    metrics["evaluated_users"] = float(np.count_nonzero(users))
    for stage, seconds in outcome.seconds.items():
        metrics[f"time/{stage}_seconds"] = seconds
    for what, latency in outcome.latencies.items():
        metrics |= {f"time/{what}_{name}": value for name, value in latency.items()}
    metrics["memory/peak_mb"] = outcome.peak_mb
    for name, value in outcome.facts.items():
        if isinstance(value, int):
            metrics[f"stream/{name.removeprefix('n_')}"] = float(value)
    metrics |= {f"answered/{name}": float(n) for name, n in outcome.sources.items()}
    if outcome.fallback_share is not None:
        metrics["fallback_share"] = outcome.fallback_share
    metrics |= in_segments(outcome.evaluation, outcome.objective, _IN_SEGMENTS)
    return _finite(metrics)


def window_metrics(outcome: ReplayOutcome) -> tuple[dict[str, float], ...]:
    """Return the numbers of each window by MLflow name, `window/ndcg_at_10`."""
    steps = []
    for window in outcome.windows:
        found = {"n_events": float(window.n_events), "n_tests": float(window.n_tests)}
        found |= {f"score_{name}": value for name, value in window.latency.items()}
        for one in window.evaluation.table if window.evaluation else ():
            leads = one.metric == outcome.objective
            if not one.segment or (leads and one.segment in _SEGMENTS):
                found |= with_interval(one) if leads else {one.key: one.value}
        steps.append(_finite({f"window/{name}": value for name, value in found.items()}))
    return tuple(steps)


def replay_table(outcome: ReplayOutcome) -> str:
    """Return what a replay prints: windows, the whole, segments, counts, latencies."""
    data = outcome.dataset
    facts = outcome.facts
    whole = _whole(outcome.evaluation)
    cutoff = outcome.objective.partition("@")[2]
    others = [name for name in (f"hit_rate@{cutoff}", f"mrr@{cutoff}", "rmse") if name in whole]
    names = list(dict.fromkeys([outcome.objective, *others]))
    rows = [["window from", "events", "tests", "users", *names]]
    for window in outcome.windows:
        found = _whole(window.evaluation) if window.evaluation else {}
        cells = [estimate_text(found[name]) if name in found else "-" for name in names]
        n_users = str(found[names[0]].n_users) if names[0] in found else "0"
        counts = [f"{window.n_events:,}", f"{window.n_tests:,}", n_users]
        rows.append([iso(window.start)[:16].replace("T", " "), *counts, *cells])
    counts = [f"{facts['n_events']:,}", f"{len(outcome.tests):,}", str(whole[names[0]].n_users)]
    rows.append(["all", *counts, *(estimate_text(whole[name]) for name in names)])
    parts = [
        [one.segment, estimate_text(one), f"{one.n_users:,} users"]
        for one in outcome.evaluation.table
        if one.segment and one.metric == outcome.objective
    ]
    return "\n\n".join(
        [
            f"{outcome.names['algo']} on {data.name}, replay by policy={outcome.policy}, "
            f"seed {outcome.seed}\n{len(data.interactions):,} interactions to begin with; "
            f"{facts['n_events']:,} events: {len(outcome.tests):,} tests, "
            f"{facts['n_not_relevant']:,} not relevant, {facts['n_repeated']:,} repeated",
            align(rows),
            align([[outcome.objective, "", ""], *parts]),
            _costs(outcome),
        ]
    )


def _costs(outcome: ReplayOutcome) -> str:
    answered = ", ".join(f"{n:,} by {_SOURCES[name]}" for name, n in outcome.sources.items() if n)
    lines = [f"lists    {answered}", "interval 95 %, bootstrap over users, of their means"]
    for what, latency in outcome.latencies.items():
        if latency:
            lines.append(
                f"{what:8} p50 {latency['p50_ms']:.2f} ms, p95 {latency['p95_ms']:.2f} ms, p99 "
                f"{latency['p99_ms']:.2f} ms; {latency['seconds']:.1f} s in all"
            )
    if bad := outcome.facts.get("n_bad_lines"):
        lines.append(f"bad      {bad:,} lines were left out")
    stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in outcome.seconds.items())
    lines.append(f"seconds  {stages}; peak memory {outcome.peak_mb:,.0f} MB")
    return "\n".join(lines)


_SOURCES = {
    "model": "the model",
    "features": "their features",
    "fold_in": "fold-in",
    "fallback": "popularity (fallback)",
}


def write_windows(path: Path, outcome: ReplayOutcome) -> None:
    """Write a row for each window: when, counts, latency, every metric with its interval."""
    rows = list(_rows(outcome))
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, names, restval="")
        table.writeheader()
        table.writerows(rows)


def _rows(outcome: ReplayOutcome) -> Iterator[dict[str, Any]]:
    for number, window in enumerate(outcome.windows):
        row: dict[str, Any] = {
            "window": number,
            "start": iso(window.start),
            "end": iso(window.end),
            "n_events": window.n_events,
            "n_tests": window.n_tests,
            **{f"score_{name}": value for name, value in window.latency.items()},
        }
        for one in window.evaluation.table if window.evaluation else ():
            if not one.segment:
                row["n_users"] = row.get("n_users", one.n_users)
            if not one.segment or one.segment in _SEGMENTS:
                row |= _finite(with_interval(one))
        yield row


def write_events(path: Path, outcome: ReplayOutcome) -> None:
    """Write a row for each test: when, who, what, at which rank it was listed, how, how long."""
    import pyarrow as pa

    tests = outcome.tests
    ranks = tests.ranks
    names = np.array([source.name.lower() for source in Source])
    write_parquet(
        path,
        {
            "timestamp": tests.timestamp,
            "user_id": arrow_ids(outcome.dataset.users, tests.user_idx),
            "item_id": arrow_ids(outcome.dataset.items, tests.item_idx),
            "value": tests.value,
            "rank": pa.array([int(rank) or None for rank in ranks], pa.int32()),
            "source": names[tests.sources],
            "known_user": tests.known,
            "seconds": tests.seconds,
        },
    )


def _whole(evaluation: Evaluation) -> dict[str, Estimate]:
    return {one.metric: one for one in evaluation.table if not one.segment}


def _finite(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
