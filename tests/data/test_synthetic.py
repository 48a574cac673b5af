"""Synthetic data: what is planted can be found."""

from __future__ import annotations

import numpy as np
import pytest

from recexp.data.dataset import Dataset
from recexp.data.synthetic import make_synthetic
from recexp.errors import ConfigError


def groups(dataset: Dataset) -> np.ndarray:
    return np.array(dataset.user_columns["segment"])


def genres(dataset: Dataset) -> np.ndarray:
    return np.array([genres.split("|")[0] for genres in dataset.item_columns["genres"]])


def test_the_same_options_give_the_same_data_and_another_seed_gives_others() -> None:
    assert make_synthetic().fingerprint == make_synthetic().fingerprint
    assert make_synthetic(seed=1).fingerprint != make_synthetic().fingerprint


def test_there_are_as_many_distinct_pairs_as_asked(synthetic: Dataset) -> None:
    it = synthetic.interactions
    assert len(it) == 10_000
    assert len(set(zip(it.user_idx.tolist(), it.item_idx.tolist(), strict=True))) == 10_000
    assert set(it.value.tolist()) == {1, 2, 3, 4, 5}
    assert it.user_counts().min() > 0
    assert it.item_counts().min() > 0
    assert synthetic.n_users > 290
    assert synthetic.n_items > 190


def test_groups_differ_in_the_genres_they_pick_and_like() -> None:
    data = make_synthetic(n_interactions=14_000, n_groups=3)
    it, group, genre = data.interactions, groups(data), genres(data)
    picked = np.array(
        [
            [
                np.sum((group[it.user_idx] == g) & (genre[it.item_idx] == n))
                for n in np.unique(genre)
            ]
            for g in np.unique(group)
        ]
    )
    expected = picked.sum(1, keepdims=True) * picked.sum(0) / picked.sum()
    chi_squared = ((picked - expected) ** 2 / expected).sum()
    assert chi_squared > 1000  # 14 degrees of freedom: 36 is p = 0.001
    likes = [
        np.mean(it.value[(group[it.user_idx] == g) & (genre[it.item_idx] == n)])
        for g in np.unique(group)
        for n in np.unique(genre)
    ]
    assert np.nanstd(likes) > 0.3


def test_popularity_is_skewed(synthetic: Dataset) -> None:
    counts = np.sort(synthetic.interactions.item_counts())[::-1]
    assert counts[: len(counts) // 5].sum() > 0.4 * counts.sum()
    flat = make_synthetic(popularity_skew=0, n_genres=1, cold_share=0)
    assert synthetic.interactions.item_counts().std() > 1.5 * flat.interactions.item_counts().std()


def test_some_users_and_items_come_only_at_the_end(synthetic: Dataset) -> None:
    it = synthetic.interactions
    assert it.timestamp is not None
    cut = np.quantile(it.timestamp, 0.8)
    before, after = it.select(it.timestamp < cut), it.select(it.timestamp >= cut)
    assert len(np.setdiff1d(after.users(), before.users())) >= 5
    assert len(np.setdiff1d(after.items(), before.items())) >= 5


def test_tastes_drift() -> None:
    def change(drift: float) -> float:
        data = make_synthetic(n_users=2000, n_interactions=60_000, drift=drift, n_groups=2)
        it, group, genre = data.interactions, groups(data), genres(data)
        assert it.timestamp is not None
        late = it.timestamp > np.median(it.timestamp)
        mine = group[it.user_idx] == "s1"
        shares = [
            [np.mean(genre[it.item_idx[mine & half]] == name) for name in np.unique(genre)]
            for half in (~late, late)
        ]
        return float(np.abs(np.subtract(*shares)).sum())

    assert change(1.0) > 2 * change(0.0)


def test_features_say_genre_and_group(synthetic: Dataset) -> None:
    assert synthetic.item_features is not None
    assert synthetic.user_features is not None
    assert all(name.startswith("genre=") for name in synthetic.item_features.names)
    assert set(np.asarray(synthetic.item_features.matrix.sum(axis=1)).tolist()) == {1, 2}
    assert set(np.asarray(synthetic.user_features.matrix.sum(axis=1)).tolist()) == {1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_interactions": 20_000}, r"dataset.n_interactions=20000: expected 1 to 15000"),
        ({"n_genres": 17}, r"dataset.n_genres=17: expected 1 to 16"),
        ({"n_groups": 0}, r"dataset.n_groups=0: expected 1 to 300"),
        ({"cold_share": 0.9}, r"dataset.cold_share=0.9: expected 0 to 0.5"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_synthetic(**options)  # type: ignore[arg-type]
