"""The plots of a replay: quality and latency over the time of the stream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recexp.evaluation.summary import Estimate
from recexp.reporting.plots import COLORS, MARKERS, new_figure, save_figure
from recexp.reporting.replay_outcome import ReplayOutcome
from recexp.streaming.windows import Window

_LINES = {"": "all users", "known_users": "known users", "new_users": "new users"}
_QUANTILES = ("p50_ms", "p95_ms", "p99_ms")


def write(folder: Path, outcome: ReplayOutcome) -> None:
    """Write `metric_over_time.png` and `latency.png` into a new folder."""
    folder.mkdir()
    title = f"{outcome.names['algo']} on {outcome.dataset.name}, policy={outcome.policy}"
    windows = [one for one in outcome.windows if one.evaluation is not None]
    drawn = metric_over_time(windows, outcome.objective, title)
    save_figure(drawn, folder / "metric_over_time.png")
    save_figure(latency(windows, title), folder / "latency.png")


def metric_over_time(windows: Sequence[Window], metric: str, title: str) -> Any:
    """Return a matplotlib Figure: a metric by window, with its interval, also by segment."""
    drawn, axes = new_figure()
    for i, (segment, label) in enumerate(_LINES.items()):
        points = [(one, found) for one in windows if (found := _of(one, metric, segment))]
        if not points:
            continue
        at = [_middle(window) for window, _ in points]
        color = COLORS[i]
        values = [found.value for _, found in points]
        axes.plot(at, values, color=color, marker=MARKERS[i], label=label)
        low, high = [one.ci_low for _, one in points], [one.ci_high for _, one in points]
        axes.fill_between(at, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set(title=title, ylabel=f"{metric}, mean over users, 95 % interval")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _dates(drawn, axes)
    return drawn


def latency(windows: Sequence[Window], title: str) -> Any:
    """Return a matplotlib Figure: how long a list took, by window."""
    drawn, axes = new_figure()
    at = [_middle(window) for window in windows]
    for i, name in enumerate(_QUANTILES):
        values = [window.latency[name] for window in windows]
        axes.plot(at, values, color=COLORS[i], marker=MARKERS[i], label=name.partition("_")[0])
    axes.set(title=title, ylabel="milliseconds for a list", yscale="log")
    axes.legend(frameon=False)
    _dates(drawn, axes)
    return drawn


def _of(window: Window, metric: str, segment: str) -> Estimate | None:
    table = window.evaluation.table if window.evaluation else ()
    found = (one for one in table if one.metric == metric and one.segment == segment)
    return next(found, None)


def _middle(window: Window) -> Any:
    try:
        return datetime.fromtimestamp((window.start + window.end) / 2, UTC)
    except (ValueError, OverflowError, OSError):
        return float(window.start)


def _dates(drawn: Any, axes: Any) -> None:
    axes.set_xlabel("time of the stream")
    drawn.autofmt_xdate()
