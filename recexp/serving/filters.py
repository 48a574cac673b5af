"""Which items may be listed: `genres:Comedy`, `!genres:Horror`, `year>=1990`."""

from __future__ import annotations

import operator
import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

from recexp.arrays import BoolArray, FloatArray
from recexp.data.dataset import Dataset
from recexp.data.extraction import category_lists, guess
from recexp.data.features import numbers
from recexp.errors import DataError, did_you_mean

_COMPARES = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_FORM = re.compile(r"(!?)([^:<>=]+)(:|>=|<=|>|<|=)(.+)", re.DOTALL)
_NUMBER = r"-?[0-9]+(\.[0-9]+)?"
_MOST_VALUES = 200
_MOST_BYTES = 16_000_000
"""Of the filters that are remembered: one takes a byte for each item."""


class ItemFilters:
    """Filters over the columns of a dataset's items; those used lately are remembered."""

    def __init__(self, dataset: Dataset) -> None:
        self._columns = dataset.item_columns
        self._n_items = dataset.n_items
        self._parts: dict[str, list[frozenset[str]]] = {}
        self._numbers: dict[str, FloatArray] = {}
        remembered = min(512, max(8, _MOST_BYTES // max(dataset.n_items, 1)))
        self._of_one = lru_cache(remembered)(self._mask)
        self._of_all = lru_cache(remembered)(self._masks)

    def offered(self) -> dict[str, list[str] | Literal["number"]]:
        """Return the columns to choose by: the values of each, most frequent first, or numbers."""
        found: dict[str, list[str] | Literal["number"]] = {}
        for name, kind in guess(self._columns).items():
            if kind in ("year", "scaled"):
                found[name] = "number"
            elif kind in ("multi_hot", "one_hot"):
                counts: dict[str, int] = {}
                for parts in category_lists(self._columns[name], None):
                    for part in parts:
                        counts[part] = counts.get(part, 0) + 1
                found[name] = sorted(counts, key=lambda one: (-counts[one], one))[:_MOST_VALUES]
        return found

    def allowed(self, filters: Sequence[str]) -> BoolArray | None:
        """Return the items that pass all `filters`, bool (n_items,); None where all do.

        Raises DataError for a filter that cannot be understood.
        """
        if not filters:
            return None
        mask: BoolArray = self._of_all(tuple(filters))
        return mask

    def _masks(self, filters: tuple[str, ...]) -> BoolArray:
        mask: BoolArray = np.logical_and.reduce([self._of_one(one) for one in filters])
        return mask

    def _mask(self, text: str) -> BoolArray:
        form = _FORM.fullmatch(text)
        if form is None:
            raise DataError(
                f"filter {text!r}: expected such as genres:Comedy, !genres:Horror or year>=1990"
            )
        no, name, sign, value = form.groups()
        if name not in self._columns:
            raise DataError(
                f"filter {text!r}: items have no column '{name}'{did_you_mean(name, self._columns)}"
            )
        if sign == ":":
            wanted = value.strip().casefold()
            mask = np.fromiter((wanted in one for one in self._values(name)), bool, self._n_items)
        else:
            if not re.fullmatch(_NUMBER, value):
                raise DataError(f"filter {text!r}: {value!r} is no number")
            mask = _COMPARES[sign](self._numbered(name), float(value))
        return ~mask if no else mask

    def _values(self, name: str) -> list[frozenset[str]]:
        if name not in self._parts:
            column = self._columns[name]
            self._parts[name] = [
                frozenset([text.strip().casefold(), *(one.casefold() for one in parts)])
                for text, parts in zip(column, category_lists(column, None), strict=True)
            ]
        return self._parts[name]

    def _numbered(self, name: str) -> FloatArray:
        """The numbers of a column, NaN where there is none: it compares with nothing."""
        if name not in self._numbers:
            self._numbers[name] = numbers(self._columns[name])
        return self._numbers[name]


def form_of(columns: Collection[str]) -> str:
    """Return the regular expression of filters over some columns; none where there are none."""
    names = "|".join(re.escape(name) for name in sorted(columns))
    return f"^!?({names})(:.+|(>=|<=|>|<|=){_NUMBER})$" if names else ""
