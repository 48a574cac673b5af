"""Rows of user and item ids in files, and where they stand in a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recexp.arrays import AnyArray, Float32Array, IdxArray, IntArray
from recexp.data.dataset import Dataset, canonical_order
from recexp.data.roles import guess
from recexp.errors import DataError

_NAMES = {"user": "user", "item": "item", "value": "rating", "timestamp": "timestamp"}
"""Columns of a file, and the roles by whose usual names they are found."""
_DTYPES: dict[str, type[np.generic]] = {
    "file": np.int8,
    "user": np.int32,
    "item": np.int32,
    "value": np.float32,
    "timestamp": np.int64,
    "label": np.int32,
}
_BLOCK = 1 << 20
"""Interactions matched at once: bounds the memory beside the columns."""


@dataclass(frozen=True, eq=False)
class Rows:
    """What files list: parallel columns; idx are -1 where the dataset does not know the id.

    `file` says which file a row is from (0, 1, ...), `label` its place in `labels`; a column that
    a file lacks is None.
    """

    file: AnyArray
    user_idx: IdxArray
    item_idx: IdxArray
    value: Float32Array | None
    timestamp: IntArray | None
    label: IdxArray | None
    labels: Sequence[str]

    def __len__(self) -> int:
        return len(self.user_idx)


def read_rows(paths: Sequence[Path], dataset: Dataset, label: str | None = None) -> Rows:
    """Return the rows of split files together; ids are compared as text.

    Read are CSV and TSV, with or without a header (then: user, item, rating, timestamp, like
    MovieLens' `u1.base`), lists of `user item item ...` in one line (LightGCN's), and Parquet.
    `label` names a column to keep as the rows' label. Raises DataError for what is none of these.
    """
    import pyarrow as pa

    codes = {
        "user": {str(id_): idx for idx, id_ in enumerate(dataset.users.ids)},
        "item": {str(id_): idx for idx, id_ in enumerate(dataset.items.ids)},
    }
    labels: dict[str, int] = {}
    size, n = len(dataset.interactions), 0
    columns: dict[str, AnyArray] = {name: np.empty(size, dtype) for name, dtype in _DTYPES.items()}
    for number, path in enumerate(paths):
        for batch in _batches(path):
            present = _present(path, batch.schema.names, label)
            columns = {name: columns[name] for name in ("file", *present) if name in columns}
            if n + len(batch) > size:
                size = 2 * (n + len(batch))
                columns = {name: np.resize(column[:n], size) for name, column in columns.items()}
            rows = slice(n, n := n + len(batch))
            columns["file"][rows] = number
            for name in columns.keys() & present.keys():
                column = batch[present[name]]
                if column.null_count:
                    raise DataError(f"{path}: '{present[name]}' is missing in some rows")
                if name == "label":
                    columns[name][rows] = _codes(column, labels, grow=True)
                elif name in codes:
                    columns[name][rows] = _codes(column, codes[name], grow=False)
                else:
                    columns[name][rows] = _numbers(column, path)
    if n == 0:
        raise DataError(f"{' and '.join(map(str, paths))}: no rows; expected user and item")
    pa.default_memory_pool().release_unused()
    read: dict[str, Any] = {name: column[:n] for name, column in columns.items()}
    return Rows(
        read["file"],
        read["user"],
        read["item"],
        read.get("value"),
        read.get("timestamp"),
        read.get("label"),
        tuple(labels),
    )


def match(dataset: Dataset, rows: Rows) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield (listed, positions): which of the rows are which interactions of the dataset.

    Pairs that occur several times are told apart by time where both sides have it; what is still
    alike is matched one to one, in the order of times and values. Rows without an interaction of
    their own are not yielded.
    """
    whole = dataset.interactions
    starts = np.concatenate([[0], np.cumsum(whole.user_counts())])
    for first, last in _user_blocks(starts):
        block = slice(int(starts[first]), int(starts[last]))
        listed = np.flatnonzero((rows.user_idx >= first) & (rows.user_idx < last))
        listed = listed[rows.item_idx[listed] >= 0]
        user_idx, item_idx = rows.user_idx[listed] - first, rows.item_idx[listed]
        time = None if rows.timestamp is None else rows.timestamp[listed]
        value = np.zeros(len(listed)) if rows.value is None else rows.value[listed]
        order = canonical_order(user_idx, item_idx, time, value, whole.n_items)
        own = _pairs(whole.user_idx[block] - first, whole.item_idx[block], whole.n_items)
        theirs = _pairs(user_idx[order], item_idx[order], whole.n_items)
        if np.array_equal(own, theirs):
            yield listed[order], np.arange(block.start, block.stop)
            continue
        if whole.timestamp is not None and time is not None and _repeats(own):
            own, theirs = _with_time(own, theirs, whole.timestamp[block], time[order])
            order, theirs = order[theirs >= 0], theirs[theirs >= 0]
        position = np.searchsorted(own, theirs)
        position += np.arange(len(theirs)) - np.searchsorted(theirs, theirs)
        found = position < len(own)
        found[found] = own[position[found]] == theirs[found]
        yield listed[order[found]], position[found] + block.start


