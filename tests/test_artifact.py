"""A fitted model on disk: the same model comes back, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from recexp import artifact
from recexp.algorithms.popularity import Popularity
from recexp.algorithms.surprise.factors import SVD
from recexp.algorithms.tfidf import TfIdf
from recexp.artifact import FittedModel
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError


@dataclass(eq=False)
class Sparse:
    """A recommender whose state has every kind of value."""

    names: tuple[str, ...] = ("a", "b")

    def fit(self, train: Dataset) -> Self:
        self.seen_ = train.interactions.csr()
        self.note_ = {"mean": 3.5, "words": ["x", "y"]}
        return self

    def score(self, users: Any) -> Any:
        return self.seen_[users].toarray()

    def state(self) -> dict[str, Any]:
        return {"seen": self.seen_, "note": self.note_, "array": np.arange(3)}

    def restore(self, state: Mapping[str, Any]) -> Self:
        self.seen_, self.note_ = state["seen"], state["note"]
        return self


@pytest.fixture(scope="module")
def popular(synthetic: Dataset) -> FittedModel:
    return FittedModel(Popularity().fit(synthetic), synthetic)


def test_a_model_comes_back_bit_identical(synthetic: Dataset, tmp_path: Path) -> None:
    model = FittedModel(SVD(epochs=2).fit(synthetic), synthetic, seed=7)
    artifact.save(model, tmp_path / "model")
    again = artifact.load(tmp_path / "model")
    users = np.arange(synthetic.n_users, dtype=np.int32)
    assert (again.recommender.score(users) == model.recommender.score(users)).all()
    assert again.recommender.epochs == 2  # type: ignore[attr-defined]
    assert again.seed == 7
    assert list(again.train.users.ids) == list(synthetic.users.ids)
    for side in ("user_features", "item_features"):
        before, after = getattr(synthetic, side), getattr(again.train, side)
        assert after.names == before.names
        assert (after.matrix != before.matrix).nnz == 0
    asked = list(synthetic.users.ids)[:5]
    pd.testing.assert_frame_equal(again.recommend(asked), model.recommend(asked))


def test_sparse_and_plain_state_comes_back(synthetic: Dataset, tmp_path: Path) -> None:
    fitted = Sparse().fit(synthetic)
    artifact.save(FittedModel(fitted, synthetic), tmp_path / "model")
    again = artifact.load(tmp_path / "model", trusted=[__name__.partition(".")[0]]).recommender
    assert isinstance(again, Sparse)
    assert again.names == ("a", "b")
    assert again.note_ == fitted.note_
    assert isinstance(again.seen_, csr_array)
    assert (again.seen_ != fitted.seen_).nnz == 0


def test_a_foreign_class_is_not_imported_unless_trusted(synthetic: Dataset, tmp_path: Path) -> None:
    artifact.save(FittedModel(Sparse().fit(synthetic), synthetic), tmp_path / "model")
    with pytest.raises(ConfigError, match="trust package"):
        artifact.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("recexp.child.start_child", "is no recommender"),  # it would be called
        ("recexp.data.ids.IdMap", "is no recommender"),
        ("recexp.child.nothing", "is not there"),
        ("recexp.nowhere.ALS", "is not there"),
    ],
)
def test_nothing_but_a_recommender_is_made(
    popular: FittedModel, tmp_path: Path, name: str, told: str
) -> None:
    artifact.save(popular, tmp_path / "model")
    manifest = tmp_path / "model" / "data" / "manifest.json"
    changed = {"recommender": name, "hyperparameters": {"module": "this"}}
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changed))
    with pytest.raises(DataError, match=told):
        artifact.load(tmp_path / "model")


def test_nothing_is_pickled(popular: FittedModel, tmp_path: Path) -> None:
    artifact.save(popular, tmp_path / "model")
    for path in (tmp_path / "model").rglob("*.npz"):
        with np.load(path, allow_pickle=False) as arrays:
            assert all(arrays[name].dtype.kind != "O" for name in arrays.files)

    class Objects(Sparse):
        def state(self) -> dict[str, Any]:
            return {"odd": np.array([{}, None], dtype=object)}

    with pytest.raises(TypeError, match="state 'odd' holds Python objects"):
        artifact.save(FittedModel(Objects(), popular.train), tmp_path / "other")


@pytest.mark.parametrize("name", ["state.npz", "train.npz", "ids.json"])
def test_a_changed_file_is_refused(popular: FittedModel, tmp_path: Path, name: str) -> None:
    artifact.save(popular, tmp_path / "model")
    path = tmp_path / "model" / "data" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match="was changed since the run wrote it"):
        artifact.load(tmp_path / "model")


def test_a_model_of_the_format_before_is_read(tmp_path: Path) -> None:
    clicks = Dataset.from_columns("clicks", np.array([1, 1, 2]), np.array([5, 6, 5]))
    artifact.save(FittedModel(Popularity().fit(clicks), clicks), tmp_path / "model")
    manifest = tmp_path / "model" / "data" / "manifest.json"
    written = json.loads(manifest.read_text())
    del written["dataset"]["features"]
    manifest.write_text(json.dumps(written | {"format": 2}))
    again = artifact.load(tmp_path / "model")
    assert again.train.item_features is None
    assert again.recommend([1], 1, exclude_seen=False)["item"].tolist() == [5]


@pytest.mark.parametrize("change", [("Popularity", "Fame"), ('"window_days"', '"window_years"')])
def test_a_class_of_another_version_is_told(
    popular: FittedModel, tmp_path: Path, change: tuple[str, str]
) -> None:
    artifact.save(popular, tmp_path / "model")
    manifest = tmp_path / "model" / "data" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(*change))
    with pytest.raises(DataError, match=r"^the model is a recexp\.algorithms.*run it again$"):
        artifact.load(tmp_path / "model")


def test_another_format_and_no_model_are_told(popular: FittedModel, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no recexp model"):
        artifact.load(tmp_path)
    artifact.save(popular, tmp_path / "model")
    manifest = tmp_path / "model" / "data" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    with pytest.raises(DataError, match="model format 99; expected 3"):
        artifact.load(tmp_path / "model")


def test_unknown_users_get_what_most_chose(popular: FittedModel, synthetic: Dataset) -> None:
    known = synthetic.users.ids[0]
    table = popular.recommend([known, "stranger", known], 4)
    assert table.user.tolist() == [known] * 4 + ["stranger"] * 4
    assert table.source.tolist() == ["model"] * 4 + ["popularity"] * 4
    counts = synthetic.positives().item_counts()  # as a run's fallback counts; no pair is repeated
    best = synthetic.items.to_idx(table.item[4:])
    assert counts[best].tolist() == sorted(counts, reverse=True)[:4]


def test_seen_items_come_back_only_when_asked(popular: FittedModel, synthetic: Dataset) -> None:
    user = synthetic.users.ids[0]
    rows = synthetic.interactions
    seen = set(synthetic.items.to_ids(rows.item_idx[rows.user_idx == 0].tolist()))
    everything = synthetic.n_items
    assert not set(popular.recommend([user], 50).item) & seen
    assert seen <= set(popular.recommend([user], everything, exclude_seen=False).item)


def test_similar_items_are_others_nearest_first(synthetic: Dataset) -> None:
    model = FittedModel(TfIdf(columns=("genres",)).fit(synthetic), synthetic)
    item = synthetic.items.ids[3]
    table = model.similar([item], 5)
    assert item not in set(table.similar)
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]
    assert table.score.is_monotonic_decreasing
    with pytest.raises(DataError, match="unknown item 'none'"):
        model.similar(["none"])


def test_a_model_that_does_not_compare_items_says_so(popular: FittedModel) -> None:
    with pytest.raises(ConfigError, match="Popularity does not compare items"):
        popular.similar([popular.train.items.ids[0]])


def test_mlflow_loads_the_folder_as_a_pyfunc(popular: FittedModel, tmp_path: Path) -> None:
    import mlflow

    artifact.save(popular, tmp_path / "model")
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    user = popular.train.users.ids[0]
    table = loaded.predict(pd.DataFrame({"user": [user]}), params={"k": 3})
    pd.testing.assert_frame_equal(table, popular.recommend([user], 3))
