"""Runs compared: which ones, whether they can be, and what the comparison says.

The module is not called `compare`, since that would hide the function `recexp.compare`.
"""

from __future__ import annotations

import contextlib
import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from recexp.comparable import check_same_measurement, select
from recexp.errors import ConfigError, DataError, StorageError, did_you_mean
from recexp.evaluation.metrics import metric_name, mlflow_name
from recexp.evaluation.pairs import Pairs, compare_all, correct_together, is_better
from recexp.evaluation.saved import RATING_METRICS, per_user_names, read_per_user
from recexp.evaluation.summary import ERROR_SUMS, Estimate
from recexp.reporting.comparison import (
    COSTS,
    ComparedRun,
    RunComparison,
    difference_text,
    p_text,
)
from recexp.tracking.records import RunReader, RunRecord

SIMPLE = (
    *("random", "popularity", "baseline", "slope_one", "tfidf"),
    *("itemknn", "userknn", "knn_basic", "knn_means", "knn_zscore", "knn_baseline"),
    *("rp3beta", "ease"),
)
"""Algorithms that count, compare neighbors or solve one linear system, and so have few ways to be
set up wrongly. What learns by iteration should beat the best of them (Dacrema et al. 2019)."""

DEFAULT_METRIC = "ndcg@10"


def compare(
    *runs: str,
    experiment: str | None = None,
    filter: str | None = None,
    metrics: Sequence[str] | None = None,
    baseline: str | None = None,
    segments: bool = False,
    uri: str | None = None,
) -> RunComparison:
    """Return recorded runs side by side, tested against each other.

    Args:
        runs: ids, beginnings of ids, or names. Without any, all finished runs of `experiment` or of
            `filter` (in MLflow's language: `params.algo = 'svd'`); what is left out is noted.
        metrics: such as `ndcg@10`; the first decides the order. Default: the runs' objective.
        baseline: the run (or algorithm) that differences are shown to. Default: the best simple
            algorithm among the runs (see `SIMPLE`).
        segments: also compare the first metric in every segment that the runs recorded.
        uri: the store; default `MLFLOW_TRACKING_URI`, else `mlflow.db` in this folder.

    Raises ConfigError for runs that cannot be compared (other data, other splits, measured
    otherwise), StorageError for runs or files that are not there.

    Example: `recexp.compare(experiment="recexp", metrics=["ndcg@10", "recall@20"]).table`
    """
    reader = RunReader(uri)
    chosen, notes = select(reader, runs, experiment, filter)
    check_same_measurement(chosen)
    return compare_records(reader, chosen, metrics, baseline, segments=segments, notes=notes)


def compare_records(
    reader: RunReader,
    runs: Sequence[RunRecord],
    metrics: Sequence[str] | None = None,
    baseline: str | None = None,
    *,
    segments: bool = False,
    notes: Sequence[str] = (),
) -> RunComparison:
    """Return the comparison of runs that measured the same thing (see `check_same_measurement`)."""
    names = list(dict.fromkeys(metrics or [objective(runs)]))
    paths = [_per_user(reader, run) for run in runs]
    in_lists = [_is_of_lists(name, runs, paths) for name in names]
    parts = [f"{part}/{names[0]}" for part in _segments(paths)] if segments else []
    columns = read_per_user(paths, [*names, *parts])
    seed = int(runs[0].params.get("seed", "42"))
    tables = [
        _of_lists(name, runs) if of_lists else compare_all(columns, name, seed=seed)
        for name, of_lists in zip(names, in_lists, strict=True)
    ]
    by_segment = []
    for part in () if in_lists[0] else parts:
        with contextlib.suppress(DataError):  # nobody is in this segment
            by_segment.append(compare_all(columns, part, seed=seed))
    order = _order(tables[0], runs)
    runs = [runs[i] for i in order]
    tables = [table.reordered(order) for table in correct_together(tables)]
    by_segment = [table.reordered(order) for table in correct_together(by_segment)]
    labels = label(runs)
    simple = [i for i, run in enumerate(runs) if run.params.get("algo") in SIMPLE]
    best_simple = simple[0] if simple else None
    return RunComparison(
        title=f"{runs[0].params.get('dataset', '?')}, {runs[0].params.get('split', '?')} split",
        runs=tuple(
            ComparedRun(
                run.run_id,
                run.name,
                text,
                run.params.get("algo", "?"),
                run.tags.get("recexp.rating_source") == "calibrated",
                {name: run.metrics[name] for name in COSTS if name in run.metrics},
            )
            for run, text in zip(runs, labels, strict=True)
        ),
        metrics=tuple(tables),
        segments=tuple(by_segment),
        baseline=best_simple if baseline is None else _baseline(baseline, runs),
        verdict=_verdict(tables[0], labels, best_simple),
        notes=(*_seed_noise(tables[0], runs), *notes),
    )


def objective(runs: Sequence[RunRecord]) -> str:
    """Return the metric that the runs were to be judged by: the newest one's objective."""
    return runs[0].params.get("objective", DEFAULT_METRIC)


def _per_user(reader: RunReader, run: RunRecord) -> Path:
    path = reader.artifact(run, "per_user.parquet")
    if path is None:
        raise StorageError(f"run {run.key} has no per_user.parquet; run it again")
    return path


