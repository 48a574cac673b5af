"""Side features from what a source says: categories, lists of categories, numbers in bins."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from recexp.arrays import AnyArray
from recexp.data.dataset import Features
from recexp.errors import DataError


def one_hot(values: Sequence[str], group: str) -> Features:
    """Return one column for each distinct value, named `group=value`, in sorted order.

    An empty value means unknown and gives a row of zeros.

    >>> one_hot(["red", "", "blue"], "color").names
    ('color=blue', 'color=red')
    """
    return multi_hot([(value,) if value else () for value in values], group)


def multi_hot(lists: Sequence[Sequence[str]], group: str) -> Features:
    """Return one column for each distinct value of the lists, named `group=value`, sorted.

    A row is 1 at every value of its list; an empty list gives a row of zeros.
    """
    lengths = np.fromiter((len(values) for values in lists), np.int64, len(lists))
    flat = np.array([value for values in lists for value in values], dtype=str)
    names, columns = np.unique(flat, return_inverse=True)
    rows = np.repeat(np.arange(len(lists)), lengths)
    return _features(len(lists), rows, columns, [f"{group}={name}" for name in names])


def binned(numbers: AnyArray, edges: Sequence[float], group: str) -> Features:
    """Return one column for each interval between `edges` that occurs, `group=[low,high)`.

    The outer intervals are open (`<low`, `>=high`); NaN means unknown and gives a row of zeros.

    >>> binned(np.array([17, 18, np.nan, 70]), [18, 65], "age").names
    ('age=<18', 'age=[18,65)', 'age=>=65')
    """
    inner = [f"[{low:g},{high:g})" for low, high in itertools.pairwise(edges)]
    labels = np.array([f"<{edges[0]:g}", *inner, f">={edges[-1]:g}"])
    numbers = np.asarray(numbers, np.float64)
    known = np.flatnonzero(~np.isnan(numbers))
    bins = np.digitize(numbers[known], edges)
    used, columns = np.unique(bins, return_inverse=True)
    return _features(len(numbers), known, columns, [f"{group}={label}" for label in labels[used]])


def stack(*parts: Features) -> Features:
    """Return the columns of all `parts` side by side; they have the same rows."""
    from scipy.sparse import csr_array, hstack

    heights = {part.matrix.shape[0] for part in parts}
    if len(heights) != 1:
        raise DataError(f"features of {sorted(heights)} rows cannot stand side by side")
    matrix = csr_array(hstack([part.matrix for part in parts], format="csr"))
    return Features(matrix, tuple(name for part in parts for name in part.names))


def _features(n_rows: int, rows: AnyArray, columns: AnyArray, names: Sequence[str]) -> Features:
    from scipy.sparse import csr_array

    ones = np.ones(len(rows), np.float32)
    matrix = csr_array((ones, (rows, columns.reshape(-1))), shape=(n_rows, len(names)))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return Features(matrix, tuple(names))
