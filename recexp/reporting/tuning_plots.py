"""The plots of a tuning report, readable in print and without color vision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recexp.reporting.plots import COLORS, new_figure, save_figure


def best_so_far(
    values: Sequence[float], pruned: Sequence[bool], best: Sequence[float], title: str, metric: str
) -> Any:
    """Return a matplotlib Figure: each trial's value (NaN: failed) and the best so far."""
    figure, axes = new_figure()
    for stopped, marker, label in ((False, "o", "trial"), (True, "x", "trial stopped early")):
        at = [i for i, one in enumerate(pruned) if one is stopped and values[i] == values[i]]
        if at:
            axes.plot(at, [values[i] for i in at], marker, color=COLORS[0], label=label)
    axes.step(range(len(best)), best, where="post", color=COLORS[1], label="best so far")
    axes.set(title=title, xlabel="trial (0: the default configuration)")
    axes.set_ylabel(f"{metric} on validation")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False)
    return figure


def importance(shares: Mapping[str, float], title: str) -> Any:
    """Return a matplotlib Figure: the share of variance by hyperparameter."""
    figure, axes = new_figure()
    names = list(shares)[::-1]
    axes.barh(names, [shares[name] for name in names], color=COLORS[0])
    axes.set(title=title, xlabel="share of the objective's variance (fANOVA)", xlim=(0, 1))
    return figure


def save(figure: Any, path: Path) -> None:
    """Write a figure as PNG, the same bytes for the same figure."""
    save_figure(figure, path)
