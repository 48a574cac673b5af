"""The numbers of a run under the names that MLflow holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from recexp.evaluation.evaluator import Evaluation
from recexp.evaluation.summary import Estimate
from recexp.reporting.outcome import Outcome

_MOST = 200
"""MLflow's stores slow down beyond this many metrics a run; `metrics.csv` has them all."""

_IN_SEGMENTS = ("precision", "recall")
"""What segments show beside the objective, at its cutoff."""


def headline(outcome: Outcome) -> dict[str, float]:
    """Return the headline metrics of a run by MLflow name; finite values only, at most 200.

    Test metrics without prefix and with intervals, `time/`, `memory/`, `data/`, `split/`,
    `<segment>/` (the objective and a few others), `sampled/` and `val/` (the objective first).
    """
    metrics: dict[str, float] = {}
    for one in outcome.evaluation.table:
        if not one.segment:
            metrics |= with_interval(one)
    metrics |= dict(_facts(outcome))
    metrics |= in_segments(outcome.evaluation, outcome.objective, _IN_SEGMENTS)
    if outcome.sampled is not None:
        metrics |= {one.key: one.value for one in outcome.sampled.table}
    if outcome.validation is not None:
        whole = [one for one in outcome.validation.table if not one.segment]
        for one in sorted(whole, key=lambda one: one.metric != outcome.objective):
            metrics[f"val/{one.key}"] = one.value
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    return dict(list(finite.items())[:_MOST])


def in_segments(evaluation: Evaluation, objective: str, others: Sequence[str]) -> dict[str, float]:
    """Return by segment the objective, with interval and number of users, and `others` with it.

    Those are names of metrics, meant at the objective's cutoff.
    """
    metrics: dict[str, float] = {}
    cutoff = objective.partition("@")[2]
    shown = {objective, "rmse", *(f"{name}@{cutoff}" for name in others)}
    for one in evaluation.table:
        if one.segment and one.metric in shown:
            metrics[one.key] = one.value
            if one.metric == objective:
                metrics |= with_interval(one)
                metrics[f"{one.segment}/n_users"] = float(one.n_users)
    return metrics


def with_interval(one: Estimate) -> dict[str, float]:
    """Return a value and the ends of its interval by MLflow name."""
    return {
        one.key: one.value,
        f"{one.key}_ci_low": one.ci_low,
        f"{one.key}_ci_high": one.ci_high,
    }


def _facts(outcome: Outcome) -> Iterator[tuple[str, float]]:
    for stage, seconds in outcome.seconds.items():
        yield f"time/{stage}_seconds", seconds
    yield "memory/peak_mb", outcome.peak_mb
    yield "data/n_users", float(outcome.dataset.n_users)
    yield "data/n_items", float(outcome.dataset.n_items)
    yield "data/n_interactions", float(len(outcome.dataset.interactions))
    for name, value in outcome.audit.metrics().items():
        yield f"split/{name}", value
    counts = outcome.recommendations.source_counts
    yield "evaluated_users", float(len(outcome.recommendations.sources))
    for source, n in counts.items():
        yield f"answered/{source}", float(n)
    if outcome.early_stopping is not None:
        yield "early_stopping/epochs", float(outcome.early_stopping.best.epochs)
    yield "tied_boundary_share", outcome.recommendations.tied_boundary_share
    if outcome.ratings is not None:
        yield "fallback_share", outcome.ratings.fallback_share
