"""Side features from what a source says: categories, lists of categories, numbers, texts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Literal

import numpy as np

from recexp.arrays import AnyArray, FloatArray
from recexp.data.dataset import Features
from recexp.errors import DataError

Analyzer = Literal["word", "char_wb"]


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


def quantile_edges(numbers: AnyArray, n_bins: int) -> list[float]:
    """Return the edges between `n_bins` bins of about as many of the known numbers each.

    Fewer where numbers tie; none when all are the same or unknown (NaN).

    >>> quantile_edges(np.array([1, 1, 1, 2, 3, np.nan]), 4)
    [2.0]
    """
    known = np.asarray(numbers, np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return []
    edges = np.quantile(known, np.arange(1, n_bins) / n_bins, method="higher")
    return [edge for edge in np.unique(edges).tolist() if edge > known.min()]


def scaled(
    numbers: AnyArray, group: str, method: Literal["standard", "minmax"] = "standard"
) -> Features:
    """Return one column, named `group`: minus the mean over the deviation, or from 0 to 1.

    NaN means unknown and gives 0, which is the mean with `standard`. Numbers that are all the same
    give zeros.

    >>> scaled(np.array([1, 3, np.nan]), "price").matrix.toarray().ravel().tolist()
    [-1.0, 1.0, 0.0]
    """
    from scipy.sparse import csr_array

    numbers = np.asarray(numbers, np.float64)
    column = np.zeros(len(numbers))
    known = numbers[~np.isnan(numbers)]
    if len(known) and known.min() < known.max():
        low, width = (
            (known.mean(), known.std())
            if method == "standard"
            else (known.min(), known.max() - known.min())
        )
        column = np.nan_to_num((numbers - low) / width, nan=0.0)
    return Features(csr_array(column[:, None], dtype=np.float32), (group,))


def text(
    texts: Sequence[str],
    group: str = "text",
    *,
    analyzer: Analyzer = "word",
    ngram_min: int = 1,
    ngram_max: int = 1,
    sublinear_tf: bool = True,
    min_df: int = 1,
    max_features: int | None = None,
) -> Features:
    """Return the TF-IDF of the terms of each text, rows of length 1, columns sorted by term.

    By scikit-learn's `TfidfVectorizer`: tf * (ln((1 + n) / (1 + df)) + 1), tf the number of times
    a term occurs in a text (`sublinear_tf`: 1 + ln of it) and df the texts it occurs in; each row
    over its length. Texts without any term give no columns.

    Args:
        analyzer: terms are `word`s (of two letters or more, in lower case), or characters within
            words with a space at either end (`char_wb`).
        ngram_min, ngram_max: terms are sequences of so many of them.
        min_df: texts that a term must occur in.
        max_features: keep only so many terms, those that occur most often.
    """
    from scipy.sparse import csr_array
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        analyzer=analyzer,
        ngram_range=(ngram_min, ngram_max),
        sublinear_tf=sublinear_tf,
        min_df=min_df,
        max_features=max_features,
        dtype=np.float64,
    )
    try:
        matrix = csr_array(vectorizer.fit_transform(texts), dtype=np.float32)
    except ValueError:  # how it says that no term is left
        return Features(csr_array((len(texts), 0), dtype=np.float32), ())
    names = vectorizer.get_feature_names_out().tolist()
    return Features(matrix, tuple(f"{group}={term}" for term in names))


def numbers(texts: Sequence[str]) -> FloatArray:
    """Return the number that each text is, float64; NaN for any other text and for infinities."""
    values = np.full(len(texts), np.nan)
    for row, one in enumerate(texts):
        if one and _NUMBER.fullmatch(one.strip()):
            values[row] = float(one)
    values[np.isinf(values)] = np.nan
    return values


def stack(*parts: Features) -> Features:
    """Return the columns of all `parts` side by side; they have the same rows."""
    from scipy.sparse import csr_array, hstack

    heights = {part.matrix.shape[0] for part in parts}
    if len(heights) != 1:
        raise DataError(f"features of {sorted(heights)} rows cannot stand side by side")
    matrix = csr_array(hstack([part.matrix for part in parts], format="csr"))
    return Features(matrix, tuple(name for part in parts for name in part.names))


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def _features(n_rows: int, rows: AnyArray, columns: AnyArray, names: Sequence[str]) -> Features:
    from scipy.sparse import csr_array

    ones = np.ones(len(rows), np.float32)
    matrix = csr_array((ones, (rows, columns.reshape(-1))), shape=(n_rows, len(names)))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return Features(matrix, tuple(names))
