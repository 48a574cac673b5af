"""Columns of texts as codes: each distinct text once, and a small number for every row."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from recexp.arrays import AnyArray, BoolArray, IdxArray

MANY = 1 << 20
"""Rows from which several threads fill a column."""


@dataclass(frozen=True, eq=False)
class Coded:
    """A column: `distinct` values, and parts of rows whose codes are places in them.

    A part is (codes, places): the code c of a row means `distinct[places[c]]`, counted from the
    end of `places` where c is negative, or `distinct[c]` without places. Every distinct value
    occurs in some row.
    """

    distinct: Sequence[Any]
    parts: Sequence[tuple[IdxArray, IdxArray | None]]

    def __len__(self) -> int:
        return sum(len(codes) for codes, _ in self.parts)

    def take(self, values: AnyArray) -> AnyArray:
        """Return what `values` has for the distinct value of every row."""
        out = np.empty(len(self), values.dtype)
        of_places = {id(places): values[places] for _, places in self.parts if places is not None}
        ends = np.cumsum([len(codes) for codes, _ in self.parts]).tolist()

        def fill(part: tuple[IdxArray, IdxArray | None], end: int) -> None:
            codes, places = part
            of_code = values if places is None else of_places[id(places)]
            # Wrapping is how take reads negative codes without checking and copying first.
            np.take(of_code, codes, out=out[end - len(codes) : end], mode="wrap")

        with ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool:
            each = pool.map if len(out) > MANY else map
            list(each(fill, self.parts, ends))
        return out

    def codes(self) -> IdxArray:
        """Return the place in `distinct` of every row, int32."""
        return self.take(np.arange(len(self.distinct), dtype=np.int32))

    def rows(self, wanted: BoolArray) -> BoolArray:
        """Return the rows whose distinct value is `wanted`; cheap when none or all are."""
        if not wanted.any():
            return np.zeros(len(self), bool)
        return self.take(wanted)


class DictCoder:
    """Codes for values of any kind, by a dict."""

    def __init__(self) -> None:
        self._codes: dict[Hashable, int] = {}

    def encode(self, values: Iterable[Hashable]) -> IdxArray:
        """Return the code of each value; new ones get the next."""
        codes = self._codes
        return np.array([codes.setdefault(value, len(codes)) for value in values], np.int32)

    def decode(self, codes: AnyArray) -> list[Any]:
        """Return the value of each code."""
        values = self.distinct()
        return [values[code] for code in codes.tolist()]

    def distinct(self) -> list[Any]:
        """Return the values by code."""
        return list(self._codes)
