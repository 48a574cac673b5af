"""Columns that have types, as Parquet and databases give them, in the form that texts take."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from recexp.arrays import AnyArray, FloatArray, IntArray
from recexp.data.coded import Coded, DictCoder
from recexp.data.timestamps import DATE, LOCAL, TEXT, WHOLE, ZONED, Moments, moment
from recexp.errors import DataError

_EXACT = 2**53


def id_text(value: Any) -> bytes | None:
    """Return an id as text: whole numbers without point, moments in ISO 8601, None for NULL.

    >>> id_text(7), id_text(7.0), id_text("07"), id_text(float("nan"))
    (b'7', b'7', b'07', None)
    """
    match value:
        case None:
            return None
        case str():
            return value.encode("utf-8", "surrogatepass")
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case bool():
            return str(int(value)).encode()
        case float():
            if math.isnan(value):
                return None
            return (str(int(value)) if whole(value) else repr(value)).encode()
        case Decimal():
            return format(value.normalize() if value.is_finite() else value, "f").encode()
        case datetime() | date():
            return value.isoformat().encode()
    return str(value).encode()


def whole(value: float) -> bool:
    """Return whether a float stands for one whole number and no other."""
    return value.is_integer() and abs(value) < _EXACT


def rating_value(value: Any) -> float:
    """Return a rating as float, NaN for what is no number."""
    try:
        return float(value) if not isinstance(value, str) or "_" not in value else math.nan
    except (TypeError, ValueError, OverflowError):
        return math.nan


def moment_value(value: Any, texts: DictCoder) -> tuple[int, int]:
    """Return the form of a moment and its value; what is no number or date goes to `texts`."""
    match value:
        case bool() | None:
            pass
        case int():
            if abs(value) < 2**63:
                return WHOLE, value
        case float() | Decimal():
            if math.isfinite(value) and abs(float(value)) < 9e18:
                return WHOLE, math.floor(value)
        case datetime():
            zoned = value if value.tzinfo else value.replace(tzinfo=UTC)
            form = ZONED if value.tzinfo else LOCAL
            return form, math.floor(zoned.replace(microsecond=0).timestamp())
        case date():
            return DATE, (value - date(1970, 1, 1)).days * 86400
    text = b"" if value is None else id_text(value) or b""
    form, number = moment(text)
    return (form, number) if form != TEXT else (TEXT, int(texts.encode([text])[0]))


def arrow_ids(column: Any, name: str, where: str) -> tuple[Coded, int]:
    """Return the ids of a column (`pyarrow.ChunkedArray`), and how many were whole floats.

    Raises DataError for a type that is no id.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_nested(kind) or pa.types.is_null(kind):
        raise DataError(f"{where}: column {name!r} of type {kind} holds no ids")
    if pa.types.is_dictionary(column.type):
        column = column.cast(kind)
    encoded = column.dictionary_encode().unify_dictionaries()
    values = encoded.chunk(0).dictionary.to_pylist() if encoded.num_chunks else []
    distinct: list[Any] = [id_text(value) for value in values]
    n_float = 0
    if pa.types.is_floating(kind):
        n_float = len(column) - column.null_count
    missing = len(distinct)
    if column.null_count:
        distinct.append(None)
    parts = []
    merged = DictCoder()
    places = merged.encode(distinct)
    for chunk in encoded.chunks:
        codes = pc.fill_null(chunk.indices, missing).cast(pa.int32())
        parts.append((_buffer(codes, np.dtype(np.int32)), places))
    return Coded(merged.distinct(), parts), n_float


def arrow_ratings(column: Any, name: str, where: str) -> Coded | FloatArray:
    """Return the ratings of a column: numbers, NaN where there is none, or texts."""
    import pyarrow as pa

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
        coded, _ = arrow_ids(column, name, where)
        return Coded([b"" if text is None else text for text in coded.distinct], coded.parts)
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if not numeric and not pa.types.is_decimal(kind):
        raise DataError(
            f"{where}: column {name!r} of type {kind} cannot be the rating; "
            "set dataset.columns.rating, or to '' for none"
        )
    if pa.types.is_boolean(kind):
        column = column.cast(pa.int8())
    parts = [_floats(chunk.cast(pa.float64(), safe=False)) for chunk in column.chunks]
    return np.concatenate([np.empty(0), *parts])


