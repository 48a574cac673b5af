"""A dataset kept as Parquet: a folder of files that are whole, checked, and read back at once."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from recexp.data.arrow import arrow_array, read_parquet, to_numpy, write_parquet
from recexp.data.cache import cache_folder, unwritable
from recexp.data.dataset import Dataset, Features
from recexp.data.ids import IdMap
from recexp.data.interactions import Interactions
from recexp.errors import DataError, StorageError

log = logging.getLogger(__name__)

FORMAT = 2
"""Part of the key of a snapshot: raise it whenever reading or parsing changes."""
COLUMNS = ("user_idx", "item_idx", "value", "timestamp")
SIDES = ("user", "item")
MANIFEST = "manifest.json"

Snapshot = Literal["auto", "off"]
"""Whether what was read is kept and read back when neither the source nor the options changed."""


def through_snapshot(
    name: str,
    identity: Mapping[str, Any],
    content: Callable[[], str] | None,
    mode: str,
    read: Callable[[], Dataset],
) -> Dataset:
    """Return the dataset kept of this content, or what `read` returns, kept for the next time.

    Args:
        name: of the dataset.
        identity: which source it is and how it is read; plain JSON values.
        content: returns the hash of the source as it is now, which `read` reads; None where only
            reading shows it, as in a database: then nothing is read back unless `mode` is last.
        mode: auto; last (what was kept last, without looking at the source); off.
        read: reads the source.

    The facts get `sha256`, of the content, and `snapshot`: {state, path}. A snapshot that is
    broken is replaced, one of an earlier content goes; one that cannot be written is told and
    done without.
    """
    folder = snapshot_folder(name, identity)
    kept = [] if mode == "off" else _kept(folder)
    hashed = content() if kept and content and mode == "auto" else None
    wanted = [path for path in kept if mode == "last" or path.name == f"{hashed}"[:32]]
    for path in wanted:
        if (dataset := _reused(name, path)) is not None:
            return dataset
    if content is not None and hashed is None:
        with ThreadPoolExecutor(1) as thread:
            later = thread.submit(content)
            dataset = read()
            hashed = later.result()
    else:
        dataset = read()
        hashed = hashed or dataset.fingerprint
    dataset = replace(dataset, facts={**dataset.facts, "sha256": hashed})
    if mode == "off":
        return _with_state(dataset, "off")
    path = folder / hashed[:32]
    try:
        save_snapshot(dataset, path)
    except StorageError as error:
        log.warning("%s", error)
        return _with_state(dataset, f"not kept: {error}")
    for old in _kept(folder):
        if old != path:
            shutil.rmtree(old, ignore_errors=True)
    return _with_state(dataset, "written", path)


def snapshot_folder(name: str, identity: Mapping[str, Any]) -> Path:
    """Return where the snapshots of a source lie, or would lie, one folder a content."""
    return cache_folder() / "snapshots" / f"{file_stem(name)}-{identity_key(identity)}"


def identity_key(identity: Mapping[str, Any]) -> str:
    """Return the hash of what a dataset depends on beside the content of its source."""
    text = json.dumps({"format": FORMAT, **identity}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def file_stem(name: str) -> str:
    """Return a name with nothing in it that a file system could take for something else."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)[:60].strip("-") or "data"


def _kept(folder: Path) -> list[Path]:
    """The snapshots in a folder, the latest first."""
    with suppress(OSError):
        found = [path for path in folder.iterdir() if not path.name.startswith(".")]
        return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return []


def _reused(name: str, path: Path) -> Dataset | None:
    """A snapshot that was kept; None when it is broken, or its list of bad rows is gone."""
    try:
        dataset = load_snapshot(path)
    except FileNotFoundError:
        return None
    except DataError as error:
        log.warning("%s; it is made again", error)
        return None
    listed = dataset.facts.get("rejected_file")
    if listed is not None and not Path(listed).exists():
        return None
    log.info("%s: read from the snapshot %s", name, path)
    _tell_again(dataset)
    return _with_state(dataset, "reused", path)


