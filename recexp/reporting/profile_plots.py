"""The plots of a data profile, from its JSON alone; readable in print and without color vision."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Okabe & Ito (2008); lines differ in their style as well.
_BLUE, _ORANGE, _GRAY = "#0072B2", "#D55E00", "#666666"

TITLES = {
    "ratings": "Ratings",
    "activity": "Interactions of a user, and of an item",
    "long_tail": "The long tail",
    "time": "Interactions over time",
}
"""The plots there are, in order, and what they show."""


def profile_plots(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return matplotlib Figures by name, those of `TITLES` that the data have."""
    figures = {}
    if profile["values"] is not None:
        figures["ratings"] = ratings(profile)
    figures["activity"] = activity(profile)
    figures["long_tail"] = long_tail(profile)
    if profile["time"] is not None:
        figures["time"] = over_time(profile)
    return figures


def write_plots(profile: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write every plot as `<name>.png` into `folder`, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, figure in profile_plots(profile).items():
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=150, metadata={"Software": None})
    return paths


def ratings(profile: Mapping[str, Any]) -> Any:
    """Return the distribution of the ratings; hatched: at or above the relevance threshold."""
    values, threshold = profile["values"], profile["relevance_threshold"]
    shown = values["distribution"]
    figure, (axes,) = _figure()
    share = np.array(shown["counts"]) / sum(shown["counts"])
    if "values" in shown:
        places, low = np.array(shown["values"]), np.array(shown["values"])
        width = 0.8 * (np.diff(places).min() if len(places) > 1 else 1.0)
        axes.set_xticks(places if len(places) <= 12 else places[::2])
    else:
        edges = np.array(shown["edges"])
        places, low = (edges[1:] + edges[:-1]) / 2, edges[:-1]
        width = 0.96 * (edges[1] - edges[0])
    bars = axes.bar(places, share, width, color=_BLUE)
    relevant = low >= (threshold if threshold is not None else -np.inf)
    for bar, mine in zip(bars, relevant.tolist(), strict=True):
        if mine:
            bar.set(hatch="//", edgecolor="white")
    if relevant.any():
        label = f"relevant: {threshold:g} and more ({values['positive_share']:.0%})"
        axes.bar([places[0]], [0], width, color=_BLUE, hatch="//", edgecolor="white", label=label)
        axes.legend(frameon=False, loc="upper left")
        axes.set_ylim(top=share.max() * 1.15)
    axes.set(xlabel="rating", ylabel="share of the interactions")
    axes.set_title(f"mean {values['mean']:.2f}, deviation {values['std']:.2f}", fontsize=10)
    _percent(axes.yaxis)
    return figure


def activity(profile: Mapping[str, Any]) -> Any:
    """Return how many users, and items, have 1, 2 to 3, 4 to 7, ... interactions."""
    figure, panels = _figure(2)
    sides = (("users", _BLUE), ("items", _ORANGE))
    for axes, (side, color) in zip(panels, sides, strict=True):
        counts, edges = (profile[side]["distribution"][key] for key in ("counts", "edges"))
        labels = [_span(low, high) for low, high in itertools.pairwise(edges)]
        axes.barh(range(len(counts)), counts, color=color)
        axes.set_yticks(range(len(counts)), labels, fontsize=8)
        axes.set(ylabel=f"interactions of {'a user' if side == 'users' else 'an item'}")
        axes.set(xlabel=side)
        few = profile[side]["few_share"]
        axes.set_title(f"median {profile[side]['median']:,g}; under 5: {few:.0%}", fontsize=10)
        axes.xaxis.set_major_locator(_few_ticks())
        axes.invert_yaxis()
    return figure


def long_tail(profile: Mapping[str, Any]) -> Any:
    """Return the share of the interactions that the most popular items, active users hold."""
    figure, (axes,) = _figure()
    for side, color, style, adjective in (
        ("items", _ORANGE, "-", "most popular"),
        ("users", _BLUE, "--", "most active"),
    ):
        mine = profile[side]
        at = np.linspace(0, 1, len(mine["lorenz"]))
        label = f"{adjective} {side}: 20 % have {mine['head_share']:.0%}; Gini {mine['gini']:.2f}"
        axes.plot(at, mine["lorenz"], style, color=color, linewidth=2, label=label)
    axes.plot([0, 1], [0, 1], ":", color=_GRAY, label="if all were alike")
    head = profile["items"]["head_share"]
    axes.plot([0.2, 0.2], [0, head], color=_GRAY, linewidth=0.8)
    axes.plot([0.2], [head], "o", color=_ORANGE)
    axes.set(xlabel="share of the items, users", ylabel="share of the interactions")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    _percent(axes.xaxis)
    _percent(axes.yaxis)
    axes.legend(frameon=False, loc="lower right")
    return figure


def over_time(profile: Mapping[str, Any]) -> Any:
    """Return the number of interactions in 60 equal parts of the time."""
    shown = profile["time"]["distribution"]
    edges = np.array(shown["edges"]).astype("datetime64[s]")
    figure, (axes,) = _figure()
    axes.stairs(shown["counts"], edges.astype(object), fill=True, color=_BLUE, alpha=0.35)
    axes.stairs(shown["counts"], edges.astype(object), color=_BLUE)
    days = profile["time"]["days"] / len(shown["counts"])
    axes.set(ylabel=f"interactions in {days:.3g} days", ylim=(0, None))
    axes.set_title(
        f"{profile['time']['first'][:10]} to {profile['time']['last'][:10]}, "
        f"{profile['time']['per_day']:,.0f} a day",
        fontsize=10,
    )
    import matplotlib.dates

    dates: Any = matplotlib.dates  # untyped
    locator = dates.AutoDateLocator(minticks=3, maxticks=7)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
    return figure


def _figure(n_panels: int = 1) -> tuple[Any, Sequence[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, n_panels, squeeze=False)[0]
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.set_axisbelow(True)
    return figure, panels


def _percent(axis: Any) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4, integer=True)


def _span(low: int, high: int) -> str:
    return f"{low:,}" if high == low + 1 else f"{low:,}–{high - 1:,}"
