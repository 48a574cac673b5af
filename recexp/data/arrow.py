"""Arrow columns as NumPy arrays, without pandas."""

from __future__ import annotations

from typing import Any

import numpy as np

from recexp.arrays import AnyArray, IntArray


def to_numpy(column: Any) -> AnyArray:
    """Return a column of numbers (a `pyarrow.ChunkedArray`) as one array; nulls hold any value.

    Arrow's own `to_numpy` imports pandas, which costs more than reading a million rows.
    """
    name = str(column.type)
    dtype = np.dtype({"float": "float32", "double": "float64"}.get(name, name))
    parts = [
        np.frombuffer(chunk.buffers()[1], dtype)[chunk.offset : chunk.offset + len(chunk)]
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(parts) if parts else np.empty(0, dtype)


def encode(column: Any) -> tuple[list[str], IntArray]:
    """Return the distinct texts of a string column without nulls, and each row's place in them."""
    import pyarrow as pa

    encoded = column.dictionary_encode().unify_dictionaries()
    indices = pa.chunked_array([chunk.indices for chunk in encoded.chunks], pa.int32())
    distinct = encoded.chunk(0).dictionary.to_pylist() if encoded.num_chunks else []
    return distinct, to_numpy(indices).astype(np.int64)
