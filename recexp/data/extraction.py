"""Side features made of what a source says of its users and items."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from recexp.arrays import FloatArray
from recexp.data.dataset import Dataset, Features
from recexp.data.features import (
    Analyzer,
    binned,
    multi_hot,
    numbers,
    one_hot,
    quantile_edges,
    scaled,
    stack,
    text,
)
from recexp.errors import ConfigError, DataError, did_you_mean

Kind = Literal["one_hot", "multi_hot", "binned", "scaled", "text", "year", "recency"]

SEPARATORS = "|;,"
MOST_CATEGORIES = 50
"""A column of more distinct texts than this is no category to the guess."""

log = logging.getLogger(__name__)


def extract(
    dataset: Dataset,
    of: Literal["items", "users"] = "items",
    columns: Mapping[str, Kind] | None = None,
    *,
    keep: bool = False,
    separator: str | None = None,
    n_bins: int = 10,
    edges: Sequence[float] | None = None,
    min_rows: int = 1,
    analyzer: Analyzer = "word",
    ngram_min: int = 1,
    ngram_max: int = 1,
    max_terms: int | None = 1000,
    half_life_years: float = 5.0,
) -> Dataset:
    """Return the dataset with features made of the columns of its items, or of its users.

    Args:
        of: whose columns.
        columns: what becomes of which column; None: guessed (and logged).
            `one_hot`: a category each; `multi_hot`: a list of them; `binned`: numbers in intervals;
            `scaled`: numbers, minus the mean over the deviation; `text`: TF-IDF of its terms;
            `year`: the last year that the text names, binned; `recency`: 2^(-age / half life), the
            age in years against the newest of all.
        keep: whether the features that the dataset has stay beside the new ones.
        separator: between the categories of a list; None: the one of | ; , that occurs most.
        n_bins: intervals of about as many known numbers each, where there are no `edges`.
        edges: between the intervals of `binned` and `year`.
        min_rows: rows in which a category or term must occur.
        analyzer, ngram_min, ngram_max, max_terms: see `recexp.data.features.text`.
        half_life_years: of `recency`.

    What is made depends on the columns alone and on no interaction, so that it gives no test
    away. Raises DataError for a column that is not there or cannot be what it should be.
    """
    for option, value, low in (("n_bins", n_bins, 2), ("min_rows", min_rows, 1)):
        _require(value >= low, option, value, f"a whole number >= {low}")
    _require(1 <= ngram_min <= ngram_max, "ngram_min", ngram_min, f"1 to ngram_max ({ngram_max})")
    _require(half_life_years > 0, "half_life_years", half_life_years, "a number > 0")

    def terms(texts: Sequence[str], name: str) -> Features:
        return text(
            texts,
            name,
            analyzer=analyzer,
            ngram_min=ngram_min,
            ngram_max=ngram_max,
            min_df=min_rows,
            max_features=max_terms,
        )

    def intervals(values: FloatArray, name: str) -> Features:
        return binned(values, quantile_edges(values, n_bins) if edges is None else edges, name)

    of_texts: dict[str, Callable[[Sequence[str], str], Features]] = {
        "one_hot": lambda texts, name: _frequent(one_hot(texts, name), min_rows),
        "multi_hot": lambda texts, name: _frequent(
            multi_hot(category_lists(texts, separator), name), min_rows
        ),
        "text": terms,
        "binned": lambda texts, name: intervals(_some(numbers(texts), texts, name), name),
        "scaled": lambda texts, name: scaled(_some(numbers(texts), texts, name), name),
        "year": lambda texts, name: intervals(_some(years(texts), texts, name), name),
        "recency": lambda texts, name: _recency(
            _some(years(texts), texts, name), name, half_life_years
        ),
    }
    side = of.removesuffix("s")
    known: Mapping[str, tuple[str, ...]] = getattr(dataset, f"{side}_columns")
    before: Features | None = getattr(dataset, f"{side}_features")
    if columns is None:
        columns = guess(known)
        said = ", ".join(f"{name} ({kind})" for name, kind in columns.items())
        log.info("%s features: %s", side, said or "no column to make them of")
    for name in columns:
        if name not in known:
            near = did_you_mean(name, known) or f"; it says nothing of its {of}"
            raise DataError(f"{dataset.name} has no {side} column '{name}'{near}")
    made = [of_texts[kind](known[name], name) for name, kind in columns.items()]
    if before is not None and (keep or not made):
        made.insert(0, before)
    features: dict[str, Any] = {f"{side}_features": stack(*made) if made else None}
    return replace(dataset, **features)


def guess(columns: Mapping[str, Sequence[str]]) -> dict[str, Kind]:
    """Return what to make of each column, by its known texts; columns of no use are left out.

    Numbers: `year` when all are whole and from 1850 to 2100, else `scaled`, or `one_hot` when they
    are few; texts: lists of categories, categories, or text where several words are the rule.

    >>> guess({"genre": ["a|b", "b|c", "a"] * 2, "price": [str(n / 7) for n in range(60)]})
    {'genre': 'multi_hot', 'price': 'scaled'}
    """
    found: dict[str, Kind] = {}
    for name, texts in columns.items():
        known = [one for one in texts if one]
        distinct = set(known)
        if len(distinct) < 2:
            continue
        values = numbers(known)
        lists = category_lists(known, None)
        parts = {part for one in lists for part in one}
        several = any(len(one) > 1 for one in lists)
        if not np.isnan(values).any():
            whole = (values % 1 == 0).all() and values.min() >= 1850 and values.max() <= 2100
            few = len(distinct) <= MOST_CATEGORIES // 2 and len(distinct) < len(known) / 2
            found[name] = "year" if whole else "one_hot" if few else "scaled"
        elif len(parts) <= min(len(distinct), 10 * MOST_CATEGORIES) and several:
            found[name] = "multi_hot"
        elif len(distinct) <= MOST_CATEGORIES and len(distinct) <= max(2, len(known) / 2):
            found[name] = "one_hot"
        elif sum(" " in one.strip() for one in known) > len(known) / 2:
            found[name] = "text"
    return found


def years(texts: Sequence[str]) -> FloatArray:
    """Return the last year (1850 to 2100) that each text names, float64; NaN where it names none.

    >>> years(["Heat (1995)", "2001: A Space Odyssey (1968)", "1995-02-03", ""]).tolist()
    [1995.0, 1968.0, 1995.0, nan]
    """
    found = (_YEAR.findall(one) for one in texts)
    return np.array([float(years[-1]) if years else np.nan for years in found])


_YEAR = re.compile(r"(?<!\d)(?:18[5-9]\d|19\d\d|20\d\d|2100)(?!\d)")


def category_lists(texts: Sequence[str], separator: str | None) -> list[list[str]]:
    """Return the parts of each text, without the space around them.

    The separator of None is the most frequent of those that people use.
    """
    if separator is None:
        everything = "".join(texts)
        separator = max(SEPARATORS, key=everything.count)
    return [[part for one in text.split(separator) if (part := one.strip())] for text in texts]


def _recency(values: FloatArray, group: str, half_life: float) -> Features:
    from scipy.sparse import csr_array

    age = np.nanmax(values) - values
    column = np.nan_to_num(np.exp2(-age / half_life), nan=0.0)
    return Features(csr_array(column[:, None], dtype=np.float32), (f"{group}=recency",))


def _frequent(features: Features, min_rows: int) -> Features:
    if min_rows == 1:
        return features
    rows = np.bincount(features.matrix.indices, minlength=len(features.names))
    kept = np.flatnonzero(rows >= min_rows)
    return Features(features.matrix[:, kept], tuple(features.names[at] for at in kept))


def _some(values: FloatArray, texts: Sequence[str], name: str) -> FloatArray:
    """`values`, unless none of the texts of the column was one."""
    if np.isnan(values).all():
        example = next(filter(None, texts), "")
        raise DataError(
            f"column '{name}' holds no number or year, only texts such as {example[:40]!r}: "
            "make it one_hot, multi_hot or text"
        )
    return values


def _require(condition: bool, option: str, value: object, expected: str) -> None:
    if not condition:
        raise ConfigError(f"features: {option}={value}: expected {expected}")
