"""The best of one row of scores are those of the whole order."""

from __future__ import annotations

import numpy as np
import pytest

from recexp.errors import DataError
from recexp.evaluation.topk import best_of, tie_order


@pytest.mark.parametrize("n_items", [1, 7, 160, 161, 5000])
@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_the_best_are_the_first_of_a_full_sort(n_items: int, decimals: int) -> None:
    rng = np.random.default_rng(n_items + decimals)
    scores = rng.normal(size=n_items).round(decimals).astype(np.float32)
    scores[rng.random(n_items) < 0.1] = -np.inf
    tie_rank = tie_order(n_items, rng)
    order = sorted(range(n_items), key=lambda item: (-scores[item], tie_rank[item]))
    possible = [item for item in order if scores[item] > -np.inf]
    for k in sorted({1, min(5, n_items), min(50, n_items), n_items}):
        items, best = best_of(scores, k, tie_rank)
        assert items.tolist() == possible[:k]
        assert best.tolist() == scores[possible[:k]].tolist()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_score_that_is_no_number_is_refused(bad: float) -> None:
    scores = np.arange(400, dtype=np.float32)
    scores[3] = bad
    with pytest.raises(DataError, match="NaN or infinite"):
        best_of(scores, 5, np.arange(400, dtype=np.int32))
