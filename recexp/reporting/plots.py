"""The plots of a run, readable in print and without color vision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recexp.evaluation.summary import Estimate
from recexp.reporting.outcome import Outcome

# Okabe & Ito (2008): told apart with any color vision; markers carry the same distinction.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_CURVES = ("ndcg", "recall", "precision", "hit_rate")


def write(folder: Path, outcome: Outcome) -> None:
    """Write `metrics_at_k.png` and `segments.png` into a new folder."""
    folder.mkdir()
    title = f"{outcome.names['algo']} on {outcome.dataset.name}, {outcome.names['split']} split"
    overall = [one for one in outcome.evaluation.table if not one.segment and "@" in one.metric]
    save_figure(metrics_at_k(overall, title), folder / "metrics_at_k.png")
    parts = [
        one
        for one in outcome.evaluation.table
        if one.metric == outcome.objective and one.n_users > 0
    ]
    save_figure(segments(parts, f"{title}: {outcome.objective}"), folder / "segments.png")


def metrics_at_k(estimates: Sequence[Estimate], title: str) -> Any:
    """Return a matplotlib Figure: each metric against the cutoff, with its 95 % interval."""
    figure, axes = new_figure()
    shown = [
        name for name in _CURVES if any(one.metric.startswith(f"{name}@") for one in estimates)
    ]
    cutoffs: set[int] = set()
    for i, name in enumerate(shown):
        points = sorted(
            (int(one.metric.partition("@")[2]), one)
            for one in estimates
            if one.metric.partition("@")[0] == name
        )
        at = [cutoff for cutoff, _ in points]
        cutoffs.update(at)
        color, marker = COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]
        axes.plot(at, [one.value for _, one in points], color=color, marker=marker, label=name)
        low, high = [one.ci_low for _, one in points], [one.ci_high for _, one in points]
        axes.fill_between(at, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set(title=title, xlabel="cutoff k", ylabel="mean over users, 95 % interval")
    axes.set_xticks(sorted(cutoffs))
    axes.set_ylim(bottom=0)
    if shown:
        axes.legend(frameon=False)
    return figure


def segments(estimates: Sequence[Estimate], title: str) -> Any:
    """Return a matplotlib Figure: one metric by segment, with its interval and user count."""
    figure, axes = new_figure()
    rows = list(reversed(estimates))
    names = [f"{one.segment or 'all users'}\n{one.n_users:,} users" for one in rows]
    places = range(len(rows))
    values = [one.value for one in rows]
    below = [one.value - one.ci_low for one in rows]
    above = [one.ci_high - one.value for one in rows]
    axes.barh(places, values, color=COLORS[0], alpha=0.35)
    axes.errorbar(values, places, xerr=[below, above], fmt="o", color=COLORS[0], capsize=3)
    axes.set_yticks(list(places), names)
    axes.set(title=title, xlabel="mean over users, 95 % interval")
    axes.set_xlim(left=0)
    return figure


def new_figure() -> tuple[Any, Any]:
    """Return a matplotlib Figure and its Axes, in the style of all plots of a run."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure as PNG."""
    figure.savefig(path, dpi=110, metadata={"Software": None})
