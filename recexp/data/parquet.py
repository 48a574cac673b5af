"""Columns to Parquet files, without what pyarrow's own conversion would import.

`pyarrow.array` and `pyarrow.table` import pandas to ask whether they were given something of it,
which takes longer than a whole small experiment. Arrow arrays made from buffers ask nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recexp.arrays import AnyArray
from recexp.data.ids import IdMap


def write_parquet(path: Path, columns: Mapping[str, Any]) -> None:
    """Write columns of one length: numpy arrays (numbers, bool, str) or Arrow arrays."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = [arrow_array(c) if isinstance(c, np.ndarray) else c for c in columns.values()]
    pq.write_table(pa.Table.from_arrays(arrays, names=list(columns)), path)


def arrow_ids(ids: IdMap, idx: AnyArray) -> Any:
    """Return the ids at `idx` as an Arrow array: int64, or text when they are not all whole."""
    known = list(ids.ids)
    whole = all(isinstance(id_, int) for id_ in known)
    values = np.asarray(known, np.int64) if whole else np.asarray([str(id_) for id_ in known])
    return arrow_array(values).take(arrow_array(np.ascontiguousarray(idx, np.int64)))


def arrow_array(values: AnyArray) -> Any:
    """Return a numpy array of numbers, bool or str as an Arrow array."""
    import pyarrow as pa

    n = len(values)
    if values.dtype.kind == "U":
        texts = [text.encode() for text in values.tolist()]
        ends = np.zeros(n + 1, np.int64)
        np.cumsum([len(text) for text in texts], out=ends[1:])
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
        return pa.Array.from_buffers(pa.large_string(), n, buffers)
    if values.dtype == np.bool_:
        bits = pa.py_buffer(np.packbits(values, bitorder="little"))
        return pa.Array.from_buffers(pa.bool_(), n, [None, bits])
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), n, [None, data])
