"""Plain-text tables."""

from __future__ import annotations

from collections.abc import Sequence

from recexp.evaluation.summary import Estimate
from recexp.reporting.outcome import Outcome


def align(rows: Sequence[Sequence[str]], indent: str = "") -> str:
    """Return rows of cells as lines with aligned columns: the first to the left, others right.

    >>> print(align([["metric", "@5"], ["ndcg", "0.1"]]))
    metric   @5
    ndcg    0.1
    """
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=False))
        )
        lines.append((indent + "  ".join([first, *others])).rstrip())
    return "\n".join(lines)


def outcome_table(outcome: Outcome) -> str:
    """Return what a run prints: metrics with intervals, segments, counts, time per stage."""
    parts = [_heading(outcome), _ranking(outcome), _others(outcome), _segments(outcome)]
    parts.append(_sampled(outcome))
    return "\n\n".join(part for part in (*parts, _counts(outcome)) if part)


def _heading(outcome: Outcome) -> str:
    data, split = outcome.dataset, outcome.split
    names = outcome.names
    return (
        f"{names['algo']} on {data.name}, {names['split']} split, seed {outcome.seed}\n"
        f"{data.n_users:,} users, {data.n_items:,} items; "
        f"{len(split.train.interactions):,} training and {len(split.test):,} test interactions"
    )


def _ranking(outcome: Outcome) -> str:
    """Metrics by cutoff, the objective first."""
    cells: dict[str, dict[str, str]] = {}
    for one in _overall(outcome):
        name, at, cutoff = one.metric.partition("@")
        if at:
            cells.setdefault(name, {})[cutoff] = estimate_text(one)
    cutoffs = sorted({int(cutoff) for row in cells.values() for cutoff in row})
    first = outcome.objective.partition("@")[0]
    names = sorted(cells, key=lambda name: name != first)
    rows = [["", *(f"@{cutoff}" for cutoff in cutoffs)]]
    rows += [[name, *(cells[name].get(str(cutoff), "") for cutoff in cutoffs)] for name in names]
    return align(rows) if cells else ""


def _others(outcome: Outcome) -> str:
    rows = [[one.metric, estimate_text(one)] for one in _overall(outcome) if "@" not in one.metric]
    if not rows:
        return ""
    note = ""
    if outcome.ratings is not None:
        source, share = outcome.ratings.rating_source, outcome.ratings.fallback_share
        note = f"\n(ratings {source}; {share:.1%} of the pairs by fallback)"
    return align(rows) + note


def _segments(outcome: Outcome) -> str:
    rows = [
        [one.segment, estimate_text(one), f"{one.n_users:,} users"]
        for one in outcome.evaluation.table
        if one.segment and one.metric == outcome.objective
    ]
    return align([[outcome.objective, "", ""], *rows]) if rows else ""


def _sampled(outcome: Outcome) -> str:
    if outcome.sampled is None:
        return ""
    n = outcome.sampled.facts["n_negatives"]
    rows = [[f"sampled/{one.metric}", estimate_text(one)] for one in outcome.sampled.table]
    title = f"over {n} sampled negatives: to reproduce papers only, not comparable with the above"
    return f"{title}\n{align(rows)}"


def _counts(outcome: Outcome) -> str:
    counts = outcome.recommendations.source_counts
    answered = ", ".join(f"{n:,} by {_SOURCES[name]}" for name, n in counts.items() if n)
    tied = outcome.recommendations.tied_boundary_share
    stages = ", ".join(f"{stage} {seconds:.2f}" for stage, seconds in outcome.seconds.items())
    return (
        f"users    {len(outcome.recommendations.sources):,} evaluated: {answered}; "
        f"{tied:.1%} of the lists end in a tie\n"
        "interval 95 %, bootstrap over users\n"
        f"seconds  {stages}; peak memory {outcome.peak_mb:,.0f} MB"
    )


_SOURCES = {
    "model": "the algorithm",
    "features": "their features",
    "fold_in": "fold-in",
    "fallback": "popularity (fallback)",
}


def _overall(outcome: Outcome) -> list[Estimate]:
    return [one for one in outcome.evaluation.table if not one.segment]


def estimate_text(one: Estimate) -> str:
    """Return a value with its interval, `0.1234 [0.1200, 0.1270]`; `-` where nobody was measured.

    >>> estimate_text(Estimate("ndcg@10", "", 0.1, 0.05, 0.15, 9))
    '0.1000 [0.0500, 0.1500]'
    """
    if one.value != one.value:
        return "-"
    if one.ci_low != one.ci_low:
        return f"{one.value:.4f}"
    return f"{one.value:.4f} [{one.ci_low:.4f}, {one.ci_high:.4f}]"