def save_snapshot(dataset: Dataset, path: Path) -> None:
    """Write `dataset` as the folder `path`, whole or not at all; StorageError if that fails."""
    about: dict[str, Any] = {
        "format": FORMAT,
        "name": dataset.name,
        "scale": dataset.scale,
        "relevance_threshold": dataset.relevance_threshold,
        "facts": dict(dataset.facts),
        "n_interactions": len(dataset.interactions),
    }
    it = dataset.interactions
    tables = {"interactions": {c: getattr(it, c) for c in COLUMNS if getattr(it, c) is not None}}
    for side in SIDES:
        ids = getattr(dataset, f"{side}s").ids
        about[f"{side}_ids"], packed = _pack_ids(ids)
        columns = dict(getattr(dataset, f"{side}_columns"))
        about[f"{side}_columns"] = list(columns)
        texts = {f"column {name}": _texts(column) for name, column in columns.items()}
        tables[f"{side}s"] = {"id": packed} | texts
        features = getattr(dataset, f"{side}_features")
        if features is not None:
            about[f"{side}_features"] = features.names
            entries = features.matrix.tocoo()
            tables[f"{side}_features"] = {
                "row": entries.row.astype(np.int32),
                "column": entries.col.astype(np.int32),
                "value": entries.data,
            }
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        part.mkdir(parents=True)
        sums = {}
        for name, columns in tables.items():
            write_parquet(part / f"{name}.parquet", columns)
            sums[name] = hashlib.sha256((part / f"{name}.parquet").read_bytes()).hexdigest()
        manifest = json.dumps({**about, "sha256": sums}, ensure_ascii=True, indent=1)
        (part / MANIFEST).write_text(manifest, encoding="utf-8")
        _put(part, path)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def load_snapshot(path: Path) -> Dataset:
    """Return the dataset written to the folder `path`.

    The files' checksums and the dataset's own checks must hold; DataError if they do not,
    FileNotFoundError if there is no such folder.
    """
    if not path.exists():
        raise FileNotFoundError(path)
    import pyarrow as pa

    try:
        about = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise DataError(f"{path.name} has format {about['format']}, expected {FORMAT}")
        it = _table(path, "interactions", about)
        sides: dict[str, Any] = {}
        maps = []
        for side in SIDES:
            table = _table(path, f"{side}s", about)
            maps.append(IdMap(_unpack_ids(table.column("id"), about[f"{side}_ids"])))
            sides[f"{side}_columns"] = {
                name: tuple(table.column(f"column {name}").to_pylist())
                for name in about[f"{side}_columns"]
            }
            if f"{side}_features" in about:
                entries = _table(path, f"{side}_features", about)
                names = tuple(about[f"{side}_features"])
                sides[f"{side}_features"] = _features(entries, len(maps[-1]), names)
        columns = {name: to_numpy(it.column(name)) for name in it.column_names}
        users, items = maps
        interactions = Interactions(
            columns["user_idx"],
            columns["item_idx"],
            columns["value"],
            columns.get("timestamp"),
            len(users),
            len(items),
        )
        if len(interactions) != about["n_interactions"]:
            raise DataError(f"the snapshot {path} is broken (rows are missing)")
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
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"the snapshot {path} is broken ({reason})") from error


def _put(part: Path, path: Path) -> None:
    """Move the finished folder to its place, whatever is there; others may do so meanwhile."""
    old = part.with_suffix(".old")
    for _ in range(100):
        try:
            part.rename(path)
            return
        except OSError:
            if not path.exists():
                continue
        with suppress(OSError):
            path.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    part.rename(path)


def _table(path: Path, name: str, about: Mapping[str, Any]) -> Any:
    return read_parquet(path / f"{name}.parquet", about["sha256"][name])


def _features(entries: Any, n_rows: int, names: tuple[str, ...]) -> Features:
    from scipy.sparse import csr_array

    rows, columns, values = (to_numpy(entries.column(c)) for c in ("row", "column", "value"))
    indptr = np.zeros(n_rows + 1, np.int32)
    np.cumsum(np.bincount(rows, minlength=n_rows), out=indptr[1:])
    return Features(csr_array((values, columns, indptr), shape=(n_rows, len(names))), names)


def _pack_ids(ids: Sequence[Any]) -> tuple[str, Any]:
    """How ids are kept, and the column: numbers, texts, or JSON of what is neither."""
    if all(type(id_) is int and -(2**63) <= id_ < 2**63 for id_ in ids):
        return "int64", np.array(ids, np.int64)
    if all(type(id_) is str for id_ in ids):
        with suppress(UnicodeEncodeError):
            return "text", _texts(ids)
    return "json", _texts([json.dumps(id_) for id_ in ids])


def _unpack_ids(column: Any, kind: str) -> list[Any]:
    if kind == "int64":
        return to_numpy(column).tolist()  # type: ignore[no-any-return]
    texts: list[str] = column.to_pylist()
    return [json.loads(text) for text in texts] if kind == "json" else texts


def _texts(texts: Sequence[str]) -> Any:
    """Texts as an Arrow array; not through numpy, which cuts zeros at their ends."""
    return arrow_array(texts)


def _with_state(dataset: Dataset, state: str, path: Path | None = None) -> Dataset:
    about = {"state": state, "path": None if path is None else str(path)}
    return replace(dataset, facts={**dataset.facts, "snapshot": about})


def _tell_again(dataset: Dataset) -> None:
    """What was warned of when the source was read holds for its snapshot too."""
    dropped = dataset.facts.get("rows_dropped") or {}
    if dropped:
        listed = dataset.facts.get("rejected_file")
        log.warning(
            "%s: dropped %s of %s rows (%s)%s",
            dataset.name,
            f"{sum(dropped.values()):,}",
            f"{dataset.facts['rows_read']:,}",
            ", ".join(f"{n:,} {reason}" for reason, n in dropped.items()),
            f"; see {listed}" if listed else "",
        )
