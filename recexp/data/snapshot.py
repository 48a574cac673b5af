"""A dataset as one file: arrays and JSON in an npz, no pickle, read back in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from recexp.arrays import AnyArray
from recexp.data.cache import atomic_write
from recexp.data.dataset import Dataset, Features
from recexp.data.ids import IdMap
from recexp.data.interactions import Interactions
from recexp.errors import DataError

FORMAT = 1
"""Part of the key of a snapshot: raise it whenever reading or parsing changes."""
COLUMNS = ("user_idx", "item_idx", "value", "timestamp")


def save_snapshot(dataset: Dataset, path: Path) -> None:
    """Write `dataset` to `path` (npz), whole or not at all; StorageError if that fails."""
    it = dataset.interactions
    arrays = {name: getattr(it, name) for name in COLUMNS if getattr(it, name) is not None}
    about: dict[str, Any] = {
        "format": FORMAT,
        "name": dataset.name,
        "scale": dataset.scale,
        "relevance_threshold": dataset.relevance_threshold,
        "facts": dict(dataset.facts),
    }
    for side in ("user", "item"):
        arrays[f"{side}_ids"] = _pack_ids(getattr(dataset, f"{side}s").ids)
        about[f"{side}_columns"] = dict(getattr(dataset, f"{side}_columns"))
        features = getattr(dataset, f"{side}_features")
        if features is not None:
            about[f"{side}_features"] = features.names
            for part in ("data", "indices", "indptr"):
                arrays[f"{side}_{part}"] = getattr(features.matrix, part)
    about["arrays"] = sorted(arrays)
    with atomic_write(path) as file:
        np.savez(file, about=_pack(about), **arrays)


def load_snapshot(path: Path) -> Dataset:
    """Return the dataset written to `path`.

    The file's checksums (CRC-32 of each array) and the dataset's own checks must hold; DataError
    if they do not, FileNotFoundError if there is no file.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            if about["format"] != FORMAT:
                raise DataError(f"{path.name} has format {about['format']}, expected {FORMAT}")
            if sorted(arrays.files) != sorted(["about", *about["arrays"]]):
                raise DataError(f"the snapshot {path} is broken (its arrays are others)")
            users, items = (IdMap(_unpack_ids(arrays[f"{side}_ids"])) for side in ("user", "item"))
            interactions = Interactions(
                arrays["user_idx"],
                arrays["item_idx"],
                arrays["value"],
                arrays.get("timestamp"),
                len(users),
                len(items),
            )
            sides: dict[str, Any] = {}
            for side, ids in (("user", users), ("item", items)):
                named = about[f"{side}_columns"]
                sides[f"{side}_columns"] = {name: tuple(texts) for name, texts in named.items()}
                if f"{side}_features" in about:
                    names = tuple(about[f"{side}_features"])
                    parts = [arrays[f"{side}_{part}"] for part in ("data", "indices", "indptr")]
                    sides[f"{side}_features"] = _features(parts, len(ids), names)
        return Dataset(
            about["name"],
            interactions,
            users,
            items,
            None if about["scale"] is None else tuple(about["scale"]),
            about["relevance_threshold"],
            facts=about["facts"],
            **sides,
        )
    except FileNotFoundError:
        raise
    except (BadZipFile, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(f"the snapshot {path} is broken ({error})") from error


def _features(parts: Sequence[AnyArray], n_rows: int, names: tuple[str, ...]) -> Features:
    from scipy.sparse import csr_array

    return Features(csr_array(tuple(parts), shape=(n_rows, len(names))), names)


def _pack(value: Any) -> AnyArray:
    return np.frombuffer(json.dumps(value, ensure_ascii=False).encode(), np.uint8)


def _pack_ids(ids: Sequence[Any]) -> AnyArray:
    """Integers as they are when they fit, else JSON, which keeps str and int of any size apart."""
    if all(type(id_) is int and -(2**63) <= id_ < 2**63 for id_ in ids):
        return np.array(ids, np.int64)
    return _pack(list(ids))


def _unpack_ids(packed: AnyArray) -> list[Any]:
    ids: list[Any] = packed.tolist() if packed.dtype == np.int64 else json.loads(packed.tobytes())
    return ids
