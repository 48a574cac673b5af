"""The plots of a report, each with a title and what it shows in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from recexp.evaluation.metrics import lower_is_better, mlflow_name
from recexp.evaluation.summary import Estimate
from recexp.reporting.comparison import RunComparison, letter
from recexp.reporting.comparison_plots import (
    MOST_LINES,
    at_cutoffs,
    by_segment,
    intervals,
    trade_off,
    tuning,
)
from recexp.reporting.profile_plots import TITLES, profile_plots
from recexp.reporting.profile_text import profile_rows
from recexp.reporting.report import Figure, figure

_COST = ("time/fit_seconds", "time/recommend_seconds")


def comparison_figures(
    found: RunComparison,
    estimates: Sequence[Sequence[Estimate]],
    recorded: Sequence[Mapping[str, float]],
) -> list[Figure]:
    """Return every plot that the runs of a comparison allow.

    Args:
        found: compared in the metric that the plots show, with its segments.
        estimates: of each run, in the same order, at all cutoffs.
        recorded: of each run the metrics by MLflow name.
    """
    figures = [_intervals(found)]
    base, _, cutoff = found.metrics[0].metric.partition("@")
    for metric in dict.fromkeys((base, "recall")) if cutoff else ():
        figures += _at_cutoffs(found, estimates, metric)
    for names, what, axis in (
        ([mlflow_name(f"coverage@{cutoff}")], "coverage", "share of the catalogue recommended"),
        ([mlflow_name(f"novelty@{cutoff}")], "novelty", "novelty of the lists, bits"),
        (list(_COST), "time", "seconds to fit and to recommend"),
    ):
        figures += _trade_off(found, recorded, names, what, axis)
    return figures + _by_segment(found)


def profile_figures(profile: Mapping[str, Any]) -> list[Figure]:
    """Return the plots of a data profile, with the numbers that they show."""
    rows = dict(profile_rows(profile))
    figures = []
    for key, drawn in profile_plots(profile).items():
        numbers = "; ".join(f"{name} {rows[name]}" for name in _SHOWN[key] if name in rows)
        figures.append(figure(TITLES[key], f"{TITLES[key]}. {numbers}.", drawn))
    return figures


_SHOWN = {
    "ratings": ("ratings", "relevant"),
    "activity": ("per user", "per item"),
    "long_tail": ("long tail",),
    "time": ("time",),
}
"""The rows of a profile that say what its plots show."""


def tuning_figure(trials: Mapping[str, Sequence[float]], metric: str) -> Figure:
    """Return the best value so far of every search; `trials` are their values in order."""
    lower = lower_is_better(metric.rpartition("/")[2])
    best: Callable[[Sequence[float]], float] = min if lower else max
    title = f"The best {metric} so far, on validation data; dots are trials"
    ends = "; ".join(f"{name} {best(v):.4f} of {len(v)} trials" for name, v in trials.items())
    return figure(title, f"{title}. {ends}.", tuning(trials, metric, lower=lower))


def _intervals(found: RunComparison) -> Figure:
    table = found.metrics[0]
    title = f"{table.metric} of every run, with its 95 % interval"
    if found.baseline is not None:
        title += f"; dashed: {found.runs[found.baseline].label}"
    pairs = zip(found.runs, table.estimates, strict=True)
    means = "; ".join(f"{run.label} {one.value:.4f}" for run, one in pairs)
    return figure(title, f"{title}. {means}.", intervals(found, table))


def _at_cutoffs(
    found: RunComparison, estimates: Sequence[Sequence[Estimate]], metric: str
) -> list[Figure]:
    curves = {}
    for i, (run, mine) in enumerate(zip(found.runs, estimates, strict=True)):
        points = [one for one in mine if one.metric.startswith(f"{metric}@")]
        if len(points) > 1:
            curves[f"{letter(i)}  {run.label}"] = points
    if not curves:
        return []
    title = f"{metric} at every cutoff, with 95 % intervals{_best(curves)}"
    values = "; ".join(
        f"{name} " + ", ".join(f"{one.metric} {one.value:.3f}" for one in points)
        for name, points in list(curves.items())[:MOST_LINES]
    )
    return [figure(title, f"{title}. {values}.", at_cutoffs(curves, metric))]


def _trade_off(
    found: RunComparison,
    recorded: Sequence[Mapping[str, float]],
    names: Sequence[str],
    what: str,
    axis: str,
) -> list[Figure]:
    """The first metric against the sum of some numbers, of the rows that have them all."""
    values = {
        i: total
        for i, metrics in enumerate(recorded)
        if found.runs[i].algo != "random"  # so far from all others that they would be one dot
        and math.isfinite(total := sum(metrics.get(name, math.nan) for name in names))
    }
    if len(values) < 2:
        return []
    left_out = "" if len(values) == len(found.runs) else ", without random"
    title = f"{found.metrics[0].metric} against {what}{left_out}; letters as in the table"
    points = "; ".join(f"{letter(i)} at {x:.3g}" for i, x in values.items())
    drawn = trade_off(found, values, axis, log=what == "time")
    return [figure(title, f"{title}. {points}.", drawn)]


def _by_segment(found: RunComparison) -> list[Figure]:
    if not found.segments:
        return []
    title = f"{found.metrics[0].metric} by segment, with 95 % intervals{_best(found.runs)}"
    parts = []
    for table in found.segments:
        pairs = list(zip(found.runs, table.estimates, strict=True))[:MOST_LINES]
        values = ", ".join(f"{run.label} {one.value:.3f}" for run, one in pairs)
        parts.append(f"{table.metric.rpartition('/')[0]}: {values}")
    return [figure(title, f"{title}. {'; '.join(parts)}.", by_segment(found))]


def _best(drawn: Any) -> str:
    return f" (the best {MOST_LINES})" if len(drawn) > MOST_LINES else ""
