"""Several runs side by side: the table, who beats whom, and whether the best beats a simple one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from recexp.evaluation.pairs import SIGNIFICANCE_LEVEL, Pairs
from recexp.evaluation.saved import RATING_METRICS
from recexp.evaluation.significance import Comparison
from recexp.reporting.tables import align, estimate_text

if TYPE_CHECKING:
    import pandas as pd

COSTS = {
    "time/fit_seconds": "fit s",
    "time/recommend_seconds": "rec. s",
    "time/total_seconds": "total s",
    "memory/peak_mb": "peak MB",
}
"""What a run cost, by the name of its metric, as columns of the table."""


@dataclass(frozen=True)
class ComparedRun:
    """A run in a comparison.

    Attributes:
        label: what tells it from the others: the algorithm, with options where several share it.
        calibrated: whether its rating metrics are of ratings that were calibrated from scores.
        costs: the recorded ones among `COSTS`.
    """

    run_id: str
    name: str
    label: str
    algo: str
    calibrated: bool
    costs: Mapping[str, float]


@dataclass(frozen=True)
class RunComparison:
    """Several runs on one split, the best first.

    Attributes:
        title: the data and the split.
        runs: ordered by the first metric.
        metrics: the metrics of the table, p-values corrected over all of them together.
        segments: the first metric in each segment, corrected together.
        baseline: the run that the others are measured against, or None.
        verdict: whether the best run beats the best simple one, in a sentence.
        notes: what was left out or should be known.
    """

    title: str
    runs: tuple[ComparedRun, ...]
    metrics: tuple[Pairs, ...]
    segments: tuple[Pairs, ...]
    baseline: int | None
    verdict: str
    notes: tuple[str, ...]

    @property
    def tested(self) -> int:
        """How many comparisons the p-values of the table are corrected over."""
        return sum(len(table.comparisons) for table in self.metrics)

    @property
    def table(self) -> pd.DataFrame:
        """One row a run, best first: each metric with its interval, costs, algorithm and id."""
        import pandas as pd

        columns: dict[str, list[Any]] = {
            "run": [run.label for run in self.runs],
            "algo": [run.algo for run in self.runs],
        }
        for table in (*self.metrics, *self.segments):
            columns[table.metric] = [one.value for one in table.estimates]
            if table.comparisons:
                columns[f"{table.metric}_ci_low"] = [one.ci_low for one in table.estimates]
                columns[f"{table.metric}_ci_high"] = [one.ci_high for one in table.estimates]
        for name in cost_columns(self):
            columns[name] = [run.costs.get(name) for run in self.runs]
        columns["run_id"] = [run.run_id for run in self.runs]
        return pd.DataFrame(columns).set_index("run")

    @property
    def pairs(self) -> pd.DataFrame:
        """One row a comparison: metric, runs a and b, and every field of `Comparison`."""
        import pandas as pd

        rows = [
            {"a": self.runs[i].label, "b": self.runs[j].label} | asdict(one)
            for table in (*self.metrics, *self.segments)
            for (i, j), one in table.comparisons.items()
        ]
        return pd.DataFrame(rows)

    def __str__(self) -> str:
        return comparison_text(self)


def letter(i: int) -> str:
    """Return the letter of row i: a, b, ..., z, aa, ab, ...

    >>> letter(0), letter(25), letter(26), letter(52)
    ('a', 'z', 'aa', 'ba')
    """
    before, own = divmod(i, 26)
    return (letter(before - 1) if before else "") + chr(ord("a") + own)


def letters(rows: Sequence[int]) -> str:
    """Return the letters of rows, with spaces only where some have two."""
    names = [letter(i) for i in rows]
    return (" " if any(len(name) > 1 for name in names) else "").join(names)


def caption(found: RunComparison) -> str:
    """Return what the figures of the table are."""
    text = "mean over users [95 % bootstrap interval]"
    if found.tested:
        n = f"{found.tested} comparisons" if found.tested > 1 else "one comparison"
        text += (
            "; letters name the rows that a row is significantly better than (paired permutation "
            f"test, Holm over {n}, level {SIGNIFICANCE_LEVEL})"
        )
    if any(marked(found, table, i) for table in found.metrics for i in range(len(found.runs))):
        text += "; (c): of ratings calibrated from scores"
    return text


def marked(found: RunComparison, table: Pairs, i: int) -> bool:
    """Return whether a value is to be marked as one of calibrated ratings."""
    return found.runs[i].calibrated and table.metric.rpartition("/")[2] in RATING_METRICS


def value_text(found: RunComparison, table: Pairs, i: int) -> str:
    """Return a run's mean with its interval, marked where it needs to be."""
    return estimate_text(table.estimates[i]) + (" (c)" if marked(found, table, i) else "")