def _is_of_lists(metric: str, runs: Sequence[RunRecord], paths: Sequence[Path]) -> bool:
    """Whether a metric is one of all lists together (`coverage@10`), which no user has.

    Raises ConfigError unless every run has the metric.
    """
    segment, _, name = metric.rpartition("/")
    of_lists = []
    for run, path in zip(runs, paths, strict=True):
        columns, parts = per_user_names(path)
        known = {metric_name(column) for column in columns} - set(ERROR_SUMS)
        known |= set(RATING_METRICS) if set(ERROR_SUMS) & set(columns) else set()
        if name in known and (not segment or segment in parts):
            of_lists.append(False)
        elif mlflow_name(metric) in run.metrics:
            of_lists.append(True)
        elif segment and segment not in parts:
            raise ConfigError(
                f"run {run.key} has no segment '{segment}'{did_you_mean(segment, parts)}"
            )
        else:
            raise ConfigError(f"run {run.key} has no metric '{name}'{did_you_mean(name, known)}")
    return any(of_lists)


def _of_lists(metric: str, runs: Sequence[RunRecord]) -> Pairs:
    """A metric of all lists together: one number a run, without interval or test."""
    segment, _, name = metric.rpartition("/")
    counts = [int(run.metrics.get("evaluated_users", 0)) for run in runs]
    values = [run.metrics[mlflow_name(metric)] for run in runs]
    estimates = [
        Estimate(name, segment, value, math.nan, math.nan, n)
        for value, n in zip(values, counts, strict=True)
    ]
    return Pairs(metric, min(counts), tuple(estimates), {})


def _seed_noise(table: Pairs, runs: Sequence[RunRecord]) -> list[str]:
    """How far the mean of one configuration moves with its seed, where there are several."""
    repeats: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    for run, one in zip(runs, table.estimates, strict=True):
        telling = ("algo", "positive_", "stream.")
        options = {k: v for k, v in run.params.items() if k.startswith(telling)}
        by_seed = repeats.setdefault(tuple(sorted(options.items())), {})
        by_seed[run.params.get("seed", "")] = one.value
    return [
        f"{dict(options).get('algo', '?')} over {len(by_seed)} seeds: {table.metric} "
        f"{statistics.fmean(by_seed.values()):.4f}, sd {statistics.stdev(by_seed.values()):.4f}"
        for options, by_seed in repeats.items()
        if len(by_seed) > 1
    ]


def _segments(paths: Sequence[Path]) -> list[str]:
    """The segments that all runs recorded."""
    parts = [per_user_names(path)[1] for path in paths]
    return [one for one in parts[0] if all(one in others for others in parts)]


def _order(table: Pairs, runs: Sequence[RunRecord]) -> list[int]:
    """From the best mean to the worst; of equal ones the simple algorithms first."""
    sign = 1 if table.lower_is_better else -1
    values = [sign * one.value for one in table.estimates]
    return sorted(
        range(len(runs)), key=lambda i: (values[i], runs[i].params.get("algo") not in SIMPLE)
    )


_TELLING = ("algo", "seed", "positive_threshold", "stream")
"""The parameters that tell runs of one algorithm apart."""


def label(runs: Sequence[RunRecord]) -> list[str]:
    """Return what tells each run from the others: its algorithm, and options where needed."""
    labels = []
    for run in runs:
        algo = run.params.get("algo", run.name)
        same = [other for other in runs if other.params.get("algo", other.name) == algo]
        options = []
        for name in sorted({name for other in same for name in other.params}):
            values = {other.params.get(name) for other in same}
            if len(values) > 1 and name.partition(".")[0] in _TELLING:
                if name.startswith("stream.") and name not in run.params:
                    continue  # not of its policy
                key = name.removeprefix("algo.").removeprefix("stream.")
                options.append(f"{key}={_brief(run.params.get(name))}")
        labels.append(" ".join([algo, *options[:3]]))
    return [
        text if labels.count(text) == 1 else f"{text} {run.run_id[:8]}"
        for text, run in zip(labels, runs, strict=True)
    ]


def _brief(value: str | None) -> str:
    """A parameter with four digits, as much as a label has room for."""
    try:
        return "unset" if value is None else f"{float(value):.4g}"
    except ValueError:
        return str(value)


def _baseline(text: str, runs: Sequence[RunRecord]) -> int:
    """The run that an id, the beginning of one, a name or an algorithm stands for."""
    ways: tuple[Callable[[RunRecord], bool], ...] = (
        lambda run: run.run_id == text or (len(text) >= 4 and run.run_id.startswith(text)),
        lambda run: run.name == text,
        lambda run: run.params.get("algo") == text,
    )
    for answers in ways:
        found = [i for i, run in enumerate(runs) if answers(run)]
        if len(found) == 1:
            return found[0]
        if found:
            listed = ", ".join(str(runs[i].key) for i in found[:4])
            raise ConfigError(f"baseline {text} stands for {len(found)} runs: {listed}; give an id")
    names = {name for run in runs for name in (run.name, run.params.get("algo", run.name))}
    raise ConfigError(f"no run '{text}' among those compared{did_you_mean(text, names)}")


def _verdict(table: Pairs, labels: Sequence[str], simple: int | None) -> str:
    """Whether the best run, the first, is better than the best simple one."""
    metric = table.metric
    if simple is None:
        return (
            "No simple baseline is among these runs: add one (algo=popularity, itemknn or ease) to "
            f"know what the {metric} of {labels[0]} is worth."
        )
    if simple == 0:
        return f"No method beats the simple baselines: the best, {labels[0]}, is one of them."
    if not table.comparisons:
        return f"Nothing is tested: no user has a value of {metric}."
    one = table.between(0, simple)
    numbers = f"{metric} {difference_text(one)}, p = {p_text(one.p_holm)}"
    if is_better(one):
        return (
            f"The best, {labels[0]}, is significantly better than the best simple baseline, "
            f"{labels[simple]}: {numbers}."
        )
    return (
        f"The best, {labels[0]}, is NOT significantly better than the best simple baseline, "
        f"{labels[simple]}: {numbers}."
    )
