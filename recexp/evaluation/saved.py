"""The per-user values of runs, read from the files that they left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recexp.arrays import AnyArray
from recexp.data.arrow import to_numpy
from recexp.errors import DataError
from recexp.evaluation.metrics import mlflow_name
from recexp.evaluation.summary import ERROR_SUMS

RATING_METRICS = ("mse", "rmse", "mae", "rmse_user", "mae_user")
"""The metrics that come from `ERROR_SUMS`."""


def per_user_names(path: Path) -> tuple[list[str], list[str]]:
    """Return the metric columns of the whole and the segments that a `per_user.parquet` has.

    Raises DataError for a file that is not one.
    """
    import pyarrow as pa

    with _open(path) as file:
        schema = file.schema_arrow
    whole = [field for field in schema if "/" not in field.name]
    metrics = [one.name for one in whole if pa.types.is_floating(one.type)]
    users = [one.name for one in whole if pa.types.is_boolean(one.type)]
    items = [one.name.rpartition("/")[0] for one in schema if "/" in one.name]
    return metrics, list(dict.fromkeys([*users, *items]))


def read_per_user(paths: Sequence[Path], metrics: Sequence[str]) -> list[dict[str, AnyArray]]:
    """Return, for each file, the columns that `metrics` need: user ids, values, members.

    A metric in a segment is `tail_items/ndcg@10`. Columns that a file lacks are left out. Runs of
    the same users share one array of ids. Raises DataError for a file that cannot be read.
    """
    wanted = {"user_id", "n_relevant", "n_ratings"}
    for metric in metrics:
        segment, _, name = metric.rpartition("/")
        columns = ERROR_SUMS if name in RATING_METRICS else (mlflow_name(name),)
        wanted |= {segment, *columns, *(f"{segment}/{column}" for column in columns)}
    tables = []
    known: Any = None
    ids = np.empty(0)
    for path in paths:
        with _open(path) as file:
            names = [name for name in file.schema_arrow.names if name in wanted]
            table = file.read(columns=names, use_threads=False)
        column = table.column("user_id")
        if known is None or not column.equals(known):
            known, ids = column, _array(column)
        others = {name: _array(table.column(name)) for name in names if name != "user_id"}
        tables.append({"user_id": ids, **others})
    return tables


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Hold a per-user file open (`pyarrow.parquet.read_table` would import pandas)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            if "user_id" not in file.schema_arrow.names:
                found = ", ".join(file.schema_arrow.names[:6])
                raise DataError(f"{path} has no column 'user_id'; found {found}")
            yield file
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _array(column: Any) -> AnyArray:
    """A column without nulls as NumPy has it."""
    kind = str(column.type)
    if kind == "bool":
        import pyarrow as pa

        return to_numpy(column.cast(pa.uint8())).astype(bool)
    if "string" in kind:
        return np.array(column.to_pylist())
    return to_numpy(column)
