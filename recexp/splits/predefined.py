"""Splits made elsewhere or earlier: files, a fold column, and splits that were saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from recexp.arrays import AnyArray
from recexp.data.dataset import Dataset
from recexp.data.interactions import Interactions
from recexp.errors import ConfigError, DataError, StorageError
from recexp.splits.base import Split, divide
from recexp.splits.files import Rows, match, read_rows

_SIDES = ("train", "test", "history")
_MANIFEST = "manifest.json"


def predefined(
    dataset: Dataset,
    rng: np.random.Generator,
    *,
    train: str | None = None,
    test: str | None = None,
    path: str | None = None,
    column: str = "fold",
    fold: int | str = "test",
) -> Split:
    """A split that was fixed before: published files, a fold column, or one saved by `save`.

        train=u1.base test=u1.test      o o o o   |   x x      one file a side
                      test=u1.test      the rest trains
        path=folds.csv fold=3           rows whose `column` is 3: x, other rows: o
        path=FOLDER                     as saved, checked against its fingerprint

    Rows are found in the dataset by their ids (and times, where a pair occurs several times);
    what the files do not list is on no side and counted as dropped. Files: see `read_rows`.

    Args:
        train, test: files of the two sides.
        path: a file with a fold column, or a folder written by `save`; instead of the two.
        column: name of the fold column.
        fold: what the fold column says of test rows, compared as text.

    Raises ConfigError for options that do not fit together; DataError for files that cannot be
    read, rows that are not in the dataset, or a saved split that comes out differently.
    """
    if (path is None) == (test is None):
        raise ConfigError(
            "split=predefined needs split.test (and split.train), or split.path: set one of them"
        )
    if path is not None and Path(path).is_dir():
        return _load(Path(path), dataset)
    if path is not None:
        rows = read_rows([Path(path)], dataset, label=column)
        if str(fold) not in rows.labels:
            found = ", ".join(sorted(rows.labels)[:10])
            raise ConfigError(f"split.fold={fold}: {path} has in '{column}' only {found}")
        listed = (np.asarray(rows.label) == rows.labels.index(str(fold))).astype(np.int8)
        sides = _sides(dataset, rows, listed, path)
        return _divide(dataset, sides, path, {"fold": str(fold)})
    assert test is not None
    if train is None:
        rows = read_rows([Path(test)], dataset)
        sides = _sides(dataset, rows, rows.file + np.int8(1), test)
        return _divide(dataset, np.maximum(sides, 0), test)
    files = f"{train} and {test}"
    rows = read_rows([Path(train), Path(test)], dataset)
    return _divide(dataset, _sides(dataset, rows, rows.file, files), files)


def save(split: Split, path: str | Path) -> Path:
    """Write a split as a folder of Parquet files with ids and a manifest; return the folder.

    `split=predefined split.path=FOLDER` loads it; the files `train.parquet`, `test.parquet` (and
    `history.parquet`) have columns user_id, item_id, value and timestamp where the data has time.
    Raises StorageError when the folder cannot be written.
    """
    from pyarrow import parquet

    folder = Path(path)
    manifest = {
        "format": 1,
        "fingerprint": split.fingerprint,
        "dataset": split.train.name,
        "facts": dict(split.facts),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Without its manifest a half-written folder is not taken for a split.
        (folder / _MANIFEST).unlink(missing_ok=True)
        for name, side in zip(
            _SIDES, (split.train.interactions, split.test, split.history), strict=True
        ):
            file = folder / f"{name}.parquet"
            if side is None:
                file.unlink(missing_ok=True)
            else:
                parquet.write_table(_table(side, split.train), file)
        (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"cannot write the split to {folder} ({error.strerror}): choose another split.save"
        ) from error
    return folder


def _table(side: Interactions, dataset: Dataset) -> Any:
    import pyarrow as pa

    columns = {
        "user_id": pa.DictionaryArray.from_arrays(side.user_idx, pa.array(dataset.users.ids)),
        "item_id": pa.DictionaryArray.from_arrays(side.item_idx, pa.array(dataset.items.ids)),
        "value": pa.array(side.value),
    }
    if side.timestamp is not None:
        columns["timestamp"] = pa.array(side.timestamp)
    return pa.table(columns)


def _load(folder: Path, dataset: Dataset) -> Split:
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        saved, facts = str(manifest["fingerprint"]), dict(manifest["facts"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} holds no saved split (its {_MANIFEST} is missing or broken): "
            "set split.path to a folder written with split.save"
        ) from error
    files = [folder / f"{name}.parquet" for name in _SIDES]
    rows = read_rows([file for file in files if file != files[2] or file.is_file()], dataset)
    sides = _sides(dataset, rows, rows.file, str(folder))
    del rows
    split = _divide(dataset, sides, str(folder), {"saved": facts})
    if split.fingerprint != saved:
        raise DataError(
            f"{folder}: the saved split has fingerprint {saved[:12]}, on {dataset.name} it comes "
            f"out as {split.fingerprint[:12]}: load the data and preprocessing it was made from"
        )
    return split


def _sides(dataset: Dataset, rows: Rows, listed: AnyArray, files: str) -> AnyArray:
    """The side of each interaction, int8: as `listed` for the rows, -1 where no row names it."""
    sides = np.full(len(dataset.interactions), -1, np.int8)
    n_found = 0
    for some, positions in match(dataset, rows):
        sides[positions] = listed[some]
        n_found += len(some)
    if n_found < len(rows):
        n_users, n_items = (
            int(np.count_nonzero(column < 0)) for column in (rows.user_idx, rows.item_idx)
        )
        raise DataError(
            f"{files}: {len(rows) - n_found} of {len(rows)} rows are not among the "
            f"{len(sides)} interactions of {dataset.name} or stand there less often ({n_users} of "
            f"unknown users, {n_items} of unknown items): use the data the split was made from, "
            "without preprocessing that drops rows"
        )
    return sides


def _divide(
    dataset: Dataset, sides: AnyArray, files: str, facts: Mapping[str, Any] | None = None
) -> Split:
    """The split by the code of each interaction: 0 train, 1 test, 2 history, -1 none."""
    return divide(
        dataset,
        "predefined",
        sides == 1,
        train=sides == 0,
        history=sides == 2,
        advice=f"look into {files}",
        facts=facts,
    )
