"""Content profiles, against scikit-learn and a loop over users."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from recexp.algorithms.base import Source
from recexp.algorithms.tfidf import TfIdf
from recexp.data.dataset import Dataset
from recexp.data.ids import IdMap
from recexp.errors import ConfigError, DataError

DAY = 86_400
TITLES = ("space war", "space love", "love story", "war story", "")
USERS = np.array([0, 0, 0, 1, 1])
ITEMS = np.array([0, 1, 2, 1, 2])
VALUES = np.array([5.0, 4.0, 1.0, 3.0, 3.0])


def dataset(values: Any = VALUES, days: Any = (0, 0, 0, 0, 0)) -> Dataset:
    """User 0 likes space, not love stories; user 1 rates alike; user 2 has no interaction."""
    data = Dataset.from_indices(
        "films",
        IdMap("abc"),
        USERS,
        IdMap(range(5)),
        ITEMS,
        values,
        np.array(days) * DAY,
        scale=None if values is None else (1.0, 5.0),
    )
    return replace(data, item_columns={"title": TITLES, "genres": ("",) * 5})


def vectors(**options: Any) -> Any:
    return TfidfVectorizer(**options).fit_transform([f"{title} " for title in TITLES]).toarray()


def everyone(model: TfIdf) -> Any:
    return model.score(np.arange(3, dtype=np.int32))


def test_scores_are_cosines_with_weighted_profiles() -> None:
    v = vectors(ngram_range=(1, 2), sublinear_tf=True)
    # User 0 has mean 10/3; his low rating counts a quarter. User 1 rates alike: weights of 1.
    profile = (5 - 10 / 3) * v[0] + (4 - 10 / 3) * v[1] + 0.25 * (1 - 10 / 3) * v[2]
    expected = cosine_similarity([profile, v[1] + v[2], 0 * v[0]], v)
    np.testing.assert_allclose(everyone(TfIdf().fit(dataset())), expected, atol=1e-6)


def test_without_ratings_every_item_weighs_the_same() -> None:
    v = vectors(ngram_range=(1, 2), sublinear_tf=True)
    expected = cosine_similarity([v[0] + v[1] + v[2], v[1] + v[2], 0 * v[0]], v)
    np.testing.assert_allclose(everyone(TfIdf().fit(dataset(None))), expected, atol=1e-6)


def test_low_ratings_count_against_their_terms() -> None:
    scores = [everyone(TfIdf(negative_weight=w).fit(dataset()))[0] for w in (0.0, 1.0)]
    assert scores[1][2] < 0 < scores[0][2]


def test_age_halves_the_weight() -> None:
    v = vectors(ngram_range=(1, 2), sublinear_tf=True)
    model = TfIdf(half_life_days=10).fit(dataset(None, days=(0, 10, 20, 5, 5)))
    expected = cosine_similarity([v[0] / 4 + v[1] / 2 + v[2], v[1] + v[2]], v)
    np.testing.assert_allclose(everyone(model)[:2], expected, atol=1e-6)


def test_terms_may_be_characters() -> None:
    v = vectors(analyzer="char_wb", ngram_range=(2, 3), sublinear_tf=False)
    model = TfIdf(("title",), "char_wb", 2, 3, sublinear_tf=False).fit(dataset())
    expected = cosine_similarity(v)
    np.testing.assert_allclose(
        model.similarities(np.arange(5, dtype=np.int32)), expected, atol=1e-6
    )


def test_reasons_are_the_terms_that_add_up_to_the_score() -> None:
    model = TfIdf(ngram_max=1).fit(dataset())
    reasons = model.explain(0, 0, 10)
    assert [term for term, _ in reasons] == ["term:space", "term:war"]
    assert sum(weight for _, weight in reasons) == pytest.approx(everyone(model)[0, 0])
    assert model.explain(0, 0, 1) == reasons[:1]
    assert model.explain(2, 0, 3) == []


def test_a_history_is_scored_as_a_training_user_is() -> None:
    model = TfIdf().fit(dataset())
    histories = dataset().interactions.csr()
    np.testing.assert_array_equal(model.score_histories(histories), everyone(model))


def test_users_without_a_profile_are_left_to_the_fallback() -> None:
    model = TfIdf().fit(dataset())
    sources = model.source(np.arange(3, dtype=np.int32)).tolist()
    assert sources == [Source.MODEL, Source.MODEL, Source.FALLBACK]


def test_missing_columns_and_terms_are_refused() -> None:
    with pytest.raises(DataError, match=r"films has no item column 'plot', .*genres, title"):
        TfIdf(columns=("title", "plot")).fit(dataset())
    with pytest.raises(DataError, match=r"no term of the columns genres is in algo.min_df=1"):
        TfIdf(columns=("genres",)).fit(dataset())
    with pytest.raises(DataError, match=r"is in algo.min_df=6 items: lower it"):
        TfIdf(min_df=6).fit(dataset())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ()}, r"algo.columns=\(\): TfIdf expects at least one"),
        ({"analyzer": "chars"}, r"algo.analyzer=chars"),
        ({"ngram_min": 3}, r"algo.ngram_max=2: .* at least algo.ngram_min"),
        ({"min_df": 0}, r"algo.min_df=0"),
        ({"negative_weight": -1.0}, r"algo.negative_weight=-1.0"),
        ({"half_life_days": 0.0}, r"algo.half_life_days=0.0"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TfIdf(**options)
