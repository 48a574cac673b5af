"""Columns as a source has them, made into a dataset: every row used, or counted and listed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from recexp.arrays import AnyArray, BoolArray, FloatArray
from recexp.data.coded import Coded
from recexp.data.dataset import Dataset
from recexp.data.ids import IdMap
from recexp.data.rejected import OnBadRows, Rejected, check_policy
from recexp.data.timestamps import Moments, understand
from recexp.errors import ConfigError, DataError

log = logging.getLogger(__name__)

DAMAGED = "\ufffd"
"""What stands where bytes could not be decoded."""


@dataclass
class Table:
    """Columns by role, and where they are from.

    Attributes:
        where: the source, for messages.
        names: what the source calls the columns.
        users, items: distinct values are bytes (UTF-8), or None.
        ratings: texts, or float64 with NaN where there is none; None without ratings.
        moments: None without timestamps.
        encoding: in which the source was written, for messages.
        unread: what stood, by row, where a rating is NaN and that is not for want of any.
    """

    where: str
    names: Mapping[str, str]
    users: Coded
    items: Coded
    ratings: Coded | FloatArray | None
    moments: Moments | None
    encoding: str = "utf-8"
    unread: Mapping[int, str] = field(default_factory=dict)

    def text(self, row: int, role: str | None = None) -> str:
        """Return a row for people, or what it has for a role."""
        shown = {"user": _shown(_value(self.users, row)), "item": _shown(_value(self.items, row))}
        if isinstance(self.ratings, Coded):
            shown["rating"] = _shown(_value(self.ratings, row))
        elif self.ratings is not None:
            rating = float(self.ratings[row])
            number = "" if rating != rating else str(rating).removesuffix(".0")
            shown["rating"] = self.unread.get(row, number)
        if self.moments is not None:
            shown["timestamp"] = self.moments.text(row)
        return ",".join(shown.values()) if role is None else shown[role]


@dataclass(frozen=True)
class Choices:
    """What is to become of a table: the dataset's name and declared scale, and its bad rows.

    `rejected` is the file that lists them.
    """

    name: str
    scale: Sequence[float] | None
    on_bad_rows: OnBadRows
    rejected: Path

    def check(self) -> None:
        """Raise ConfigError for a scale that is not [lowest, highest], or an unknown policy."""
        check_policy(self.on_bad_rows)
        if self.scale is not None and (len(self.scale) != 2 or not self.scale[0] < self.scale[1]):
            raise ConfigError(f"dataset.scale={list(self.scale)}: expected [lowest, highest]")


def to_dataset(
    table: Table, rejected: Rejected, choices: Choices, facts: Mapping[str, Any]
) -> Dataset:
    """Return the dataset of a table.

    Ids are whole numbers when all of a column are, written plainly; otherwise text, as it stands.
    Ratings that are all the same say nothing, and make the data implicit. Left out are rows
    without an id, with an id that is not text of the encoding, with a rating that is no finite
    number or is off the declared scale, with a timestamp that is none from 1970 to 2099 or is
    written otherwise than most.

    The table is used up. The dataset's facts are `facts` and rows_read, rows_dropped (by reason),
    rejected_file, exact_duplicates, repeated_pairs, scale_source, timestamp_format and
    timestamp_forms. Raises DataError when most of a column cannot be used, and for bad rows when
    they are refused.
    """
    texts = {role: _texts(table, role, rejected) for role in ("user", "item")}
    values = None if table.ratings is None else _ratings(table.ratings, table, rejected)
    times = None if table.moments is None else understand(table.moments)
    if times is not None:
        for reason, rows in times.wrong.items():
            rejected.add(reason, rows, table.names["timestamp"], "timestamp")
    limits = _declared(choices.scale, table)
    if values is not None and limits is not None:
        off = (values < np.float32(limits[0])) | (values > np.float32(limits[1]))
        reason = f"rating outside {limits[0]:g} to {limits[1]:g}"
        rejected.add(reason, off, table.names["rating"], "rating")
    listed = rejected.settle(choices.on_bad_rows, choices.rejected)
    kept = rejected.kept
    if kept is not None and not kept.any():
        raise DataError(f"{table.where}: none of {rejected} can be used")
    users, user_idx = id_map(texts["user"], table.users, kept)
    items, item_idx = id_map(texts["item"], table.items, kept)
    # Half of the memory; what is sorted below takes as much again.
    table.users = table.items = Coded([], [])
    table.ratings = table.moments = None
    source = "none" if values is None else "declared"
    if values is not None:
        values = _where(values, kept).astype(np.float32, copy=False)
        if limits is None:
            limits, source = _observed(values)
    seconds = None if times is None else _where(times.seconds, kept)
    if rejected.counts:
        log.warning("%s: dropped %s%s", table.where, rejected, f"; see {listed}" if listed else "")
    about = {
        **facts,
        "rows_read": rejected.n_read,
        "rows_dropped": dict(rejected.counts),
        "on_bad_rows": choices.on_bad_rows,
        "rejected_file": listed,
        "scale_source": source,
        "timestamp_format": "none" if times is None else times.written,
        "timestamp_forms": {} if times is None else times.forms,
    }
    dataset = Dataset.from_indices(
        choices.name, users, user_idx, items, item_idx, values, seconds, scale=limits, facts=about
    )
    return replace(dataset, facts=about | repetitions(dataset))


def _texts(table: Table, role: str, rejected: Rejected) -> list[Any]:
    """The distinct ids as text, those without use noted in `rejected`."""
    column = table.users if role == "user" else table.items
    distinct = [None if text is None else _decoded(text) for text in column.distinct]
    missing = np.array([text is None or text == "" for text in distinct], bool)
    damaged = np.array([type(text) is _Undecodable or DAMAGED in (text or "") for text in distinct])
    rejected.add(f"{role} missing", column.rows(missing), table.names[role], role)
    rejected.add(
        f"{role} not {table.encoding}",
        column.rows(damaged.astype(bool)),
        table.names[role],
        role,
        f"it is not {table.encoding}: set dataset.encoding, for instance latin-1",
    )
    return distinct


class _Undecodable(str):
    """A text with bytes of another encoding."""


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        return _Undecodable(text.decode("utf-8", "backslashreplace"))


def _ratings(column: Coded | FloatArray, table: Table, rejected: Rejected) -> AnyArray:
    """Ratings as float, those that are none noted in `rejected`."""
    name = table.names["rating"]
    largest = np.finfo(np.float32).max
    if not isinstance(column, Coded):
        rejected.add("rating not a number", np.isnan(column), name, "rating")
        rejected.add("rating not finite", np.abs(column) > largest, name, "rating")
        return np.where(np.abs(column) <= largest, column, 0.0)
    numbers = np.array([_number(text) for text in column.distinct], np.float64)
    nan, infinite = np.isnan(numbers), np.abs(numbers) > largest
    rejected.add("rating not a number", column.rows(nan), name, "rating")
    rejected.add("rating not finite", column.rows(infinite), name, "rating")
    return column.take(np.where(nan | infinite, 0, numbers).astype(np.float32))


def _number(text: bytes) -> float:
    try:
        return np.nan if b"_" in text else float(text)  # Python reads 1_000
    except ValueError:
        return np.nan


def _declared(scale: Sequence[float] | None, table: Table) -> tuple[float, float] | None:
    if scale is None:
        return None
    if table.ratings is None:
        raise DataError(
            f"{table.where} has no column for the rating, but dataset.scale is set: "
            "set dataset.columns.rating too, or neither"
        )
    return float(scale[0]), float(scale[1])


def _observed(values: AnyArray) -> tuple[tuple[float, float] | None, str]:
    """The span of the ratings; without a span they say nothing and the data are implicit."""
    low, high = float(values.min()), float(values.max())
    return ((low, high), "observed") if low < high else (None, f"none: every rating is {low:g}")


def id_map(
    distinct: Sequence[Any], column: Coded, kept: BoolArray | None = None
) -> tuple[IdMap, AnyArray]:
    """Return the map of the ids in the rows that are kept, in sorted order, and their idx, int32.

    `distinct` are the ids of `column`, str or int.
    """
    n = len(distinct)
    codes = None if kept is None else column.codes()[kept]
    used = np.arange(n) if codes is None else np.flatnonzero(np.bincount(codes, minlength=n))
    ids = [distinct[code] for code in used.tolist()]
    numbers = _whole_numbers(ids)
    if numbers is not None:
        order = np.argsort(numbers, kind="stable")
        ids = numbers[order].tolist()
    else:
        texts = [str(id_) for id_ in ids]
        order = np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)
        ids = [texts[place] for place in order.tolist()]
    rank = np.zeros(n, np.int32)
    rank[used[order]] = np.arange(len(order), dtype=np.int32)
    return IdMap(ids), column.take(rank) if codes is None else rank[codes]


def _whole_numbers(ids: Sequence[Any]) -> AnyArray | None:
    """The ids as int64 if that loses nothing: "007", "1e5" or "+7" would not come back."""
    try:
        numbers = [int(id_) for id_ in ids]
    except ValueError:
        return None
    if any(str(number) != str(id_) for number, id_ in zip(numbers, ids, strict=True)):
        return None
    try:
        return np.array(numbers, np.int64)
    except OverflowError:
        return None


def repetitions(dataset: Dataset) -> dict[str, int]:
    """Return how many rows repeat an earlier one's pair, and how many all of it."""
    it = dataset.interactions
    same = (it.user_idx[1:] == it.user_idx[:-1]) & (it.item_idx[1:] == it.item_idx[:-1])
    rows = np.flatnonzero(same)
    exact = it.value[rows] == it.value[rows + 1]
    if it.timestamp is not None:
        exact &= it.timestamp[rows] == it.timestamp[rows + 1]
    return {"repeated_pairs": len(rows), "exact_duplicates": int(np.count_nonzero(exact))}


def _where(values: AnyArray, kept: BoolArray | None) -> AnyArray:
    return values if kept is None else values[kept]


def _value(column: Coded, row: int) -> Any:
    for codes, places in column.parts:
        if row < len(codes):
            code = int(codes[row])
            return column.distinct[code if places is None else int(places[code])]
        row -= len(codes)
    raise IndexError(row)


def _shown(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return "" if value is None else str(value)
