"""NumPy columns as Arrow arrays and Parquet files, and back, without pandas.

Arrow's own conversions (`pyarrow.array`, `to_numpy`) import pandas to ask whether they were given
something of it, which takes longer than a whole small experiment. Arrays made from buffers ask
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recexp.arrays import AnyArray
from recexp.data.ids import IdMap
from recexp.errors import DataError


def write_parquet(path: Path, columns: Mapping[str, Any]) -> None:
    """Write columns of one length: numpy arrays (numbers, bool, str) or Arrow arrays."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = [arrow_array(c) if isinstance(c, np.ndarray) else c for c in columns.values()]
    pq.write_table(pa.Table.from_arrays(arrays, names=list(columns)), path)


def read_parquet(path: Path, sha256: str) -> Any:
    """Return a file as a `pyarrow.Table`; DataError when its content has another hash."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"{path} is broken (its checksum differs)")
    with pq.ParquetFile(pa.BufferReader(content)) as file:
        return file.read()


def arrow_ids(ids: IdMap, idx: AnyArray) -> Any:
    """Return the ids at `idx` as an Arrow array: int64, or text when they are not all whole."""
    known = list(ids.ids)
    whole = all(isinstance(id_, int) for id_ in known)
    values = np.asarray(known, np.int64) if whole else [str(id_) for id_ in known]
    return arrow_array(values).take(arrow_array(np.ascontiguousarray(idx, np.int64)))


def arrow_array(values: AnyArray | Sequence[str]) -> Any:
    """Return a numpy array of numbers, bool or str, or a list of str, as an Arrow array."""
    import pyarrow as pa

    n = len(values)
    if not isinstance(values, np.ndarray) or values.dtype.kind == "U":
        given = values.tolist() if isinstance(values, np.ndarray) else values
        texts = [text.encode() for text in given]
        ends = np.zeros(n + 1, np.int64)
        np.cumsum([len(text) for text in texts], out=ends[1:])
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(texts))]
        return pa.Array.from_buffers(pa.large_string(), n, buffers)
    if values.dtype == np.bool_:
        bits = pa.py_buffer(np.packbits(values, bitorder="little"))
        return pa.Array.from_buffers(pa.bool_(), n, [None, bits])
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), n, [None, data])


def to_numpy(column: Any) -> AnyArray:
    """Return a column of numbers (a `pyarrow.ChunkedArray`) as one array; nulls hold any value."""
    name = str(column.type)
    dtype = np.dtype({"float": "float32", "double": "float64"}.get(name, name))
    parts = [
        np.frombuffer(chunk.buffers()[1], dtype)[chunk.offset : chunk.offset + len(chunk)]
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype)
