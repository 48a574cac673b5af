"""A table of texts, as any source gives it, made into a dataset: every row used or counted."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recexp.arrays import AnyArray, BoolArray, FloatArray, IntArray
from recexp.data.arrow import encode
from recexp.data.dataset import Dataset
from recexp.data.ids import IdMap
from recexp.data.timestamps import parse_timestamps
from recexp.errors import ConfigError, DataError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Table:
    """Columns of texts by role.

    Attributes:
        where: the source, for messages.
        columns: `pyarrow.ChunkedArray` of strings for user, item and perhaps rating, timestamp.
        names: what the source calls them.
        dropped: rows already left out, by reason.
    """

    where: str
    columns: Mapping[str, Any]
    names: Mapping[str, str]
    dropped: Mapping[str, int]


def to_dataset(
    table: Table, name: str, scale: Sequence[float] | None, facts: Mapping[str, Any]
) -> Dataset:
    """Return the dataset of a table; see `readers.load_csv` for what becomes of which text.

    Its facts are `facts` and `rows_read`, `rows_dropped` (by reason), `scale_source` and
    `timestamp_format`. Raises DataError when most of a column cannot be used.
    """
    bad = _Bad(table)
    codes = {}
    for role in ("user", "item"):
        distinct, rows = encode(table.columns[role])
        missing = np.array([not text for text in distinct])
        bad.add(f"{role} missing", missing[rows], role)
        codes[role] = distinct, rows
    values = timestamps = None
    written = "none"
    if "rating" in table.columns:
        values = _ratings(table, bad)
    if "timestamp" in table.columns:
        timestamps, right, written = parse_timestamps(table.columns["timestamp"])
        bad.add("timestamp not a time from 1970 to 2099", ~right, "timestamp")
    limits = _declared(scale, table)
    if values is not None and limits is not None:
        off = (values < limits[0]) | (values > limits[1])
        bad.add(f"rating outside {limits[0]:g} to {limits[1]:g}", off, "rating")
    kept = ~bad.rows
    source = "none" if values is None else "declared"
    if values is not None:
        values = values[kept].astype(np.float32)
        if limits is None:
            limits, source = _observed(values)
    users, user_idx = _id_map(*codes["user"], kept)
    items, item_idx = _id_map(*codes["item"], kept)
    if bad.counts:
        log.warning("%s: dropped %s", table.where, bad)
    return Dataset.from_indices(
        name,
        users,
        user_idx,
        items,
        item_idx,
        values,
        None if timestamps is None else timestamps[kept],
        scale=limits,
        facts={
            **facts,
            "rows_read": bad.n_rows,
            "rows_dropped": bad.counts,
            "scale_source": source,
            "timestamp_format": written,
        },
    )


class _Bad:
    """The rows that cannot be used: each counted once, under the first reason."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.counts = {reason: n for reason, n in table.dropped.items() if n}
        self.rows: BoolArray = np.zeros(len(table.columns["user"]), bool)
        self.n_rows = len(self.rows) + sum(self.counts.values())

    def add(self, reason: str, rows: BoolArray, role: str) -> None:
        """Note bad rows; refuse the column of `role` when they are most of all."""
        n_bad = int(rows.sum())
        if n_bad > len(rows) / 2:
            text = self.table.columns[role][int(np.argmax(rows))].as_py()
            none = "" if role in ("user", "item") else " or to '' for none"
            raise DataError(
                f"{self.table.where}: column {self.table.names[role]!r} cannot be the {role}: "
                f"{reason} in {n_bad:,} of {len(rows):,} rows, such as {text[:40]!r}; "
                f"set dataset.columns.{role}{none}"
            )
        n_new = int((rows & ~self.rows).sum())
        if n_new:
            self.counts[reason] = n_new
            self.rows |= rows

    def __str__(self) -> str:
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in self.counts.items())
        return f"{sum(self.counts.values()):,} of {self.n_rows:,} rows ({reasons})"


def _ratings(table: Table, bad: _Bad) -> FloatArray:
    distinct, codes = encode(table.columns["rating"])
    values = np.array([_number(text) for text in distinct])
    bad.add("rating not a number", np.isnan(values)[codes], "rating")
    bad.add("rating not finite", (np.abs(values) > np.finfo(np.float32).max)[codes], "rating")
    return values[codes]


def _number(text: str) -> float:
    try:
        return np.nan if "_" in text else float(text)  # Python reads 1_000
    except ValueError:
        return np.nan


def _declared(scale: Sequence[float] | None, table: Table) -> tuple[float, float] | None:
    if scale is None:
        return None
    if len(scale) != 2 or not scale[0] < scale[1]:
        raise ConfigError(f"dataset.scale={list(scale)}: expected [lowest, highest]")
    if "rating" not in table.columns:
        raise DataError(
            f"{table.where} has no column for the rating, but dataset.scale is set: "
            "set dataset.columns.rating too, or neither"
        )
    return float(scale[0]), float(scale[1])


def _observed(values: AnyArray) -> tuple[tuple[float, float] | None, str]:
    """The span of the ratings; without a span they say nothing and the data are implicit."""
    if not len(values):
        return None, "none"
    low, high = float(values.min()), float(values.max())
    return ((low, high), "observed") if low < high else (None, f"none: every rating is {low:g}")


def _id_map(distinct: Sequence[str], codes: IntArray, kept: BoolArray) -> tuple[IdMap, IntArray]:
    """Return the map of the ids in the rows that are kept, in sorted order, and their idx."""
    codes = codes[kept]
    used = np.flatnonzero(np.bincount(codes, minlength=len(distinct)))
    texts = [distinct[code] for code in used.tolist()]
    ids: list[Any] = _whole_numbers(texts) or texts
    order = sorted(range(len(ids)), key=ids.__getitem__)
    rank = np.zeros(len(distinct), np.int64)
    rank[used[order]] = np.arange(len(order))
    return IdMap([ids[place] for place in order]), rank[codes]


def _whole_numbers(texts: Sequence[str]) -> list[int] | None:
    """The ids as int64 if that loses nothing: "007", "1e5" or "+7" would not come back."""
    try:
        numbers = [int(text) for text in texts]
    except ValueError:
        return None
    whole = all(
        -(2**63) <= number < 2**63 and str(number) == text
        for number, text in zip(numbers, texts, strict=True)
    )
    return numbers if whole else None
