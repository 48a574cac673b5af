"""Side features made of the columns of items and users."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recexp.data.dataset import Dataset
from recexp.data.extraction import extract, guess, years
from recexp.data.features import one_hot
from recexp.errors import ConfigError, DataError


@pytest.fixture
def shop() -> Dataset:
    """Four items and two users, described."""
    dataset = Dataset.from_columns("shop", np.array(["a", "a", "b", "b"]), np.arange(4))
    return replace(
        dataset,
        item_columns={
            "kind": ("book", "game", "", "book"),
            "tags": ("x; y", "y", "", "y;z;"),
            "price": ("1", "3", "n/a", "5"),
            "title": ("Red Fox (1990)", "2001 Nights (2000)", "A fox", "Blue (1995)"),
        },
        user_columns={"city": ("Rome", "Oslo")},
        item_features=one_hot(["p", "p", "q", "q"], "old"),
    )


def made(dataset: Dataset, **options: Any) -> dict[str, list[float]]:
    """The extracted item features by name."""
    features = extract(dataset, **options).item_features
    assert features is not None
    dense = np.round(features.matrix.toarray().astype(float), 4).T.tolist()
    return dict(zip(features.names, dense, strict=True))


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ({"kind": "one_hot"}, {}, {"kind=book": [1, 0, 0, 1], "kind=game": [0, 1, 0, 0]}),
        (
            {"tags": "multi_hot"},
            {},
            {"tags=x": [1, 0, 0, 0], "tags=y": [1, 1, 0, 1], "tags=z": [0, 0, 0, 1]},
        ),
        ({"tags": "multi_hot"}, {"min_rows": 2}, {"tags=y": [1, 1, 0, 1]}),
        (
            {"price": "binned"},
            {"n_bins": 2},
            {"price=<3": [1, 0, 0, 0], "price=>=3": [0, 1, 0, 1]},
        ),
        ({"price": "binned"}, {"edges": [9]}, {"price=<9": [1, 1, 0, 1]}),
        ({"price": "scaled"}, {}, {"price": [-1.2247, 0, 0, 1.2247]}),
        (
            {"title": "year"},
            {"edges": [1995]},
            {"title=<1995": [1, 0, 0, 0], "title=>=1995": [0, 1, 0, 1]},
        ),
        ({"title": "recency"}, {"half_life_years": 5}, {"title=recency": [0.25, 1, 0, 0.5]}),
    ],
    ids=str,
)
def test_a_column_becomes_what_was_asked(
    shop: Dataset, columns: Any, options: Any, expected: dict[str, list[float]]
) -> None:
    assert made(shop, columns=columns, **options) == expected


def test_text_is_weighed_by_rarity(shop: Dataset) -> None:
    found = made(shop, columns={"title": "text"}, max_terms=None)
    assert found["title=fox"][0] < found["title=red"][0]
    assert "title=a" not in found


def test_old_features_go_unless_kept(shop: Dataset) -> None:
    assert "old=p" not in made(shop, columns={"kind": "one_hot"})
    both = made(shop, columns={"kind": "one_hot"}, keep=True)
    assert list(both) == ["old=p", "old=q", "kind=book", "kind=game"]
    assert list(made(shop, columns={})) == ["old=p", "old=q"]


def test_users_have_columns_too_and_interactions_stay(shop: Dataset) -> None:
    result = extract(shop, "users", {"city": "one_hot"})
    assert result.user_features is not None
    assert result.user_features.names == ("city=Oslo", "city=Rome")
    assert result.interactions is shop.interactions
    assert result.item_features is shop.item_features


def test_what_a_column_is_can_be_guessed() -> None:
    columns = {
        "constant": ["x"] * 60,
        "id": [f"sku-{n}" for n in range(60)],
        "genres": ["Drama|War", "Drama", "War"] * 20,
        "gender": ["f", "m", ""] * 20,
        "year": [str(1950 + n % 50) for n in range(60)],
        "stars": ["1", "2", "3"] * 20,
        "weight": [str(n * 0.37) for n in range(60)],
        "title": [f"The story {n}" for n in range(60)],
    }
    assert guess(columns) == {
        "genres": "multi_hot",
        "gender": "one_hot",
        "year": "year",
        "stars": "one_hot",
        "weight": "scaled",
        "title": "text",
    }


def test_the_last_year_of_a_title_is_its_own() -> None:
    found = years(["1984 (1956)", "12345", "in 1999!", "1066", ""])
    np.testing.assert_array_equal(found, [1956, np.nan, 1999, np.nan, np.nan])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"knd": "one_hot"}}, r"shop has no item column 'knd'; did you mean 'kind'"),
        ({"columns": {"kind": "scaled"}}, r"'kind' holds no number or year, only .*'book'"),
        ({"of": "users", "columns": {"age": "one_hot"}}, r"no user column 'age'; accepted: city"),
    ],
)
def test_a_column_that_cannot_be_used_is_refused(shop: Dataset, options: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        extract(shop, **options)


def test_options_out_of_range_are_refused(shop: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"n_bins=1: expected a whole number >= 2"):
        extract(shop, n_bins=1)
    with pytest.raises(ConfigError, match=r"half_life_years=0"):
        extract(shop, half_life_years=0)


def test_a_wrong_kind_is_refused_before_data_is_read() -> None:
    from recexp.config import compose
    from recexp.plan import plan

    overrides = ["features=columns", "features.items.columns={genres: multihot}"]
    with pytest.raises(ConfigError, match=r"features.items.columns=.*multi_hot \| binned"):
        plan(compose([*overrides, "dataset=synthetic"]))
