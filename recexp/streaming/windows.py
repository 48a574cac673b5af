"""What a replay measured: by the whole stream, and by windows of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recexp.arrays import AnyArray, BoolArray, FloatArray, IntArray
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError
from recexp.evaluation.arithmetic import ratio
from recexp.evaluation.catalogue import Catalogue
from recexp.evaluation.evaluator import Evaluation, error_sums, list_sets, per_row
from recexp.evaluation.judge import Holdout, Judged, judge
from recexp.evaluation.metrics import Measure, list_length
from recexp.evaluation.ratings import RatedPairs
from recexp.evaluation.registry import Kind
from recexp.evaluation.segments import item_segments, user_segments
from recexp.evaluation.summary import summarize
from recexp.splits.base import Split
from recexp.splits.ordering import cutoff
from recexp.streaming.tested import Tests

_UNFIT = ("calibration",)
"""Metrics that look at what the evaluated user had before the test, which moves here."""


_MOST = 1000


@dataclass(frozen=True, eq=False)
class Window:
    """A part of the stream: the seconds from `start` until before `end`."""

    start: int
    end: int
    n_events: int
    n_tests: int
    latency: Mapping[str, float]
    evaluation: Evaluation | None
    """None where nothing was tested."""


def check_measures(measures: Sequence[Measure]) -> None:
    """Raise ConfigError for metrics that cannot be computed from single tests."""
    for measure in measures:
        kind, name = measure.metric.kind, measure.metric.name
        if kind is Kind.SCORES:
            raise ConfigError(f"metric '{name}' needs the scores of all items: leave it out")
        if name in _UNFIT:
            raise ConfigError(f"metric '{name}' cannot be measured on a stream: leave it out")


def edges(times: IntArray, n_windows: int | None, seconds: int | None) -> IntArray:
    """Return the borders of windows, int64 (m + 1,), ascending; window i is [i, i + 1).

    Windows of `seconds`, or `n_windows` of about the same number of events; events of one second
    stay together. Windows of time are longer where there would be more than 1,000 of them.

    >>> edges(np.array([1, 2, 2, 3, 4]), 2, None).tolist()
    [1, 2, 5]
    """
    first, after = int(times.min()), int(times.max()) + 1
    if seconds is not None:
        seconds = max(seconds, -(-(after - first) // _MOST))
        return np.arange(first, after + seconds, seconds, dtype=np.int64).clip(None, after)
    assert n_windows is not None
    inner = [cutoff(times, len(times) * i // n_windows) for i in range(1, n_windows)]
    return np.unique(np.array([first, *inner, after], np.int64))


def measure_windows(
    borders: IntArray,
    times: IntArray,
    tests: Tests,
    rated: tuple[RatedPairs, IntArray] | None,
    train: Dataset,
    measures: Sequence[Measure],
    *,
    candidates: BoolArray,
    seed: int,
) -> Iterator[Window]:
    """Yield the windows between `borders`; `times` are those of all events, see `measure`."""
    for start, end in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        part = tests.select((tests.timestamp >= start) & (tests.timestamp < end))
        pairs = None
        if rated is not None:
            pairs = _pairs(rated[0], (rated[1] >= start) & (rated[1] < end))
        evaluation = None
        if len(part):
            evaluation = measure(part, pairs, train, measures, candidates=candidates, seed=seed)
        n_events = int(np.count_nonzero((times >= start) & (times < end)))
        yield Window(start, end, n_events, len(part), latency(part.seconds), evaluation)


def measure(
    tests: Tests,
    rated: RatedPairs | None,
    train: Dataset,
    measures: Sequence[Measure],
    *,
    candidates: BoolArray,
    seed: int = 42,
    n_resamples: int = 1000,
) -> Evaluation:
    """Return the metrics of tests, per user and summarized.

    Every test is judged by itself, with one relevant item, by the definitions that all runs have.
    A user's value is the mean over his tests, so that users are the unit of intervals and
    comparisons; `n_relevant` is the number of his tests.

    Segments: of tests, `known_users` and `new_users` (of whom anything, or nothing, was heard
    before) and those of the chosen item; of users, those of the training part, before the stream.

    Args:
        train: what the stream began from, with all users and items of the tests.
        candidates: bool (n_items,), what could be recommended.
    """
    if not len(tests):
        raise DataError(
            f"nothing was tested: no event of {train.name} says that a user likes an item he had "
            "not met; lower relevance_threshold or replay more"
        )
    judged = _judged(tests, train, candidates, list_length(measures))
    values = dict(per_row(measures, judged))
    users = np.unique(tests.user_idx)
    users = users if rated is None else np.union1d(users, rated.user_idx)
    row = np.searchsorted(users, tests.user_idx)
    columns: dict[str, AnyArray] = {"user_idx": users}
    columns |= user_segments(train.interactions, users)
    columns["n_relevant"] = np.bincount(row, minlength=len(users))
    parts = {"": np.ones(len(tests), bool), "known_users": tests.known, "new_users": ~tests.known}
    of_items = item_segments(train.interactions)
    parts |= {name: items[tests.item_idx] for name, items in of_items.items()}
    for segment, rows in parts.items():
        prefix = f"{segment}/" if segment else ""
        if rows.any():
            for name, value in values.items():
                columns[prefix + name] = _by_user(value, row, rows, len(users))
        if rated is not None and not segment:
            columns |= error_sums(rated, users, np.ones(len(rated.truth), bool))
    table = summarize(columns, seed=seed, n_resamples=n_resamples)
    whole = [one for one in table if not one.segment]
    in_parts = [one for one in table if one.segment]
    return Evaluation(columns, (*whole, *list_sets(measures, judged), *in_parts))


def latency(seconds: FloatArray) -> dict[str, float]:
    """Return the median, 95 and 99 percent quantiles in milliseconds, and the sum in seconds."""
    if not len(seconds):
        return {}
    p50, p95, p99 = np.quantile(seconds, [0.5, 0.95, 0.99]) * 1e3
    return {
        "p50_ms": float(p50),
        "p95_ms": float(p95),
        "p99_ms": float(p99),
        "seconds": float(seconds.sum()),
    }


def _judged(tests: Tests, train: Dataset, candidates: BoolArray, k: int) -> Judged:
    """The tests as the judge knows them: each a query of its own, with one relevant item."""
    n = len(tests)
    queries = tests.lists.users
    held = Holdout(queries, np.arange(n), tests.item_idx, tests.value, np.ones(n, bool))
    nothing = train.interactions.select(np.empty(0, np.int64))
    return judge(tests.lists, held, Catalogue(Split(train, nothing), candidates), k)


def _by_user(value: FloatArray, row: IntArray, rows: BoolArray, n_users: int) -> FloatArray:
    """The mean value of each user over his tests at `rows`; NaN where he has none."""
    there = rows & ~np.isnan(value)
    total = np.bincount(row[there], value[there], minlength=n_users)
    return ratio(total, np.bincount(row[there], minlength=n_users), np.nan)


def _pairs(rated: RatedPairs, rows: BoolArray) -> RatedPairs | None:
    if not rows.any():
        return None
    return RatedPairs(
        rated.user_idx[rows],
        rated.item_idx[rows],
        rated.truth[rows],
        rated.prediction[rows],
        rated.fallback[rows],
        rated.rating_source,
    )
