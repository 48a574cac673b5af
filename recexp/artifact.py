"""A fitted model on disk, and back: arrays and JSON, never pickle.

A model folder holds `MLmodel` (so that MLflow's pyfunc loads and serves it) and `data/` with
`manifest.json` (class, hyperparameters, plain state, SHA-256 of every other file), `state.npz`
(learned arrays), `train.npz` (training interactions: what users have seen) and `ids.json`.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import recexp
from recexp.algorithms.base import HasState, Recommender, SimilarItems, Source, hyperparameters
from recexp.arrays import AnyArray
from recexp.data.dataset import Dataset
from recexp.data.ids import IdMap
from recexp.data.interactions import Interactions
from recexp.errors import ConfigError, DataError
from recexp.evaluation.recommend import recommend
from recexp.splits.base import Split

if TYPE_CHECKING:
    import pandas as pd

_FORMAT = 1
_COLUMNS = ("user_idx", "item_idx", "value", "timestamp")


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A fitted recommender with the ids of its dataset: ids in, ids out.

    `train` is what it was fitted on (without side features: the state has what scoring needs).
    """

    recommender: Recommender
    train: Dataset
    seed: int = 42

    def recommend(
        self, user_ids: Iterable[Any], k: int = 10, *, exclude_seen: bool = True
    ) -> pd.DataFrame:
        """Return the k best items of each user: columns user, item, rank (from 1), score, source.

        Unknown users get the most popular items (source `popularity`), as in a run.
        """
        import pandas as pd

        asked = list(dict.fromkeys(user_ids))
        known = self.train.users.to_idx(asked)
        users = np.unique(known[known >= 0])
        split = Split(self.train, self.train.interactions.select(np.empty(0, np.int64)))
        tables = []
        if len(users):
            found = recommend(
                self.recommender, split, users, k, exclude_seen=exclude_seen, seed=self.seed
            )
            position = {int(user): row for row, user in enumerate(users)}
        strangers = self._most_popular(k) if (known < 0).any() else None
        for id_, user in zip(asked, known.tolist(), strict=True):
            if user < 0:
                assert strangers is not None
                items, scores, source = *strangers, "popularity"
            else:
                row = position[user]
                items, scores = found.lists.items[row], found.lists.scores[row]
                source = _source_name(int(found.sources[row]))
            items, scores = items[items >= 0], scores[items >= 0]
            tables.append(
                pd.DataFrame(
                    {
                        "user": [id_] * len(items),
                        "item": self.train.items.to_ids(items.tolist()),
                        "rank": np.arange(1, len(items) + 1),
                        "score": scores,
                        "source": source,
                    }
                )
            )
        return pd.concat(tables, ignore_index=True)

    def similar(self, item_ids: Iterable[Any], k: int = 10) -> pd.DataFrame:
        """Return the k items most similar to each item: columns item, similar, rank, score.

        Raises ConfigError when the algorithm does not compare items, DataError for unknown ids.
        """
        import pandas as pd

        if not isinstance(self.recommender, SimilarItems):
            name = type(self.recommender).__name__
            raise ConfigError(f"{name} does not compare items; use algo=tfidf, itemknn or als")
        asked = list(item_ids)
        items = self.train.items.to_idx(asked)
        if (items < 0).any():
            unknown = [id_ for id_, idx in zip(asked, items.tolist(), strict=True) if idx < 0]
            raise DataError(f"unknown item {unknown[0]!r}; items have the ids of {self.train.name}")
        similarities = self.recommender.similarities(items).copy()
        similarities[np.arange(len(items)), items] = -np.inf
        best = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
        rows = np.arange(len(items))[:, None]
        return pd.DataFrame(
            {
                "item": np.repeat(np.asarray(asked, dtype=object), best.shape[1]),
                "similar": self.train.items.to_ids(best.ravel().tolist()),
                "rank": np.tile(np.arange(1, best.shape[1] + 1), len(items)),
                "score": similarities[rows, best].ravel(),
            }
        )

    def _most_popular(self, k: int) -> tuple[AnyArray, AnyArray]:
        counts = self.train.interactions.item_counts()
        best = np.argsort(-counts, kind="stable")[:k]
        return best, counts[best].astype(np.float32)


def _source_name(source: int) -> str:
    return "popularity" if source == Source.FALLBACK else Source(source).name.lower()


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
        "titles": model.train.item_columns.get("title"),
    }
    (data / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
    kind = type(recommender)
    manifest = {
        "format": _FORMAT,
        "recexp": recexp.__version__,
        "recommender": f"{kind.__module__}.{kind.__qualname__}",
        "hyperparameters": hyperparameters(recommender),
        "state": plain,
        "seed": model.seed,
        "dataset": {
            "name": model.train.name,
            "scale": model.train.scale,
            "relevance_threshold": model.train.relevance_threshold,
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
    try:
        manifest = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} holds no recexp model ({error})") from error
    if manifest.get("format") != _FORMAT:
        raise DataError(f"{folder} has model format {manifest.get('format')}; expected {_FORMAT}")
    for name, digest in manifest["files"].items():
        if not (data / name).is_file() or _sha256(data / name) != digest:
            raise DataError(f"{data / name} is missing or was changed since the run wrote it")
    module, _, name = manifest["recommender"].rpartition(".")
    package = module.partition(".")[0]
    if package not in ("recexp", *trusted):
        raise ConfigError(f"the model is a {module}.{name}; trust package {package} to load it")
    kind = getattr(importlib.import_module(module), name)
    with np.load(data / "state.npz", allow_pickle=False) as arrays:
        state = _join(manifest["state"], dict(arrays))
    recommender = kind(**_tuples(manifest["hyperparameters"])).restore(state)
    return FittedModel(recommender, _read_train(data, manifest["dataset"]), manifest["seed"])


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
    return Dataset(
        facts["name"],
        interactions,
        IdMap(ids["users"]),
        IdMap(ids["items"]),
        scale=None if facts["scale"] is None else tuple(facts["scale"]),
        relevance_threshold=facts["relevance_threshold"],
        item_columns={} if ids["titles"] is None else {"title": tuple(ids["titles"])},
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


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no tuples; hyperparameters have no lists."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


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