def arrow_moments(column: Any, name: str, where: str) -> Moments:
    """Return the moments of a column of numbers, dates, timestamps or texts."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_dictionary(column.type):
        column = column.cast(kind)
    form = WHOLE
    if pa.types.is_timestamp(kind):
        form = LOCAL if kind.tz is None else ZONED
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
        column = column.cast(pa.int64())
    elif pa.types.is_date(kind):
        form, per_second = DATE, 1
        column = pc.multiply(column.cast(pa.date32()).cast(pa.int32()).cast(pa.int64()), 86400)
    elif pa.types.is_integer(kind):
        per_second = 1
        column = column.cast(pa.int64(), safe=False)
    elif pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _python_moments(column.cast(pa.float64(), safe=False).to_pylist())
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or str(kind) == "string_view":
        return _python_moments(column.to_pylist())
    else:
        raise DataError(
            f"{where}: column {name!r} of type {kind} cannot be the timestamp; "
            "set dataset.columns.timestamp, or to '' for none"
        )
    parts = []
    for chunk in column.chunks:
        missing = _bools(chunk.is_null())
        values = _buffer(pc.fill_null(chunk, 0), np.dtype(np.int64)) // per_second
        parts.append((values, np.where(missing, TEXT, form).astype(np.uint8)))
    return Moments.of(parts, [b""])


def _python_moments(values: Sequence[Any]) -> Moments:
    texts = DictCoder()
    known: dict[Any, tuple[int, int]] = {}
    for value in values:
        if value not in known:
            known[value] = moment_value(value, texts)
    pairs = np.array([known[value] for value in values], np.int64).reshape(-1, 2)
    return Moments.of([(pairs[:, 1].copy(), pairs[:, 0].astype(np.uint8))], texts.distinct())


def _floats(chunk: Any) -> FloatArray:
    values: FloatArray = _buffer(chunk, np.dtype(np.float64)).copy()
    if chunk.null_count:
        values[_bools(chunk.is_null())] = np.nan
    return values


def _bools(array: Any) -> AnyArray:
    import pyarrow as pa

    return _buffer(array.cast(pa.uint8()), np.dtype(np.uint8)).astype(bool)


def _buffer(array: Any, dtype: np.dtype[Any]) -> AnyArray:
    if len(array) == 0:
        return np.empty(0, dtype)
    found: AnyArray = np.frombuffer(array.buffers()[1], dtype)
    return found[array.offset : array.offset + len(array)]


class TypedColumns:
    """Columns by role, filled with rows of Python values as a database yields them.

    `unread` has, by row, the ratings that are no numbers and not NULL.
    """

    def __init__(self, roles: Sequence[str]) -> None:
        self.roles = roles
        self._codes: dict[str, list[AnyArray]] = {role: [] for role in roles}
        self._coders = {role: DictCoder() for role in roles}
        self._ratings: list[FloatArray] = []
        self.unread: dict[int, str] = {}
        self._moments: list[tuple[IntArray, AnyArray]] = []
        self.n_rows = 0

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Append rows with one value for every role."""
        for role, values in zip(self.roles, zip(*rows, strict=True), strict=True):
            if role == "rating":
                ratings = np.array([rating_value(value) for value in values], np.float64)
                for row in np.flatnonzero(np.isnan(ratings)).tolist():
                    if values[row] is not None:
                        self.unread[self.n_rows + row] = str(values[row])
                self._ratings.append(ratings)
            elif role == "timestamp":
                coder = self._coders[role]
                pairs = np.array([moment_value(value, coder) for value in values], np.int64)
                self._moments.append((pairs[:, 1].copy(), pairs[:, 0].astype(np.uint8)))
            else:
                self._codes[role].append(self._coders[role].encode(map(id_text, values)))
        self.n_rows += len(rows)

    def ids(self, role: str) -> Coded:
        """Return the ids of a role."""
        parts = [(codes, None) for codes in self._codes[role]]
        return Coded(self._coders[role].distinct(), parts)

    def ratings(self) -> FloatArray | None:
        """Return the ratings, or None when there is no such column."""
        return np.concatenate(self._ratings) if "rating" in self.roles else None

    def moments(self) -> Moments | None:
        """Return the moments, or None when there is no such column."""
        if "timestamp" not in self.roles:
            return None
        return Moments.of(self._moments, self._coders["timestamp"].distinct())
