"""What the contract's own functions say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from recexp.algorithms.base import check_needs
from recexp.data.dataset import Dataset
from recexp.errors import DataError


@dataclass
class Asks:
    """Something that only says what it needs."""

    needs: frozenset[str]


@pytest.mark.parametrize(
    ("need", "message"),
    [
        ("ratings", r"clicks has no ratings, which Asks needs: .*algo=lightfm"),
        ("timestamps", r"clicks has no timestamps, which Asks needs: set dataset.columns"),
        ("item_features", r"clicks has no item features"),
        ("user_features", r"clicks has no user features"),
        ("item:title", r"clicks has no item column 'title', .* describes its items"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(need: str, message: str) -> None:
    clicks = Dataset.from_columns("clicks", np.array([1, 2]), np.array([1, 2]))
    with pytest.raises(DataError, match=message):
        check_needs(Asks(frozenset({need})), clicks)


def test_a_wrong_text_column_names_those_there_are(synthetic: Dataset) -> None:
    with pytest.raises(DataError, match=r"'plot', .*choose among .*\(genres, title\)"):
        check_needs(Asks(frozenset({"item:plot"})), synthetic)


@pytest.mark.parametrize("model", [object(), Asks(frozenset({"ratings", "item:title"}))])
def test_what_is_there_passes(model: Any, synthetic: Dataset) -> None:
    check_needs(model, replace(synthetic, user_features=None))
