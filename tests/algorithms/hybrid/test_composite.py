"""What a hybrid of real algorithms can do, keeps, and says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recexp import artifact
from recexp.algorithms.base import (
    Explains,
    FoldIn,
    HasState,
    PartialFit,
    PredictsRatings,
    Recommender,
    SimilarItems,
    check_needs,
    deterministic,
)
from recexp.algorithms.bpr import BPR
from recexp.algorithms.ease import EASE
from recexp.algorithms.hybrid.cascade import Cascade
from recexp.algorithms.hybrid.rank_fusion import RankFusion
from recexp.algorithms.hybrid.stacking import Stacking
from recexp.algorithms.hybrid.switching import Switching
from recexp.algorithms.hybrid.weighted import Weighted
from recexp.algorithms.neighbors import ItemKNN
from recexp.algorithms.popularity import Popularity
from recexp.algorithms.random import Random
from recexp.algorithms.surprise.factors import SVD
from recexp.algorithms.tfidf import TfIdf
from recexp.artifact import FittedModel
from recexp.data.checkerboard import checkerboard
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError
from recexp.testing import check_recommender

KINDS: tuple[Any, ...] = (Weighted, RankFusion, Switching, Cascade, Stacking)


def content_and_taste() -> dict[str, Recommender]:
    return {"content": TfIdf(), "taste": ItemKNN(n_neighbors=20)}


def others() -> dict[str, Recommender]:
    return {"content": TfIdf(columns=("title",)), "taste": EASE()}


CONTEXTS: dict[str, dict[str, Any]] = {
    "members": {"members": others()},
    "weights": {"weights": {"taste": 3.0}},
    "min_interactions": {"min_interactions": 41},
    "by": {"min_interactions": 41},
    "n_candidates": {"n_candidates": 5},
    "positive_threshold": {"positive_threshold": 5.0},
}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Weighted(content_and_taste(), normalize="z_score"),
        lambda: Weighted({"content": SVD(epochs=5), "taste": SVD(n_factors=5)}, normalize="none"),
        lambda: RankFusion(content_and_taste(), method="borda"),
        lambda: Switching(content_and_taste(), by="item", min_interactions=50),
        lambda: Switching({"content": SVD(epochs=5), "taste": SVD(n_factors=5)}, normalize="none"),
        lambda: Cascade(content_and_taste(), n_candidates=10),
        lambda: Stacking(content_and_taste(), n_candidates=10),
        lambda: Weighted({"content": RankFusion(content_and_taste()), "taste": EASE()}),
    ],
    ids=[
        "z_score",
        "ratings",
        "borda",
        "items",
        "ratings_switched",
        "cascade",
        "stacking",
        "nested",
    ],
)
def test_every_kind_keeps_the_contract(make: Callable[[], Recommender]) -> None:
    context = dict(CONTEXTS)
    if isinstance(make(), Switching):
        context["normalize"] = {"normalize": "rank"}
    if isinstance(make(), RankFusion):
        context["rank_constant"] = {"method": "rrf"}
    check_recommender(make, contexts=context)


CAPABILITIES = (FoldIn, SimilarItems, Explains, HasState, PartialFit, PredictsRatings)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hybrid_has_what_its_members_have(kind: Any) -> None:
    def of(*members: Recommender) -> set[Any]:
        model = kind(dict(zip(("a", "b"), members, strict=True)))
        return {capability for capability in CAPABILITIES if isinstance(model, capability)}

    assert of(EASE(), TfIdf()) >= {FoldIn, SimilarItems, Explains, HasState}
    assert not of(EASE(), TfIdf()) & {PartialFit, PredictsRatings}
    assert of(Popularity(), Random()) == {HasState, PartialFit}
    assert not of(Popularity(), EASE()) & {FoldIn, SimilarItems, Explains}


def test_switching_keeps_what_the_first_can_do() -> None:
    model = Switching({"a": EASE(), "b": Popularity()})
    assert isinstance(model, FoldIn)
    assert isinstance(model, Explains)
    assert isinstance(model, SimilarItems)


@dataclass(eq=False)
class Forgetful(Popularity):
    """Cannot be saved."""

    state = None  # type: ignore[assignment]


def test_a_copy_has_its_own_capabilities(synthetic: Dataset) -> None:
    model = Weighted({"a": EASE(), "b": TfIdf()})
    other = replace(model, members={"a": EASE(), "b": Popularity()})
    assert isinstance(model, FoldIn)
    assert not isinstance(other, FoldIn)
    fitted: Any = replace(model).fit(synthetic)
    assert fitted.score_histories.__self__ is fitted


@pytest.mark.parametrize("kind", KINDS)
def test_the_given_members_are_never_fitted(kind: Any, synthetic: Dataset) -> None:
    members = content_and_taste()
    first, second = kind(members).fit(synthetic), kind(members).fit(synthetic)
    assert not any(name.endswith("_") for member in members.values() for name in vars(member))
    users = np.arange(5, dtype=np.int32)
    np.testing.assert_array_equal(first.score(users), second.score(users))


@pytest.mark.parametrize("kind", [Weighted, RankFusion, Cascade])
def test_histories_of_known_users_score_as_they_do(kind: Any, synthetic: Dataset) -> None:
    model: Any = kind(content_and_taste()).fit(synthetic)
    users = np.arange(40, dtype=np.int32)
    histories = synthetic.interactions.csr()[users]
    np.testing.assert_allclose(model.score_histories(histories), model.score(users), atol=1e-5)


def test_short_histories_are_the_seconds(synthetic: Dataset) -> None:
    from scipy.sparse import csr_array

    model: Any = Switching({"a": EASE(), "b": TfIdf()}, min_interactions=2, normalize="none")
    model.fit(synthetic)
    dense = np.eye(3, synthetic.n_items, dtype=np.float32) * 5
    dense[1, [7, 9]] = 5
    rows = csr_array(dense)
    first, second = (member.score_histories(rows) for member in model.members_.values())
    np.testing.assert_array_equal(model.score_histories(rows)[[0, 2]], second[[0, 2]])
    np.testing.assert_array_equal(model.score_histories(rows)[1], first[1])


def test_new_interactions_are_learned_by_every_member() -> None:
    board = checkerboard().dataset
    rows = board.interactions
    known = rows.user_idx < 60
    for kind in (Weighted, RankFusion, Switching, Cascade):
        members = {"a": Popularity(), "b": Popularity(half_life_days=50.0)}
        model: Any = kind(members).fit(board.with_interactions(rows.select(known)))
        model.partial_fit(board.with_interactions(rows.select(~known)))
        whole = kind(members).fit(board)
        users = np.arange(board.n_users, dtype=np.int32)
        np.testing.assert_allclose(model.score(users), whole.score(users), rtol=1e-5)
        np.testing.assert_array_equal(model.user_counts_, whole.user_counts_)
        np.testing.assert_array_equal(model.source(users), whole.source(users))


def test_it_needs_what_its_members_need(synthetic: Dataset) -> None:
    model = Weighted({"a": RankFusion({"x": SVD(), "y": EASE()}), "b": TfIdf(columns=("plot",))})
    assert model.needs == {"ratings", "item:plot"}
    with pytest.raises(DataError, match="no item column 'plot', which TfIdf needs"):
        check_needs(model, synthetic)
    implicit = replace(synthetic, scale=None, relevance_threshold=None)
    with pytest.raises(DataError, match=r"SVD needs.*algo@algo\.members\.a\.members\.x=lightfm"):
        check_needs(model, implicit)


def test_an_error_of_a_members_fit_names_its_place(synthetic: Dataset) -> None:
    deep = Weighted({"a": RankFusion({"x": TfIdf(min_df=10**6), "y": EASE()}), "b": EASE()})
    with pytest.raises(DataError, match=r"algo\.members\.a\.members\.x\.min_df=1000000"):
        deep.fit(synthetic)


def test_it_is_as_deterministic_as_its_members() -> None:
    assert deterministic(Weighted({"a": EASE(), "b": BPR()}))
    assert not deterministic(
        Weighted({"a": EASE(), "b": Weighted({"c": BPR(threads=2), "d": EASE()})})
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_hybrid_comes_back_bit_identical(
    kind: Any, synthetic: Dataset, tmp_path: Path
) -> None:
    inner = RankFusion({"c": TfIdf(columns=("genres",)), "d": EASE(regularization=5.0)})
    model = kind({"inner": inner, "e": ItemKNN()}).fit(synthetic)
    artifact.save(FittedModel(model, synthetic), tmp_path / "model")
    manifest = json.loads((tmp_path / "model" / "data" / "manifest.json").read_text())
    nested = manifest["hyperparameters"]["members"]["inner"]
    assert nested["recommender"] == "recexp.algorithms.hybrid.rank_fusion.RankFusion"
    assert nested["hyperparameters"]["members"]["d"]["hyperparameters"]["regularization"] == 5.0
    with np.load(tmp_path / "model" / "data" / "state.npz") as arrays:
        assert {"inner/d/weights", "e/weights.indptr", "user_counts"} <= set(arrays.files)
    again: Any = artifact.load(tmp_path / "model").recommender
    assert again.members["inner"].members["c"].columns == ("genres",)
    users = np.arange(synthetic.n_users, dtype=np.int32)
    np.testing.assert_array_equal(again.score(users), model.score(users))
    np.testing.assert_array_equal(again.source(users), model.source(users))
    histories = synthetic.interactions.csr()[:9]
    np.testing.assert_array_equal(
        again.score_histories(histories), model.score_histories(histories)
    )


def test_a_foreign_member_is_not_imported_unless_trusted(
    synthetic: Dataset, tmp_path: Path
) -> None:
    model = Weighted({"a": EASE(), "b": Foreign()}).fit(synthetic)
    artifact.save(FittedModel(model, synthetic), tmp_path / "model")
    package = __name__.partition(".")[0]
    with pytest.raises(ConfigError, match=f"trust package {package}"):
        artifact.load(tmp_path / "model")
    again: Any = artifact.load(tmp_path / "model", trusted=[package]).recommender
    assert isinstance(again.members_["b"], Foreign)


@dataclass(eq=False)
class Foreign(Popularity):
    """An algorithm of another package."""


def test_a_hybrid_of_what_cannot_be_saved_cannot_be_saved(
    synthetic: Dataset, tmp_path: Path
) -> None:
    model = Weighted({"a": EASE(), "b": Forgetful()}).fit(synthetic)
    assert not isinstance(model, HasState)
    with pytest.raises(ConfigError, match=r"Weighted has no state\(\)"):
        artifact.save(FittedModel(model, synthetic), tmp_path / "model")