def cost_columns(found: RunComparison) -> dict[str, str]:
    """Return the costs that some run has recorded, by metric name."""
    return {
        name: title for name, title in COSTS.items() if any(name in run.costs for run in found.runs)
    }


def cost_text(value: float | None) -> str:
    """Return seconds or megabytes with three significant digits, `-` where unknown.

    >>> cost_text(0.04267), cost_text(314.2), cost_text(0.00002), cost_text(None)
    ('0.0427', '314', '<0.001', '-')
    """
    if value is None:
        return "-"
    if value < 0.001:
        return "<0.001"
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def difference_text(one: Comparison) -> str:
    """Return a difference with its interval, `+0.0110 [-0.0020, +0.0240]`."""
    return f"{one.difference:+.4f} [{one.ci_low:+.4f}, {one.ci_high:+.4f}]"


def p_text(p: float) -> str:
    """Return a p-value with two significant digits.

    >>> p_text(0.03111), p_text(0.00001), p_text(1.0)
    ('0.031', '<0.0001', '1.0')
    """
    return "<0.0001" if p < 0.0001 else f"{p:.2g}" if p < 0.995 else "1.0"


def users_text(one: Comparison) -> str:
    """Return for how many users a run is better, equal and worse: `80/150/60`."""
    return f"{one.wins}/{one.ties}/{one.losses}"


def comparison_text(found: RunComparison) -> str:
    """Return the comparison as plain text; `*` marks the best value of a column."""
    users = f"{found.metrics[0].n_users:,} users"
    parts = [
        f"{found.title}: {len(found.runs)} runs, {users}",
        _main_table(found),
        caption(found),
        *(_against(found, table) for table in found.metrics if found.baseline is not None),
        _segment_table(found),
        found.verdict,
        "\n".join(f"note: {note}" for note in found.notes),
    ]
    return "\n\n".join(part for part in parts if part)


def _main_table(found: RunComparison) -> str:
    costs = cost_columns(found)
    header = ["", ""]
    for table in found.metrics:
        header += [table.metric, "beats"] if table.comparisons else [table.metric]
    rows = []
    for i, run in enumerate(found.runs):
        row = [letter(i), run.label]
        for table in found.metrics:
            row.append(_value(found, table, i))
            row += [letters(table.beaten_by(i)) or "-"] if table.comparisons else []
        row += [cost_text(run.costs.get(name)) for name in costs]
        rows.append([*row, run.run_id[:8]])
    return _aligned([[*header, *costs.values(), "run"], *rows])


def _against(found: RunComparison, table: Pairs) -> str:
    """Every run against the baseline, in one metric."""
    base = found.baseline
    if base is None or not table.comparisons:
        return ""
    rows = [["", "", "difference", "d_z", "p (Holm)", "better/equal/worse users"]]
    for i, run in enumerate(found.runs):
        if i != base:
            one = table.between(i, base)
            effect = f"{one.effect_size:+.2f}"
            numbers = [difference_text(one), effect, p_text(one.p_holm), users_text(one)]
            rows.append([letter(i), run.label, *numbers])
    return f"{against_title(found, table)}\n{_aligned(rows)}"


def against_title(found: RunComparison, table: Pairs) -> str:
    """Return the heading of the differences to the baseline."""
    name = "" if found.baseline is None else found.runs[found.baseline].label
    return f"{table.metric} against {name} (intervals uncorrected)"


def _segment_table(found: RunComparison) -> str:
    if not found.segments:
        return ""
    metric = found.metrics[0].metric
    names = [table.metric.rpartition("/")[0] for table in found.segments]
    counts = [f"{table.n_users:,} users" for table in found.segments]
    rows = [["", "", *names], ["", "", *counts]]
    for i, run in enumerate(found.runs):
        cells = [
            f"{_value(found, table, i)} {letters(table.beaten_by(i)) or '-'}"
            for table in found.segments
        ]
        rows.append([letter(i), run.label, *cells])
    return f"{metric} by segment\n{_aligned(rows)}"


def _value(found: RunComparison, table: Pairs, i: int) -> str:
    text = value_text(found, table, i)
    return f"*{text}" if i in table.best() else text


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows with the letter and the label to the left."""
    width = max(len(row[0]) for row in rows)
    return align([[f"{row[0]:{width}}  {row[1]}", *row[2:]] for row in rows])
