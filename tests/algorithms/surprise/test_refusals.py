"""What the adapters refuse: data without ratings, too much memory, impossible options."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from recexp.algorithms import guards
from recexp.algorithms.surprise.baseline import Baseline
from recexp.algorithms.surprise.co_clustering import CoClustering
from recexp.algorithms.surprise.factors import NMF, SVD, SVDpp
from recexp.algorithms.surprise.knn import KNNBaseline, KNNBasic
from recexp.algorithms.surprise.slope_one import SlopeOne
from recexp.data.dataset import Dataset
from recexp.errors import ConfigError, DataError


def dataset(values: Any, scale: tuple[float, float] = (0.0, 5.0)) -> Dataset:
    """Three users who all rated the same `values`."""
    n = len(values)
    users, items = np.repeat(np.arange(3), n), np.tile(np.arange(n), 3)
    return Dataset.from_columns("tiny", users, items, np.tile(values, 3), scale=scale)


@pytest.mark.parametrize("model", [SVD(), SVDpp(), NMF(), Baseline(), SlopeOne(), KNNBasic()])
def test_data_without_ratings_is_refused(model: Any) -> None:
    implicit = Dataset.from_columns("clicks", np.array([1, 1, 2]), np.array([1, 2, 2]))
    with pytest.raises(DataError, match=r"clicks has no ratings, which \w+ needs: .*algo=lightfm"):
        model.fit(implicit)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (KNNBasic(similarity="pearson"), r"KNNBasic needs .* similarities between 3 users; this"),
        (KNNBasic(user_based=False), r"between 4 items; .*algo.user_based=True"),
        (SlopeOne(), r"SlopeOne needs .* deviations between 4 items; .*algo=svd"),
    ],
)
def test_matrices_larger_than_memory_are_refused(
    model: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guards, "_memory_bytes", lambda: 100.0)
    with pytest.raises(DataError, match=message):
        model.fit(dataset([1.0, 2.0, 3.0, 4.0]))


def test_the_memory_of_a_container_is_the_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr(guards, "_CGROUP_LIMIT", tmp_path / "memory.max")
    machine = guards._memory_bytes()
    (tmp_path / "memory.max").write_text("1024\n")
    assert guards._memory_bytes() == 1024
    (tmp_path / "memory.max").write_text("max\n")
    assert guards._memory_bytes() == machine > 2**20


def test_a_division_by_zero_in_the_library_names_the_cause() -> None:
    zeros = dataset([0.0, 0.0])
    with pytest.raises(DataError, match=r"Surprise's KNNBasic divides by zero .* all 0"):
        KNNBasic(similarity="cosine").fit(zeros)


@pytest.mark.parametrize("model", [SlopeOne(), CoClustering()])
def test_ratings_that_would_be_cut_off_are_refused(model: Any) -> None:
    with pytest.raises(DataError, match=r"not multiples of 0.01: round them"):
        model.fit(dataset([1.0, 1.2345, 3.0]))


def test_a_diverged_fit_says_what_to_lower(synthetic: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"SVD diverged.*lower algo.learning_rate"):
        SVD(learning_rate=5.0).fit(synthetic)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SVD(n_factors=0), r"algo.n_factors=0: SVD expects a whole number >= 1"),
        (lambda: SVD(regularization=-1.0), r"algo.regularization=-1.0"),
        (lambda: SVDpp(learning_rate=0.0), r"algo.learning_rate=0.0"),
        (lambda: NMF(epochs=0), r"algo.epochs=0"),
        (lambda: Baseline(method="adam"), r"algo.method=adam: Baseline expects als or sgd"),  # type: ignore[arg-type]
        (lambda: CoClustering(n_user_clusters=0), r"algo.n_user_clusters=0"),
        (lambda: KNNBasic(n_neighbors=0), r"algo.n_neighbors=0"),
        (lambda: KNNBasic(similarity="jaccard"), r"algo.similarity=jaccard: .* msd"),  # type: ignore[arg-type]
        (lambda: KNNBaseline(baseline_epochs=0), r"algo.baseline_epochs=0"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_restored_model_scores_without_surprise(small: Dataset, tmp_path: Any) -> None:
    fitted = KNNBasic().fit(small)
    np.savez(tmp_path / "state.npz", **fitted.state())
    program = (
        "import sys, numpy as np\n"
        "sys.modules['surprise'] = None\n"
        "from recexp.algorithms.surprise.knn import KNNBasic\n"
        f"state = dict(np.load({str(tmp_path / 'state.npz')!r}))\n"
        "scores = KNNBasic().restore(state).score(np.arange(30, dtype=np.int32))\n"
        f"np.save({str(tmp_path / 'scores.npy')!r}, scores)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    expected = fitted.score(np.arange(30, dtype=np.int32))
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), expected)
