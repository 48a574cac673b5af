"""The plots of several runs: readable in print, on a phone, and without color vision."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from recexp.evaluation.pairs import Pairs
from recexp.evaluation.summary import Estimate
from recexp.reporting.comparison import RunComparison, letter

# Okabe & Ito (2008), without yellow, which is too light for lines on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
MOST_LINES = len(COLORS)
"""More lines than this cannot be told apart; the best are drawn."""
_SIZE = (4.6, 3.2)
_ROW = 0.27


def intervals(found: RunComparison, table: Pairs) -> Any:
    """Return each run's mean and interval, the best on top; dashed: the baseline."""
    n = len(found.runs)
    figure, axes = _figure(max(1.8, 0.8 + _ROW * n))
    for i, one in enumerate(table.estimates):
        color = COLORS[1] if i == found.baseline else COLORS[0]
        _interval(axes, one, n - 1 - i, color, "s" if i == found.baseline else "o")
    if found.baseline is not None:
        value = table.estimates[found.baseline].value
        axes.axvline(value, color=COLORS[1], linestyle="--", linewidth=1)
    axes.set_yticks(range(n), _names(found)[::-1])
    axes.set(xlabel=f"{table.metric}: mean over users, 95 % interval", ylim=(-0.6, n - 0.4))
    axes.grid(axis="y", visible=False)
    return figure


def at_cutoffs(curves: Mapping[str, Sequence[Estimate]], name: str) -> Any:
    """Return a metric against the cutoff k, a line for each run (the first `MOST_LINES`)."""
    figure, axes = _figure()
    cutoffs: set[int] = set()
    for i, (label, estimates) in enumerate(list(curves.items())[:MOST_LINES]):
        points = sorted((int(one.metric.partition("@")[2]), one) for one in estimates)
        at = [k for k, _ in points]
        cutoffs.update(at)
        color = COLORS[i]
        axes.plot(
            at, [one.value for _, one in points], color=color, marker=MARKERS[i], label=label, ms=5
        )
        low, high = [one.ci_low for _, one in points], [one.ci_high for _, one in points]
        axes.fill_between(at, low, high, color=color, alpha=0.1, linewidth=0)
    axes.set(xlabel="cutoff k", ylabel=f"{name}@k, 95 % interval")
    axes.set_xticks(sorted(cutoffs))
    axes.set_ylim(bottom=0)
    _legend(figure, axes)
    return figure


def trade_off(
    found: RunComparison, values: Mapping[int, float], label: str, *, log: bool = False
) -> Any:
    """Return the first metric against another number of some rows, which have their letters."""
    table = found.metrics[0]
    figure, axes = _figure()
    for i, x in values.items():
        one = table.estimates[i]
        color, marker = (COLORS[1], "s") if i == found.baseline else (COLORS[0], "o")
        if one.ci_low == one.ci_low:
            axes.plot([x, x], [one.ci_low, one.ci_high], color=color, alpha=0.25, linewidth=2)
        axes.plot([x], [one.value], marker, color=color, ms=6)
    if log:
        _seconds_scale(axes)
    axes.set(xlabel=label, ylabel=f"{table.metric}, 95 % interval")
    figure.canvas.draw()  # only now is known where the points lie
    points = {i: axes.transData.transform((x, table.estimates[i].value)) for i, x in values.items()}
    taken = [tuple(point) for point in points.values()]
    for i, (px, py) in points.items():
        places = [(px + dx, py + dy) for dx, dy in _AROUND]
        room = [min(math.dist(place, other) for other in taken) for place in places]
        best = room.index(max(room))
        taken.append(places[best])
        axes.annotate(
            letter(i),
            (values[i], table.estimates[i].value),
            _AROUND[best],
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=10,
        )
    return figure


_AROUND = ((9, 7), (-9, 7), (9, -8), (-9, -8), (0, 12), (0, -12))
"""Where the letter of a point may stand, in points: there where the most room is."""


def by_segment(found: RunComparison) -> Any:
    """Return the first metric in each segment, a marker for each run (the first `MOST_LINES`)."""
    tables = found.segments
    figure, axes = _figure(0.9 + 0.5 * len(tables))
    shown = min(len(found.runs), MOST_LINES)
    for i in range(shown):
        for row, table in enumerate(tables):
            y = len(tables) - 1 - row + 0.32 - 0.64 * (i + 0.5) / shown
            _interval(axes, table.estimates[i], y, COLORS[i], MARKERS[i], 4)
        axes.plot([], [], MARKERS[i], color=COLORS[i], label=_names(found)[i], ms=5)
    parts = [
        f"{table.metric.rpartition('/')[0].replace('_', ' ')}\n{table.n_users:,} users"
        for table in tables
    ]
    axes.set_yticks(range(len(tables)), parts[::-1])
    axes.set(xlabel=f"{found.metrics[0].metric}, 95 % interval")
    axes.set_xlim(left=0)
    axes.grid(axis="y", visible=False)
    for row in range(1, len(tables)):
        axes.axhline(row - 0.5, color="#dddddd", linewidth=0.8)
    _legend(figure, axes)
    return figure


def tuning(studies: Mapping[str, Sequence[float]], metric: str, *, lower: bool) -> Any:
    """Return the best value so far of each study, trial by trial; dots are the trials."""
    figure, axes = _figure()
    for i, (label, values) in enumerate(list(studies.items())[:MOST_LINES]):
        best: list[float] = []
        for value in values:
            previous = best[-1] if best else value
            best.append(min(previous, value) if lower else max(previous, value))
        at = range(len(values))
        axes.plot(at, values, MARKERS[i], color=COLORS[i], ms=3, alpha=0.45)
        axes.step(at, best, where="post", color=COLORS[i], label=label)
    axes.set(xlabel="trial (0: the default configuration)", ylabel=f"{metric}, best so far")
    axes.xaxis.get_major_locator().set_params(integer=True)
    _legend(figure, axes)
    return figure


def svg(figure: Any) -> str:
    """Return a figure as an SVG document, the same for the same figure."""
    import io

    import matplotlib as mpl

    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "recexp"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def _seconds_scale(axes: Any) -> None:
    """A logarithmic scale with plain numbers: 0.5, 1, 2, 5, ..."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _names(found: RunComparison) -> list[str]:
    return [f"{letter(i)}  {_short(run.label)}" for i, run in enumerate(found.runs)]


def _short(text: str) -> str:
    """A name as a plot has room for; `$` would begin a formula."""
    text = text.replace("$", r"\$")
    return text if len(text) <= 28 else f"{text[:27]}…"


def _interval(axes: Any, one: Estimate, y: float, color: str, marker: str, size: float = 6) -> None:
    if one.ci_low == one.ci_low:
        axes.plot([one.ci_low, one.ci_high], [y, y], color=color, linewidth=1.5)
    axes.plot([one.value], [y], marker, color=color, ms=size)


def _legend(figure: Any, axes: Any) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        columns = 2 if max(map(len, labels)) > 14 else min(3, len(labels))
        figure.legend(
            handles, labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=9
        )


def _figure(height: float = _SIZE[1]) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_SIZE[0], height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#888888")
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes
