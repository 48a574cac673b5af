"""Columns of a CSV or Parquet file by name, for tables that are not datasets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recexp.arrays import AnyArray
from recexp.errors import DataError

_PARQUET = (".parquet", ".pq")


def read_columns(path: Path, texts: Sequence[str]) -> dict[str, AnyArray]:
    """Return the columns of a file by name; those named in `texts` as text, unchanged.

    Others become numbers where every row is one, else they stay text. CSV: the delimiter is the
    one of , ; tab | that the header has most of. Raises DataError for what cannot be read.
    """
    import pandas as pd

    if not path.is_file():
        raise DataError(f"{path} is no file; give a CSV or Parquet file")
    try:
        if path.suffix.lower() in _PARQUET:
            table = pd.read_parquet(path)
        else:
            with path.open(encoding="utf-8-sig") as file:
                header = file.readline()
            delimiter = max(",;\t|", key=header.count)
            table = pd.read_csv(
                path, sep=delimiter, dtype=str, keep_default_na=False, encoding="utf-8-sig"
            )
    except (OSError, ValueError, ImportError) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    if table.empty:
        raise DataError(f"{path} has no rows; expected at least one")
    return {str(name): _column(table[name], str(name) in texts) for name in table.columns}


def _column(column: Any, text: bool) -> AnyArray:
    if text:
        return np.asarray(column.astype(str).tolist())
    values = column.to_numpy()
    if values.dtype.kind in "iufb":
        return np.asarray(values)
    try:
        return np.asarray(values, np.float64)
    except ValueError:
        return np.asarray(column.astype(str).tolist())


def whole_numbers(columns: Sequence[AnyArray]) -> list[AnyArray]:
    """Return text columns as int64 if every text in all of them is a whole number as Python
    writes it (no leading zeros), else unchanged.

    >>> [column.dtype.kind for column in whole_numbers([np.array(["1", "-2"])])]
    ['i']
    >>> [column.dtype.kind for column in whole_numbers([np.array(["1"]), np.array(["02"])])]
    ['U', 'U']
    """
    found = []
    for column in columns:
        try:
            numbers = np.asarray([int(text) for text in column.tolist()], np.int64)
        except (ValueError, OverflowError):
            return list(columns)
        if not (numbers.astype(str) == column).all():
            return list(columns)
        found.append(numbers)
    return found
