"""A fitted model on disk, and back: arrays and JSON, never pickle.

A model folder holds `MLmodel` (so that MLflow's pyfunc loads and serves it) and `data/` with
`manifest.json` (class, hyperparameters, plain state, SHA-256 of every other file), `state.npz`
(learned arrays), `train.npz` (training interactions: what users have seen), `ids.json` (ids, and
what is known of the items) and, where there are side features, `features.npz`.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import recexp
from recexp.algorithms.base import HasState, Recommender, hyperparameters
from recexp.arrays import AnyArray
from recexp.data.dataset import Dataset, Features
from recexp.data.ids import IdMap
from recexp.data.interactions import Interactions
from recexp.errors import ConfigError, DataError
from recexp.fitted import FittedModel

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FittedModel", "digest", "load", "load_recommender", "save"]

_FORMAT = 3
_READABLE = (2, 3)
"""Format 2 had no side features."""
_COLUMNS = ("user_idx", "item_idx", "value", "timestamp")


def save(model: FittedModel, folder: Path) -> None:
    """Write a model folder; the recommender must have a state (`HasState`)."""
    recommender = model.recommender
    if not isinstance(recommender, HasState):
        raise ConfigError(f"{type(recommender).__name__} has no state() to be saved")
    data = folder / "data"
    data.mkdir(parents=True)
    plain, arrays = _divide(recommender.state())
    _write_npz(data / "state.npz", arrays)
    rows = model.train.interactions
    columns = {name: getattr(rows, name) for name in _COLUMNS if getattr(rows, name) is not None}
    _write_npz(data / "train.npz", columns)
    ids = {
        "users": list(model.train.users.ids),
        "items": list(model.train.items.ids),
        "item_columns": dict(model.train.item_columns),
    }
    (data / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
    sides = {"user": model.train.user_features, "item": model.train.item_features}
    features = {side: found for side, found in sides.items() if found is not None}
    if features:
        matrices = {side: found.matrix for side, found in features.items()}
        _write_npz(data / "features.npz", _divide(matrices)[1])
    manifest = {
        "format": _FORMAT,
        "recexp": recexp.__version__,
        **_plain(recommender),
        "state": plain,
        "seed": model.seed,
        "candidates": model.candidates,
        "dataset": {
            "name": model.train.name,
            "scale": model.train.scale,
            "relevance_threshold": model.train.relevance_threshold,
            "features": {side: list(found.names) for side, found in features.items()},
        },
        "files": {path.name: _sha256(path) for path in sorted(data.iterdir())},
    }
    (data / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    _write_mlmodel(folder, model)


def load(folder: Path, trusted: Sequence[str] = ()) -> FittedModel:
    """Return the model of a folder.

    Only classes of recexp, and of the packages named in `trusted`, are imported. Raises DataError
    for a folder that is no model, was changed since it was written, or has another format.
    """
    data = folder / "data"
    manifest = _checked(folder)
    return FittedModel(
        _restored(data, manifest, trusted),
        _read_train(data, manifest["dataset"]),
        manifest["seed"],
        manifest["candidates"],
    )


def load_recommender(folder: Path, trusted: Sequence[str] = ()) -> Recommender:
    """Return the fitted recommender of a model folder alone, as `load` does."""
    return _restored(folder / "data", _checked(folder), trusted)


def digest(folder: Path) -> str | None:
    """Return the SHA-256 of a model folder, by its list of files; None where there is no model."""
    manifest = folder / "data" / "manifest.json"
    return _sha256(manifest) if manifest.is_file() else None


def _checked(folder: Path) -> dict[str, Any]:
    """The manifest of a model folder whose files are those that were written."""
    data = folder / "data"
    try:
        manifest: dict[str, Any] = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} holds no recexp model ({error})") from error
    if manifest.get("format") not in _READABLE:
        raise DataError(f"{folder} has model format {manifest.get('format')}; expected {_FORMAT}")
    for name, digest in manifest["files"].items():
        if not (data / name).is_file() or _sha256(data / name) != digest:
            raise DataError(f"{data / name} is missing or was changed since the run wrote it")
    return manifest


def _restored(data: Path, manifest: Mapping[str, Any], trusted: Sequence[str]) -> Recommender:
    described = {name: manifest[name] for name in ("recommender", "hyperparameters")}
    recommender = _made(described, ("recexp", *trusted))
    with np.load(data / "state.npz", allow_pickle=False) as arrays:
        state = _join(manifest["state"], dict(arrays))
    restored: Recommender = recommender.restore(state)
    return restored


def _plain(value: Any) -> Any:
    """A hyperparameter as JSON values: a recommender, also within another, as class and its own."""
    if isinstance(value, Recommender):
        kind = type(value)
        name = f"{kind.__module__}.{kind.__qualname__}"
        return {"recommender": name, "hyperparameters": _plain(hyperparameters(value))}
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return value


def _made(value: Any, trusted: Sequence[str]) -> Any:
    """What `_plain` made JSON of, recommenders not fitted; only classes of `trusted` packages."""
    if isinstance(value, list):
        return tuple(value)  # JSON has no tuples; hyperparameters have no lists
    if not isinstance(value, Mapping):
        return value
    if value.keys() != {"recommender", "hyperparameters"}:
        return {name: _made(one, trusted) for name, one in value.items()}
    module, _, name = value["recommender"].rpartition(".")
    package = module.partition(".")[0]
    if package not in trusted:
        raise ConfigError(f"the model is a {module}.{name}; trust package {package} to load it")
    what = f"the model is a {module}.{name}"
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise DataError(f"{what}, which is not there ({error}); run it again") from error
    if not (isinstance(kind, type) and issubclass(kind, Recommender)):
        raise DataError(f"{what}, which is no recommender")
    try:
        return kind(**_made(value["hyperparameters"], trusted))
    except TypeError as error:
        raise DataError(f"{what} of another version ({error}); run it again") from error


def _read_train(data: Path, facts: Mapping[str, Any]) -> Dataset:
    ids = json.loads((data / "ids.json").read_text(encoding="utf-8"))
    with np.load(data / "train.npz", allow_pickle=False) as columns:
        interactions = Interactions(
            columns["user_idx"],
            columns["item_idx"],
            columns["value"],
            columns.get("timestamp"),
            len(ids["users"]),
            len(ids["items"]),
        )
    features: dict[str, Features] = {}
    if names := facts.get("features"):
        with np.load(data / "features.npz", allow_pickle=False) as arrays:
            matrices = _join({}, dict(arrays))
        features = {side: Features(matrices[side], tuple(names[side])) for side in names}
    return Dataset(
        facts["name"],
        interactions,
        IdMap(ids["users"]),
        IdMap(ids["items"]),
        scale=None if facts["scale"] is None else tuple(facts["scale"]),
        relevance_threshold=facts["relevance_threshold"],
        user_features=features.get("user"),
        item_features=features.get("item"),
        item_columns={name: tuple(column) for name, column in ids["item_columns"].items()},
    )


def _divide(state: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, AnyArray]]:
    """Separate plain values from arrays; a csr array becomes its three arrays and its shape."""
    plain: dict[str, Any] = {}
    arrays: dict[str, AnyArray] = {}
    for name, value in state.items():
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif hasattr(value, "indptr"):
            for part in ("data", "indices", "indptr"):
                arrays[f"{name}.{part}"] = getattr(value, part)
            arrays[f"{name}.shape"] = np.asarray(value.shape, np.int64)
        else:
            plain[name] = value
    return plain, arrays


def _join(plain: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> dict[str, Any]:
    from scipy.sparse import csr_array

    state = dict(plain)
    for name, array in arrays.items():
        base, _, part = name.rpartition(".")
        if not base:
            state[name] = array
        elif part == "shape":
            parts = tuple(arrays[f"{base}.{one}"] for one in ("data", "indices", "indptr"))
            state[base] = csr_array(parts, shape=tuple(array.tolist()))
    return state


def _write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    objects = [name for name, array in arrays.items() if array.dtype.hasobject]
    if objects:
        raise TypeError(f"state '{objects[0]}' holds Python objects; only plain arrays are saved")
    np.savez(path, **arrays)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_mlmodel(folder: Path, model: FittedModel) -> None:
    """The description by which MLflow's pyfunc finds `_load_pyfunc` below.

    MLmodel is YAML, of which JSON is a part.
    """
    numbers = all(isinstance(id_, int) for id_ in model.train.users.ids)
    user = {"name": "user", "type": "long" if numbers else "string", "required": True}
    k = {"name": "k", "type": "long", "default": 10, "shape": None}
    description = {
        "flavors": {
            "python_function": {
                "loader_module": "recexp.artifact",
                "data": "data",
                "env": {"virtualenv": "python_env.yaml"},
                "python_version": platform.python_version(),
            }
        },
        "signature": {"inputs": json.dumps([user]), "params": json.dumps([k])},
    }
    (folder / "MLmodel").write_text(json.dumps(description, indent=1), encoding="utf-8")
    environment = {
        "python": platform.python_version(),
        "dependencies": ["-r requirements.txt"],
    }
    (folder / "python_env.yaml").write_text(json.dumps(environment), encoding="utf-8")
    (folder / "requirements.txt").write_text(f"recexp=={recexp.__version__}\n", encoding="utf-8")


def _load_pyfunc(path: str) -> _PyFunc:
    """Return the model for MLflow's pyfunc (`mlflow.pyfunc.load_model`, `mlflow models serve`)."""
    return _PyFunc(load(Path(path).parent))


class _PyFunc:
    """A model as MLflow calls it: a frame with a column `user` in, recommendations out."""

    def __init__(self, model: FittedModel) -> None:
        self._model = model

    def predict(self, frame: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        k = int((params or {}).get("k", 10))
        return self._model.recommend(frame["user"].tolist(), k)