def _user_blocks(starts: IntArray) -> Iterator[tuple[int, int]]:
    """Ranges of users of about `_BLOCK` interactions each."""
    first, n_users = 0, len(starts) - 1
    while first < n_users:
        last = int(np.searchsorted(starts, starts[first] + _BLOCK, side="right")) - 1
        last = min(max(last, first + 1), n_users)
        yield first, last
        first = last


def _pairs(user_idx: IdxArray, item_idx: IdxArray, n_items: int) -> IntArray:
    return user_idx.astype(np.int64) * n_items + item_idx


def _repeats(ordered: IntArray) -> bool:
    return bool((ordered[1:] == ordered[:-1]).any())


def _with_time(
    own: IntArray, theirs: IntArray, own_time: IntArray, their_time: IntArray
) -> tuple[IntArray, IntArray]:
    """Keys of pair and time together, in the order of `own`; -1 where `theirs` does not occur."""
    rank = np.cumsum(np.diff(own, prepend=own[0]) > 0)
    place = np.searchsorted(own, theirs).clip(max=len(own) - 1)
    earliest, latest = own_time.min(), own_time.max()
    span = latest - earliest + 1
    known = (own[place] == theirs) & (their_time >= earliest) & (their_time <= latest)
    keys = rank[place] * span + (their_time - earliest)
    return rank * span + (own_time - earliest), np.where(known, keys, -1)


def _batches(path: Path) -> Iterator[Any]:
    """Yield the table of a file as Arrow record batches."""
    import pyarrow as pa
    from pyarrow import parquet

    if not path.is_file():
        raise DataError(f"{path} is not a file; expected one side of a split")
    try:
        if path.suffix == ".parquet":
            with parquet.ParquetFile(path) as file:
                # Not `iter_batches`: it reads ahead twice as much as is asked for.
                for group in range(file.num_row_groups):
                    yield from file.read_row_group(group, use_threads=False).to_batches()
        else:
            yield from _text_batches(path)
    except pa.ArrowException as error:
        raise DataError(f"{path} is not a readable table ({_first_line(error)})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text; expected CSV, TSV or Parquet") from error


def _text_batches(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    from pyarrow import csv

    with path.open(encoding="utf-8-sig") as lines:
        first = lines.readline().rstrip("\r\n")
    delimiter = next((one for one in "\t,;|" if one in first), None)
    if delimiter is None:
        yield from _lists(path)
        return
    cells = [cell.strip('"') for cell in first.split(delimiter)]
    has_header = any(_find(name, cells) is not None for name in _NAMES)
    names = cells if has_header else ["user", "item", "rating", "timestamp"][: len(cells)]
    text = pa.dictionary(pa.int32(), pa.string())
    types = {"user": text, "item": text, "value": pa.float64(), "timestamp": pa.float64()}
    columns = {name: _find(name, names) for name in _NAMES}
    yield from csv.open_csv(
        path,
        csv.ReadOptions(column_names=names, skip_rows=int(has_header), block_size=8 * _BLOCK),
        csv.ParseOptions(delimiter=delimiter),
        csv.ConvertOptions(
            column_types={column: types[name] for name, column in columns.items() if column},
            strings_can_be_null=False,
        ),
    )


def _lists(path: Path) -> Iterator[Any]:
    import pyarrow as pa

    with path.open(encoding="utf-8-sig") as lines:
        fields = [line.split() for line in lines]
    users = [one[0] for one in fields for _ in one[1:]]
    items = [item for one in fields for item in one[1:]]
    if items:
        yield pa.RecordBatch.from_pydict({"user": users, "item": items})


def _find(name: str, columns: Sequence[str]) -> str | None:
    """The column that has one of the usual names of a role; `user_id:token` is `user_id`."""
    return guess(_NAMES[name], columns)


def _present(path: Path, names: Sequence[str], label: str | None) -> dict[str, str]:
    """The columns of a file by what they are; raises DataError when one is missing."""
    present = {name: column for name in _NAMES if (column := _find(name, names)) is not None}
    missing = [name for name in ("user", "item") if name not in present]
    if label is not None and label in names:
        present["label"] = label
    elif label is not None:
        missing.append(label)
    if missing:
        raise DataError(f"{path} has no column '{missing[0]}' (found: {', '.join(names)})")
    return present


def _codes(column: Any, codes: dict[str, int], grow: bool) -> IdxArray:
    """The code of each text of a column; for a new one the next code where they `grow`, else -1."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    distinct = [str(one) for one in column.dictionary.to_pylist()]
    if grow:
        for text in distinct:
            codes.setdefault(text, len(codes))
    known: IdxArray = np.fromiter((codes.get(text, -1) for text in distinct), np.int32)
    idx: IdxArray = known[column.indices.to_numpy()]
    return idx


def _numbers(column: Any, path: Path) -> AnyArray:
    import pyarrow as pa

    if pa.types.is_temporal(column.type):
        column = column.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    numbers: AnyArray = column.to_numpy(zero_copy_only=False)
    if numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        raise DataError(f"{path}: some ratings or timestamps are not finite numbers")
    return numbers


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
