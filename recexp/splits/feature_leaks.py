"""Feature columns that were computed from test interactions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from recexp.arrays import BoolArray, FloatArray
from recexp.data.interactions import Interactions
from recexp.splits.base import Split

_LIKENESS = 0.99
"""Correlation from which a column counts as computed from a statistic: roundings pass."""
_BLOCK = 1 << 20
_MIN_ROWS = 10
"""Fewer users or items than this correlate by chance."""


def leaked_features(split: Split) -> list[str]:
    """Return the names of feature columns that look computed from test interactions.

    A column is named, as in `item year (mean of all interactions)`, when its correlation with a
    statistic of the test interactions, alone or together with training, is at least 0.99 in size
    and leaves at most half of the variance unexplained that the best of the same statistics of
    training alone leaves. Rows are the users or items that occur. Statistics: the number of
    interactions, its logarithm (also plus one) and percentile; the sum and mean of the values
    (the mean of those without is the overall mean, or 0). Looked at are the feature matrices and
    the text columns that are numbers.

    Columns of other makes (indicators, several statistics together, another selection of rows) and
    of fewer than 10 users or items are not found.
    """
    found = []
    for side in ("user", "item"):
        columns = [_text_columns(getattr(split.train, f"{side}_columns"))]
        features = getattr(split.train, f"{side}_features")
        if features is not None:
            columns.append((features.names, features.matrix))
        columns = [(names, matrix) for names, matrix in columns if len(names)]
        if columns:
            statistics = _statistics(split, side)
            for names, matrix in columns:
                found += [f"{side} {column}" for column in _leaked(names, matrix, *statistics)]
    return found


def _leaked(
    names: tuple[str, ...],
    matrix: Any,
    rows: BoolArray,
    statistics: dict[str, dict[str, FloatArray]],
) -> Iterator[str]:
    if np.count_nonzero(rows) < _MIN_ROWS:
        return
    matrix = matrix[np.flatnonzero(rows)].astype(np.float64)
    matrix.eliminate_zeros()
    likeness = {
        source: np.column_stack([_correlation(matrix, one[rows]) for one in by_name.values()])
        for source, by_name in statistics.items()
    }
    unexplained = 1 - likeness["training"].max(axis=1, initial=0.0) ** 2
    for column, name in enumerate(names):
        for source in ("all", "test"):
            best = int(likeness[source][column].argmax())
            reached = likeness[source][column, best]
            if reached >= _LIKENESS and 1 - reached**2 < 0.5 * unexplained[column]:
                yield f"{name} ({list(statistics[source])[best]} of {source} interactions)"
                break


def _statistics(split: Split, side: str) -> tuple[BoolArray, dict[str, dict[str, FloatArray]]]:
    """Which users (or items) occur, and statistics of their interactions by source and name."""
    sources = {"training": split.train.interactions, "test": split.test}
    counts: dict[str, FloatArray] = {}
    sums: dict[str, FloatArray] = {}
    for source, interactions in sources.items():
        counts[source], sums[source] = _count_and_sum(interactions, side)
    for totals in (counts, sums):
        totals["all"] = totals["training"] + totals["test"]
    return counts["all"] > 0, {source: _derived(counts[source], sums[source]) for source in counts}


def _count_and_sum(interactions: Interactions, side: str) -> tuple[FloatArray, FloatArray]:
    idx = getattr(interactions, f"{side}_idx")
    n = getattr(interactions, f"n_{side}s")
    count, total = np.zeros(n), np.zeros(n)
    # In blocks: bincount copies what it counts into wider types.
    for start in range(0, len(idx), _BLOCK):
        rows = slice(start, start + _BLOCK)
        count += np.bincount(idx[rows], minlength=n)
        total += np.bincount(idx[rows], weights=interactions.value[rows], minlength=n)
    return count, total


def _derived(count: FloatArray, total: FloatArray) -> dict[str, FloatArray]:
    overall = total.sum() / count.sum()
    _, place, size = np.unique(count, return_inverse=True, return_counts=True)
    return {
        "count": count,
        "log count": np.log(np.maximum(count, 1)),
        "log count + 1": np.log1p(count),
        "percentile of count": np.cumsum(size)[place] - size[place] / 2,
        "mean": np.divide(total, count, out=np.full_like(total, overall), where=count > 0),
        "mean or 0": total / np.maximum(count, 1),
        "sum": total,
    }


def _correlation(matrix: Any, statistic: FloatArray) -> FloatArray:
    """Size of Pearson's correlation of each column (sparse) with `statistic`.

    0 for constant columns and for indicators, whose values other than 0 are all the same: on a
    statistic with one large value they would correlate by chance.
    """
    n = matrix.shape[0]
    centered = statistic - statistic.mean()
    n_known = np.bincount(matrix.indices, minlength=matrix.shape[1])
    total = np.asarray(matrix.sum(axis=0)).reshape(-1)
    squares = np.asarray(matrix.multiply(matrix).sum(axis=0)).reshape(-1)
    variance = np.maximum(squares / n - (total / n) ** 2, 0)
    spread = np.sqrt(variance * n * (centered @ centered))
    graded = total**2 < (1 - 1e-9) * n_known * squares
    product = np.abs(np.asarray(matrix.T @ centered).reshape(-1))
    likeness = np.zeros(len(spread))
    np.divide(product, spread, out=likeness, where=graded & (spread > 0))
    likeness[likeness > 1] = 1.0
    return likeness


def _text_columns(columns: Any) -> tuple[tuple[str, ...], Any]:
    """The text columns whose texts are numbers (or empty), as a sparse matrix."""
    from scipy.sparse import csr_array

    numbers = {}
    for name, texts in columns.items():
        try:
            column = np.array([float(text) if text else 0.0 for text in texts])
        except ValueError:
            continue
        if np.isfinite(column).all():
            numbers[name] = column
    if not numbers:
        return (), None
    return tuple(numbers), csr_array(np.column_stack(list(numbers.values())))
